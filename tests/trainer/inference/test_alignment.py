import cv2
import numpy as np
import pytest
from skimage import data

from trainer.errors import UserError
from trainer.evaluation.metrics import psnr
from trainer.inference.alignment import aligned


def window(left: float, top: float, angle: float = 0.0) -> np.ndarray:
    """A cut of a photograph whose corner lies there, turned by degrees."""
    motion = cv2.getRotationMatrix2D((256, 200), angle, 1)
    motion[:, 2] -= (120 + left, 80 + top)
    return cv2.warpAffine(data.astronaut(), motion, (240, 200), flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize("move", [(5, -3), (-17, 11), (0, 0)])
def test_a_bracket_is_moved_by_whole_pixels(move):
    first, other = window(0, 0), (window(*move) * 0.45).astype(np.uint8)
    found = aligned(first, other, "mtb", "b")
    inside = (slice(20, -20), slice(20, -20))
    assert psnr(found.image[inside], (first * 0.45).astype(np.uint8)[inside]) > 45
    assert found.moved == pytest.approx(np.hypot(*move))
    assert found.image is other or move != (0, 0)


def test_what_is_turned_and_of_another_kind_is_laid_on_by_its_edges():
    first = window(0, 0)
    other = np.repeat((255 - window(3.4, -2.2, 1.2)[:, :, :1] // 2), 3, axis=2)
    inside = (slice(20, -20), slice(20, -20))
    truth = np.repeat(255 - first[:, :, :1] // 2, 3, axis=2)[inside]
    found = aligned(first, other, "ecc", "b")
    assert psnr(found.image[inside], truth) > psnr(other[inside], truth) + 10
    assert 3 < found.moved < 9


def test_what_shares_nothing_is_refused_in_one_line():
    noise = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    with pytest.raises(UserError, match=r"--align ecc: .*c\.png"):
        aligned(window(0, 0), noise, "ecc", "c.png")
    far = np.roll(window(0, 0), 60, axis=1)
    with pytest.raises(UserError, match="register"):
        aligned(window(0, 0), far, "mtb", "b.png")
