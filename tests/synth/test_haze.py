"""Haze: the equation, and one scene in two images."""

from dataclasses import replace

import numpy as np
import pytest

from synth.degradations import effects
from synth.degradations.engine import EffectSpec, damage, draw
from synth.light import measure, unclip
from synth.pixels import luma, to_bytes, to_linear
from synth.streams import stream
from tests.synth.helpers import photograph, scene, view

HAZE = effects()["haze"]


def test_is_koschmieder_pixel_by_pixel():
    image = photograph()
    seen = view(image, of=scene(*image.shape[:2], {"a": 0.25, "b": 1.0}))
    params = HAZE.draw(0.6, seen, stream(1, 0, "draw"), {})
    linear = to_linear(image)
    out = HAZE.apply(linear, params, seen)
    for y, x in [(0, 0), (50, 60), (95, 129)]:
        t = np.exp(-3.912 / params.visibility_m * seen.scene.depth[y, x])
        expected = 0.25 * (linear[y, x] / 0.25 * t + np.array(seen.scene.airlight) * (1 - t))
        assert out[y, x] == pytest.approx(expected, abs=1e-5)


def test_thickens_with_distance():
    image = np.full((96, 96, 3), 20, np.uint8)
    seen = view(image)
    rows = HAZE.apply(to_linear(image), HAZE.draw(0.5, seen, stream(1, 0, "draw"), {}), seen).mean(axis=(1, 2))
    assert (np.diff(rows) < 0).all(), "the upper rows are farther, so brighter"


def test_the_dark_frame_of_a_bracket_does_not_glow():
    """Haze adds the same radiance to both frames, so in values of the dark one it adds as little as its gain."""
    image = photograph(192, 256)
    linear = to_linear(image)
    dark, bright = to_bytes(linear / 16), to_bytes(linear * 2)
    light = measure("mef", dark, bright)
    assert light.gain["b"] == 1
    assert light.gain["a"] == pytest.approx(1 / 32, rel=0.1)
    shared = scene(*image.shape[:2], light.gain)
    views = {"a": view(dark, "a", "under", shared), "b": view(bright, "b", "over", shared)}
    applied = draw(EffectSpec("haze", (0.8, 0.8)), views, 1, 0)
    assert applied[0].params == applied[1].params, "one scene: the same airlight and visibility for both"
    haze_a = to_linear(damage(dark, applied, views["a"], lambda: unclip(dark, bright, light.gain["a"], 1.0)))
    haze_b = to_linear(damage(bright, applied, views["b"], lambda: unclip(bright, dark, 1.0, light.gain["a"])))
    compared = luma(haze_b) < 0.9
    assert np.median(luma(haze_a)[compared] / luma(haze_b)[compared]) == pytest.approx(light.gain["a"], rel=0.15)
    assert haze_a.max() < 0.1


def test_infrared_sees_the_recorded_share_toward_its_own_mean():
    image = photograph(colour=False)
    shared = scene(*image.shape)
    visible, infrared = view(image, "a", "visible", shared), view(image, "b", "infrared", shared)
    seen, through = (HAZE.draw(0.7, v, stream(1, 0, "draw"), {}) for v in (visible, infrared))
    assert seen.optical_depth_share == 1
    assert 0.15 <= through.optical_depth_share <= 0.5
    assert through.visibility_m == seen.visibility_m
    assert through.airlight == (pytest.approx(infrared.ambient),)
    out = HAZE.apply(to_linear(image), through, infrared)
    extinction = 3.912 / through.visibility_m * through.optical_depth_share
    expected = infrared.ambient + (to_linear(image) - infrared.ambient) * np.exp(-extinction * shared.depth)
    assert np.allclose(out, expected, atol=1e-5)


def test_a_room_and_a_mountain_are_equally_hazy():
    image = photograph()
    near = scene(*image.shape[:2])
    far = replace(near, depth=near.depth * 50, depth_range_m=10_000.0)
    views = [view(image, of=s) for s in (near, far)]
    params = [HAZE.draw(0.5, v, stream(1, 0, "draw"), {}) for v in views]
    out = [HAZE.apply(to_linear(image), p, v) for p, v in zip(params, views, strict=True)]
    assert np.allclose(out[0], out[1], atol=1e-5)
    assert params[1].visibility_m == pytest.approx(50 * params[0].visibility_m)


def test_a_night_scene_stays_dark():
    night = np.full((128, 128, 3), 6, np.uint8)
    night[60:64, 60:64] = 255
    light = measure("vif", night, night[:, :, 0])
    assert light.p95 < 0.01, "fog is as bright as the scene that lights it"
