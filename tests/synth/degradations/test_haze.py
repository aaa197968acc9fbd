"""Haze: the equation, and one scene in two images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from synth.degradations import effects
from synth.degradations.engine import EffectSpec, damage, draw
from synth.images.pixels import luma, to_bytes, to_linear
from synth.scene.light import measure, unclip
from synth.scene.scene import draw_scene
from synth.streams import Streams, stream
from synth.tasks import TASKS
from tests.synth.helpers import photograph, scene, view

VIF = TASKS["vif"].capture

HAZE = effects()["haze"]


def even(params):
    """The same haze without patches, layers and lamps: the textbook's."""
    return replace(params, patchiness=0.0, layer=0.0, lamp_gain=1.0)


def test_is_koschmieder_pixel_by_pixel():
    image = photograph()
    seen = view(image, of=scene(*image.shape[:2], {"a": 0.25, "b": 1.0}))
    params = even(HAZE.draw(0.6, seen, stream(1, 0, "draw"), {}))
    linear = to_linear(image)
    out = HAZE.apply(linear, params, seen)
    for y, x in [(0, 0), (50, 60), (95, 129)]:
        t = np.exp(-3.912 / params.visibility_m * seen.scene.depth[y, x])
        expected = 0.25 * (linear[y, x] / 0.25 * t + np.array(seen.scene.airlight) * (1 - t))
        assert out[y, x] == pytest.approx(expected, abs=1e-5)


def test_thickens_with_distance():
    image = np.full((96, 96, 3), 20, np.uint8)
    seen = view(image)
    params = even(HAZE.draw(0.5, seen, stream(1, 0, "draw"), {}))
    rows = HAZE.apply(to_linear(image), params, seen).mean(axis=(1, 2))
    assert (np.diff(rows) < 0).all(), "the upper rows are farther, so brighter"


def test_the_dark_frame_of_a_bracket_does_not_glow():
    """Haze adds the same radiance to both frames, so in values of the dark one it adds as little as its gain."""
    image = photograph(192, 256)
    linear = to_linear(image)
    dark, bright = to_bytes(linear / 16), to_bytes(linear * 2)
    light = measure(TASKS["mef"].capture, {"a": dark, "b": bright})
    assert light.gain["b"] == 1
    assert light.gain["a"] == pytest.approx(1 / 32, rel=0.1)
    shared = scene(*image.shape[:2], light.gain)
    views = {"a": view(dark, "a", "under", shared), "b": view(bright, "b", "over", shared)}
    applied = draw(EffectSpec("haze", (0.8, 0.8)), views, Streams(1, 0))
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
    out = HAZE.apply(to_linear(image), even(through), infrared)
    extinction = 3.912 / through.visibility_m * through.optical_depth_share
    expected = infrared.ambient + (to_linear(image) - infrared.ambient) * np.exp(-extinction * shared.depth)
    assert np.allclose(out, expected, atol=1e-5)


def test_a_room_and_a_mountain_are_equally_hazy():
    image = photograph()
    near = scene(*image.shape[:2])
    far = replace(near, depth_map=near.depth * 50, depth_range_m=10_000.0)
    views = [view(image, of=s) for s in (near, far)]
    params = [HAZE.draw(0.5, v, stream(1, 0, "draw"), {}) for v in views]
    out = [HAZE.apply(to_linear(image), p, v) for p, v in zip(params, views, strict=True)]
    assert np.allclose(out[0], out[1], atol=1e-5)
    assert params[1].visibility_m == pytest.approx(50 * params[0].visibility_m)


def test_a_night_scene_stays_dark():
    night = np.full((128, 128, 3), 6, np.uint8)
    night[60:64, 60:64] = 255
    light = measure(VIF, {"a": night, "b": night[:, :, 0]})
    seen = draw_scene(VIF, Streams(0, 0), 128, lambda: np.ones((128, 128), np.float32), "proxy", light)
    assert seen.night == 1
    assert max(seen.airlight) < 0.005, "fog is as bright as the scene that lights it"


def night_street() -> tuple:
    """A lamp in the dark, and how a camera sees it."""
    image = np.full((128, 128, 3), 8, np.uint8)
    image[60:66, 60:66] = 255
    light = measure(VIF, {"a": image, "b": image[:, :, 0]})
    depth = np.full((128, 128), 0.5, np.float32)
    return image, view(image, of=draw_scene(VIF, Streams(0, 0), 128, lambda: depth, "proxy", light))


def test_at_night_a_lamp_stays_white_and_the_haze_around_it_glows():
    image, seen = night_street()
    params = HAZE.draw(0.5, seen, stream(2, 0, "draw"), {})
    out = to_bytes(HAZE.apply(to_linear(image), params, seen))
    assert (out[62:64, 62:64] > 240).all()
    rings = [float(luma(out)[63, 63 + r]) for r in (5, 10, 20, 40)]
    assert rings == sorted(rings, reverse=True)
    assert rings[0] > 30, "a halo"
    assert luma(out)[:20, :20].max() < 25, "and dark elsewhere"


def test_by_day_nothing_is_a_lamp():
    image = photograph()
    seen = view(image)
    assert HAZE.draw(0.5, seen, stream(2, 0, "draw"), {}).lamp_gain == 1


def test_patches_and_layers_leave_the_mean_density():
    from synth.degradations.haze import _density

    params = replace(HAZE.draw(0.5, view(photograph()), stream(2, 0, "draw"), {}), patchiness=0.4, layer=1.0)
    fields = [_density(replace(params, seed=seed), (256, 256)) for seed in range(30)]
    assert np.mean(fields) == pytest.approx(1, abs=0.05)
    assert 0.2 < np.std(fields[0]) < 1
    small = _density(params, (128, 128))
    assert np.abs(cv2.resize(_density(params, (256, 256)), (128, 128)) - small).max() < 0.1, "equal at every size"
