"""Contrast, resolution and JPEG against formulas, explicit resizes and another codec."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from synth.degradations import effects
from synth.degradations.contrast import ContrastParams
from synth.degradations.engine import Applied, damage
from synth.degradations.jpeg import JpegParams, finer_quality
from synth.degradations.resolution import ResolutionParams
from synth.images.pixels import luma
from synth.streams import stream
from tests.synth.helpers import photograph, view


def psnr(x, y):
    return 10 * np.log10(255**2 / np.mean((x.astype(float) - y) ** 2))


def pillow(image, quality, subsampling):
    """Through Pillow's JPEG and back."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("gain", [0.15, 0.8, 1.7, 4.0])
@pytest.mark.parametrize("pivot", [None, 128.0])
@pytest.mark.parametrize("colour", [True, False])
def test_contrast_follows_its_formula(gain, pivot, colour):
    image = photograph(colour=colour)
    out = effects()["contrast"].apply(image, ContrastParams(gain, 1, pivot), view(image))
    grey = image @ np.array([0.299, 0.587, 0.114]) if colour else image
    middle = grey.mean() if pivot is None else pivot
    assert np.abs(out - np.clip(middle + gain * (image - middle), 0, 255)).max() <= 0.51


def test_low_contrast_keeps_the_mean_and_both_directions_are_drawn():
    image = photograph()
    seen = view(image)
    drawn = [effects()["contrast"].draw(0.5, seen, stream(seed, 0, "draw"), {}) for seed in range(40)]
    assert 10 < sum(params.gain > 1 for params in drawn) < 30
    flat = effects()["contrast"].apply(image, ContrastParams(0.2, -1, None), seen)
    assert luma(flat).mean() == pytest.approx(luma(image).mean(), abs=0.5)
    assert flat.std() == pytest.approx(0.2 * image.std(), rel=0.1)


@pytest.mark.parametrize("factor", [1.3, 2.0, 3.7])
@pytest.mark.parametrize(("down", "there"), [("area", cv2.INTER_AREA), ("linear", 1), ("cubic", cv2.INTER_CUBIC)])
@pytest.mark.parametrize(("up", "back"), [("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)])
def test_resolution_is_an_explicit_resize_and_back(factor, down, there, up, back):
    image = photograph(97, 131)
    ours = effects()["resolution"].apply(image, ResolutionParams(factor, down, up), view(image))
    small = cv2.resize(image, (round(131 / factor), round(97 / factor)), interpolation=there)
    assert np.array_equal(ours, cv2.resize(small, (131, 97), interpolation=back))


def test_resolution_takes_the_detail_beyond_its_factor_and_shifts_nothing():
    for period, least, most in ((32, 0.9, 1.05), (5, 0.0, 0.3)):
        wave = (128 + 100 * np.sin(2 * np.pi * np.arange(128) / period)).round().astype(np.uint8)[None].repeat(128, 0)
        out = effects()["resolution"].apply(wave, ResolutionParams(4.0, "area", "cubic"), view(wave))
        before, after = (np.abs(np.fft.rfft(rows[64] * np.hanning(128)))[round(128 / period)] for rows in (wave, out))
        assert least <= after / before <= most
    image = photograph(128, 128).astype(np.float32)
    out = effects()["resolution"].apply(
        photograph(128, 128), ResolutionParams(3.0, "area", "linear"), view(photograph())
    )
    shift, _ = cv2.phaseCorrelate(image[:, :, 1], out[:, :, 1].astype(np.float32))
    assert np.abs(shift).max() < 0.1


@pytest.mark.parametrize(("quality", "subsampling", "theirs"), [(20, "420", 2), (50, "422", 1), (80, "444", 0)])
def test_jpeg_loses_as_much_as_pillows_at_the_same_quality(quality, subsampling, theirs):
    image = photograph(240, 240)
    ours = effects()["jpeg"].apply(image, JpegParams(quality, subsampling), view(image))
    assert psnr(ours, image) == pytest.approx(psnr(pillow(image, quality, theirs), image), abs=0.3)


@pytest.mark.parametrize("colour", [True, False])
def test_two_compressions_equal_one_after_the_other(colour):
    image = photograph(120, 136, colour)
    apply = effects()["jpeg"].apply
    twice = apply(image, JpegParams(40, "420", 2, 0.25), view(image))
    first = apply(image, JpegParams(finer_quality(40, 0.25), "420"), view(image))
    assert np.array_equal(twice, apply(first, JpegParams(40, "420"), view(image)))


def test_the_grid_of_the_first_compression_lies_where_the_shift_says():
    image = photograph(128, 128, False)
    apply = effects()["jpeg"].apply
    x, y = 3, 5
    shifted = apply(image, JpegParams(95, "444", 2, 8.0, (x, y)), view(image))  # the first one far coarser
    steps = np.abs(np.diff(shifted.astype(float), axis=1)).mean(0)
    columns = [steps[phase::8].mean() for phase in range(8)]
    assert int(np.argmax(columns)) == (7 - x) % 8
    rows = [np.abs(np.diff(shifted.astype(float), axis=0)).mean(1)[phase::8].mean() for phase in range(8)]
    assert int(np.argmax(rows)) == (7 - y) % 8


@pytest.mark.parametrize("quality", [10, 35, 50, 70, 90])
@pytest.mark.parametrize("share", [0.15, 0.4, 0.7])
def test_a_finer_quality_has_that_share_of_the_steps(quality, share):
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer, q in zip(buffers, (quality, finer_quality(quality, share)), strict=True):
        Image.fromarray(photograph()).save(buffer, "JPEG", quality=q)
    coarse, fine = (np.array(Image.open(buffer).quantization[0]) for buffer in buffers)
    unclipped = (coarse < 255) & (fine > 4)
    if unclipped.sum() > 8:
        assert np.median(fine[unclipped] / coarse[unclipped]) == pytest.approx(share, rel=0.15)


def test_once_or_twice_is_drawn_and_can_be_asked_for():
    seen = view(photograph())
    draw = effects()["jpeg"].draw
    drawn = [draw(0.5, seen, stream(seed, 0, "draw"), {}) for seed in range(60)]
    assert 8 < sum(params.times == 2 for params in drawn) < 30
    assert {params.shift == (0, 0) for params in drawn if params.times == 2} == {True, False}
    assert draw(0.5, seen, stream(1, 0, "draw"), {"times": 2}).finer < 1
    assert draw(0.5, seen, stream(1, 0, "draw"), {"times": 1}).finer == 1
    assert draw(0.0, seen, stream(1, 0, "draw"), {}).quality is None


@pytest.mark.parametrize("name", ["contrast", "resolution", "jpeg"])
def test_damage_grows_with_severity_whatever_is_drawn(name):
    image = data.astronaut()[40:232, 150:406]
    for seed in range(6):
        errors = []
        for severity in np.linspace(0.1, 1, 10):
            params = effects()[name].draw(severity, view(image), stream(seed, 0, "draw"), {})
            out = damage(image, [Applied(name, "a", None, params)], view(image), None)
            errors.append(np.mean((out.astype(float) - image) ** 2))
        assert np.all(np.diff(errors) > 0), (seed, errors)
