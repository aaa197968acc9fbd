"""Exposure, noise and stripes against what they claim to be, from flat patches and formulas."""

import numpy as np
import pytest
from scipy.stats import kstest, kurtosis
from skimage import data

from synth.degradations import effects
from synth.degradations.engine import Applied, damage
from synth.degradations.exposure import ExposureParams
from synth.degradations.noise import CHROMA_COARSER, NoiseParams, field
from synth.degradations.sensor_noise import SensorNoiseParams
from synth.degradations.stripes import StripesParams
from synth.images.pixels import to_bytes
from synth.streams import stream
from tests.synth.helpers import photograph, view


def lag(values, step, axis=1):
    """Correlation of a field with itself, `step` pixels on."""
    length = values.shape[axis]
    x, y = np.take(values, range(step, length), axis), np.take(values, range(length - step), axis)
    return np.corrcoef(x.ravel(), y.ravel())[0, 1]


def flat(level, side=200, colour=True):
    return np.full((side, side, 3) if colour else (side, side), level, np.float32)


@pytest.mark.parametrize("stops", [-4.0, -0.5, 1.0, 2.5])
@pytest.mark.parametrize("colour", [True, False])
def test_exposure_multiplies_light_and_clips_at_white(stops, colour):
    image = photograph(colour=colour)
    out = damage(image, [Applied("exposure", "a", None, ExposureParams(stops, 1))], view(image), None)
    x = image / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) * 2**stops
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(out - np.clip(levels, 0, 255)).max() <= 0.6


def test_exposure_brings_back_what_another_image_knows_of_the_highlights():
    bright = np.full((16, 16), 255, np.uint8)
    known = np.full((16, 16), 2.0, np.float32)
    step = [Applied("exposure", "a", None, ExposureParams(-2.0, -1))]
    assert np.array_equal(damage(bright, step, view(bright), lambda: known), to_bytes(known / 4))


def test_exposure_goes_either_way_and_further_with_severity():
    seen = view(photograph())
    drawn = [effects()["exposure"].draw(0.5, seen, stream(seed, 0, "draw"), {}) for seed in range(40)]
    assert 10 < sum(params.stops > 0 for params in drawn) < 30
    assert all((params.stops > 0) == (params.direction > 0) for params in drawn)
    dark = effects()["exposure"].draw(1.0, seen, stream(1, 0, "draw"), {"direction": -1})
    assert dark.stops == -4.5


@pytest.mark.parametrize("sigma", [5.0, 15.0, 25.0])
def test_noise_has_its_sigma_in_grey_levels(sigma):
    image = np.full((200, 200, 3), 128, np.uint8)
    out = damage(image, [Applied("noise", "a", None, NoiseParams(sigma, 42))], view(image), None)
    values = out.astype(float) - 128
    assert values.std() == pytest.approx(sigma, rel=0.02)
    assert abs(values.mean()) < 0.2


def test_plain_noise_is_white_and_gaussian():
    values = field((512, 512, 3), 42, 1.0).astype(float)
    assert values.std() == pytest.approx(1, abs=0.003)
    assert abs(kurtosis(values.ravel())) < 0.02
    assert kstest(values.ravel()[::7], "norm").pvalue > 0.01
    assert np.abs(values).max() > 4.2
    spectrum = np.abs(np.fft.fft2(values[:, :, 0])) ** 2 / 512**2
    assert spectrum.max() < 25, "no frequency stands out, so nothing is repeated: the tallest of 131,072 is near 12"
    bands = spectrum.reshape(8, 64, 8, 64).mean((1, 3))
    assert np.abs(bands - 1).max() < 0.08
    for step in (1, 2, 3, 4, 8, 64):
        assert abs(lag(values, step, 0)) < 0.006
        assert abs(lag(values, step, 1)) < 0.006
    assert np.abs(np.corrcoef(values.reshape(-1, 3).T) - np.eye(3)).max() < 0.008
    other = field((512, 512, 3), 43, 1.0)
    assert abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.005


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("grain", [0.0, 0.8])
def test_coarse_and_correlated_noise_keeps_sigma_and_has_the_correlation_asked_for(correlation, grain):
    values = np.concatenate([field((300, 300, 3), seed, 7.0, correlation, grain) for seed in range(3)]).astype(float)
    assert values.std((0, 1)) == pytest.approx([7, 7, 7], rel=0.02)
    off = np.corrcoef(values.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert off == pytest.approx([correlation] * 3, abs=0.03)


def test_grain_is_blur_and_coarser_in_colour_as_in_real_photographs():
    values = field((600, 600, 3), 3, 1.0, 0.7, 0.8).astype(float)
    luma = values.mean(2)
    chroma = values[:, :, 0] - luma
    for part, sigma in ((luma, 0.8), (chroma, 0.8 * CHROMA_COARSER)):
        for step in (1, 3):
            assert lag(part, step) == pytest.approx(np.exp(-(step**2) / (4 * sigma**2)), abs=0.04)
    assert abs(lag(luma, 3)) < 0.1
    assert lag(chroma, 3) == pytest.approx(0.53, abs=0.08)  # measured in a photograph of a Canon 80D at ISO 12800
    grey = field((300, 300), 3, 1.0, 0.7, 0.8)
    assert lag(grey.astype(float), 1) == pytest.approx(np.exp(-1 / (4 * 0.8**2)), abs=0.04)


@pytest.mark.parametrize(("electrons", "read_noise"), [(100.0, 2.0), (1000.0, 8.0), (20_000.0, 30.0)])
def test_shot_and_read_noise_have_the_variance_a_x_plus_b(electrons, read_noise):
    params = SensorNoiseParams(electrons, read_noise, 0.0, 0.0, 11)
    levels = np.linspace(0, 1, 9)
    variances = [
        (effects()["sensor_noise"].apply(flat(level), params, view(photograph())) - level).var() for level in levels
    ]
    a, b = np.polyfit(levels, variances, 1)
    assert a == pytest.approx(1 / electrons, rel=0.02)
    assert b == pytest.approx((read_noise / electrons) ** 2, rel=0.05, abs=0.003 / electrons)


def test_the_severity_of_sensor_noise_is_the_noise_of_white():
    seen = view(photograph())
    weak, strong = (effects()["sensor_noise"].draw(s, seen, stream(1, 0, "draw"), {}) for s in (0.25, 1.0))
    assert weak.electrons == pytest.approx(16 * strong.electrons)


@pytest.mark.parametrize("colour", [True, False])
def test_stripes_are_the_same_all_down_a_column_apart_from_the_drift(colour):
    still = effects()["stripes"].apply(
        flat(128, 120, colour), StripesParams(12.0, 0.3, 0.0, 0.0, 5), view(photograph())
    )
    assert np.abs(still - still[:1]).max() < 1e-4
    moving = effects()["stripes"].apply(
        flat(128, 120, colour), StripesParams(12.0, 0.3, 0.5, 0.0, 5), view(photograph())
    )
    assert np.allclose(moving.mean(0), still.mean(0), atol=0.5), "the drift has no mean"
    down = np.abs(np.diff(moving, axis=0))
    assert 0 < down.max() < 1, "slow: less than a grey level from row to row"
    if colour:
        assert np.allclose(moving[:, :, 0], moving[:, :, 2])


def test_stripes_have_the_offset_and_the_gain_asked_for():
    offsets, gains = [], []
    for seed in range(30):
        params = StripesParams(10.0, 0.5, 0.0, 0.0, seed)
        dark, bright = (
            effects()["stripes"].apply(flat(level, 200, False), params, view(photograph()))[0] - level
            for level in (0, 255)
        )
        offsets.append(dark)
        gains.append(bright - dark)
    assert np.std(offsets) == pytest.approx(10, rel=0.05)
    assert np.std(gains) == pytest.approx(5, rel=0.05)
    assert 0.2 < lag(np.array(offsets), 1) < 0.7, "in part bands of a few columns"


def test_dark_stripes_are_dark_and_as_many_as_asked_for():
    params = StripesParams(5.0, 0.0, 0.0, 0.1, 3)
    seen = view(photograph())
    image = np.full((10, 2000), 128, np.float32)
    added = effects()["stripes"].apply(image, params, seen) - effects()["stripes"].apply(
        image, StripesParams(5.0, 0.0, 0.0, 0.0, 3), seen
    )
    struck = added[0] < -1
    assert struck.mean() == pytest.approx(0.1, abs=0.02)
    assert np.all((added[0, struck] <= -10) & (added[0, struck] >= -25))


@pytest.mark.parametrize("name", ["exposure", "noise", "sensor_noise", "stripes"])
def test_damage_grows_with_severity_whatever_is_drawn(name):
    image = data.astronaut()[40:232, 150:406]
    for seed in range(4):
        errors = []
        for severity in np.linspace(0.1, 1, 10):
            params = effects()[name].draw(severity, view(image), stream(seed, 0, "draw"), {})
            out = damage(image, [Applied(name, "a", None, params)], view(image), None)
            errors.append(np.mean((out.astype(float) - image) ** 2))
        assert np.all(np.diff(errors) > 0), (seed, errors)


def test_light_beyond_white_gets_the_noise_of_its_electrons_and_black_has_read_noise_alone():
    params = SensorNoiseParams(400.0, 2.0, 0.0, 0.0, 1)
    apply = effects()["sensor_noise"].apply
    assert (apply(flat(4.0), params, view(photograph())) - 4).std() == pytest.approx(np.sqrt(4 / 400), rel=0.02)
    assert apply(flat(0.0), params, view(photograph())).std() == pytest.approx(2 / 400, rel=0.02)
