"""Camera curves: there and back for every byte, and what brackets tell of them."""

import numpy as np
import pytest

from bench.camera_curves import fitted, log_curve, power_of, told
from synth.images import curves, pixels

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("name", curves.names())
def test_every_byte_comes_back_and_light_rises_from_black_to_white(name):
    curve = curves.curve(name)
    light = curve.to_linear(LEVELS)
    assert (light[0, 0], light[-1, -1]) == (0, 1)
    assert (np.diff(light.ravel()) > 0).all()
    assert np.array_equal(curve.to_bytes(light), LEVELS)
    assert np.abs(curve.to_srgb(light) - LEVELS).max() < 0.1  # the table's steps, near black
    between = np.array([[99.5, 100.25]], np.float32)
    assert curve.to_srgb(curve.light_of(between)) == pytest.approx(between, abs=0.05)


def test_srgbs_curve_is_that_of_pixels_and_a_measured_one_keeps_more_for_highlights():
    srgb = curves.curve(curves.SRGB)
    assert np.array_equal(srgb.to_linear(LEVELS), pixels.to_linear(LEVELS))
    assert np.array_equal(curves.as_srgb(LEVELS, curves.SRGB), LEVELS)
    for name in curves.MEASURED:
        assert curves.curve(name).light[128] < 0.6 * srgb.light[128]
        darker = curves.as_srgb(LEVELS, name)
        assert np.abs(pixels.to_linear(darker) - curves.curve(name).light[LEVELS]).max() < 0.005


def shots(name: str, stops: list[int]) -> list[np.ndarray]:
    """What each level of a darker shot is in one so many stops brighter, as the bench finds it in pictures."""
    light = curves.curve(name).light.astype(float)
    found = []
    for apart in stops:
        bright = np.interp(light * 2**apart, light, np.arange(256))
        usable = [(level, bright[level], 1.0) for level in range(6, 250) if light[level] * 2**apart < light[249]]
        found.append(np.array(usable))
    return found


@pytest.mark.parametrize("name", curves.MEASURED)
def test_the_fit_finds_a_curve_and_whole_stops_from_what_shots_made_of_it_show(name):
    found = shots(name, [2, 3, 4])
    log = log_curve(fitted(found))
    assert max(told(log, match)[0] for match in found) < 3  # levels
    power, off = power_of(np.array([told(log, match)[1] for match in found]))
    assert off < 0.05
    stops = [told(log, match)[1] * power for match in found]
    assert stops == pytest.approx([2, 3, 4], abs=0.2)
    light = np.exp(power * (log - log[255]))
    assert np.abs(light - curves.curve(name).light)[16:].max() < 0.04
