import numpy as np
import pytest
from skimage import data
from skimage.filters import gaussian

from trainer.inference.stacks import order


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[:128, 100:260])


def exposed(picture: np.ndarray, stops: float) -> np.ndarray:
    return np.rint(255 * np.clip((picture / 255) ** 2.2 * 2**stops, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return np.rint(255 * gaussian(picture / 255, sigma, channel_axis=2)).astype(np.uint8)


def test_a_bracket_is_folded_from_dark_to_bright(picture):
    images = [exposed(picture, stops) for stops in (0, -3, 1, -1.5)]
    assert order(images) == [1, 3, 0, 2]
    assert order(images, "exposure") == [1, 3, 0, 2]
    assert order(images, "given") == [0, 1, 2, 3]


def test_a_focus_stack_is_folded_from_the_sharpest_on(picture):
    images = [blurred(picture, sigma) for sigma in (2, 0.5, 4)]
    assert order(images) == [1, 0, 2]
    assert order(images, "exposure") != order(images, "sharpness")


def test_a_pair_stays_as_the_user_gave_it(picture):
    assert order([exposed(picture, 1), exposed(picture, -3)]) == [0, 1]
    assert order([exposed(picture, 1), exposed(picture, -3)], "exposure") == [1, 0]
