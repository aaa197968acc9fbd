"""Noise and JPEG against what they claim to be."""

import io

import numpy as np
import pytest
from PIL import Image

from synth.degradations import effects
from synth.degradations.engine import Applied, damage
from synth.degradations.jpeg import JpegParams
from synth.degradations.noise import NoiseParams
from tests.synth.helpers import photograph, view


def psnr(x, y):
    return 10 * np.log10(255**2 / np.mean((x.astype(float) - y) ** 2))


@pytest.mark.parametrize("sigma", [5.0, 15.0, 25.0])
def test_noise_has_its_sigma_in_grey_levels_and_is_white(sigma):
    image = np.full((200, 200, 3), 128, np.uint8)
    out = damage(image, [Applied("noise", "a", None, NoiseParams(sigma, 42))], view(image), None)
    field = out.astype(float) - 128
    assert field.std() == pytest.approx(sigma, rel=0.02)
    assert abs(field.mean()) < 0.2
    assert abs(np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(field[..., 0].ravel(), field[..., 1].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize(("quality", "subsampling", "pillow"), [(20, "420", 2), (50, "422", 1), (80, "444", 0)])
def test_jpeg_loses_as_much_as_pillows_at_the_same_quality(quality, subsampling, pillow):
    image = photograph(240, 240)
    ours = effects()["jpeg"].apply(image, JpegParams(quality, subsampling), view(image))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=pillow)
    theirs = np.asarray(Image.open(buffer))
    assert psnr(ours, image) == pytest.approx(psnr(theirs, image), abs=0.3)
