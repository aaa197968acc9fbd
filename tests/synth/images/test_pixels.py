"""sRGB and linear light."""

import numpy as np
import pytest

from synth.images.pixels import luma, round_to_bytes, to_bytes, to_linear, to_srgb

ALL = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_every_byte_survives_linear_light():
    assert np.array_equal(to_bytes(to_linear(ALL)), ALL)
    assert np.array_equal(round_to_bytes(to_srgb(to_linear(ALL))), ALL)


def test_linear_light_has_the_published_values():
    """IEC 61966-2-1: grey 188 reflects half the light of white, 118 the 18% of a grey card."""
    assert to_linear(np.array([[0, 118, 188, 255]], np.uint8))[0] == pytest.approx([0, 0.181, 0.503, 1], abs=1e-3)


def test_levels_are_within_a_twentieth():
    linear = np.linspace(0, 1, 100_003, dtype=np.float32)[None]
    exact = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(to_srgb(linear) - exact).max() < 0.05


def test_light_beyond_white_and_below_black_clips():
    assert to_bytes(np.array([[-0.5, 7.0]], np.float32)).tolist() == [[0, 255]]


def test_luma_is_rec_601():
    assert luma(np.array([[[255, 0, 0]]], np.uint8))[0, 0] == 76
