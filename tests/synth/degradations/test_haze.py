"""Haze: the equation, and one scene in two images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from synth.degradations import effects
from synth.degradations.engine import EffectSpec, damage, draw
from synth.degradations.haze import _density
from synth.images.pixels import luma, to_bytes, to_linear
from synth.scene.backdrop import Backdrop
from synth.scene.light import unclip
from synth.scene.scene import Distances, draw_scene
from synth.streams import Streams, stream
from synth.tasks import TASKS
from tests.synth.helpers import photograph, scene, view

VIF = TASKS["vif"].capture

HAZE = effects()["haze"]
EVERYWHERE_FAR = Distances(lambda: np.full((128, 128), 0.8, np.float32), "proxy")


def even(params):
    """The same haze without patches, layers and lamps: the textbook's."""
    return replace(params, patchiness=0.0, layer=0.0, lamp_gain=1.0)


def test_is_koschmieder_pixel_by_pixel():
    image = photograph()
    seen = view(image, of=scene(*image.shape[:2], {"a": 0.25, "b": 1.0}))
    params = even(HAZE.draw(0.6, seen, stream(1, 0, "draw"), {}))
    linear = to_linear(image) * np.float32(0.2)  # nothing outshines the white of the brighter image
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
    light = Backdrop(TASKS["mef"].capture, {"a": dark, "b": bright}).light
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
    far = replace(near, depth_map=near.depth * 50, depth_range_m=12_500.0)
    views = [view(image, of=s) for s in (near, far)]
    params = [HAZE.draw(0.5, v, stream(1, 0, "draw"), {}) for v in views]
    out = [HAZE.apply(to_linear(image), p, v) for p, v in zip(params, views, strict=True)]
    assert np.allclose(out[0], out[1], atol=1e-5)
    assert params[1].visibility_m == pytest.approx(50 * params[0].visibility_m)


def test_a_night_scene_stays_dark():
    night = np.full((128, 128, 3), 6, np.uint8)
    night[60:64, 60:64] = 255
    light = Backdrop(VIF, {"a": night, "b": night[:, :, 0]}).light
    seen = draw_scene(VIF, Streams(0, 0), 128, EVERYWHERE_FAR, light)
    assert seen.night == 1
    assert max(seen.airlight) < 0.005, "fog is as bright as the scene that lights it"


def night_street() -> tuple:
    """A lamp in the dark, and how a camera sees it."""
    image = np.full((128, 128, 3), 8, np.uint8)
    image[60:66, 60:66] = 255
    light = Backdrop(VIF, {"a": image, "b": image[:, :, 0]}).light
    depth = np.full((128, 128), 0.5, np.float32)
    return image, view(image, of=draw_scene(VIF, Streams(0, 0), 128, Distances(lambda: depth, "proxy"), light))


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


def test_china_and_snow_are_no_lamps_and_a_street_lamp_is_one():
    """Of equal white: only what is small lights the fog around it."""
    broad, small = np.full((128, 128, 3), 8, np.uint8), np.full((128, 128, 3), 8, np.uint8)
    broad[40:90, 30:100] = 255
    small[60:64, 60:64] = 255
    depth = np.full((128, 128), 0.5, np.float32)
    glow = {}
    for name, image in (("broad", broad), ("small", small)):
        light = replace(Backdrop(VIF, {"a": small, "b": small[:, :, 0]}).light, night=1.0)
        seen = view(image, of=draw_scene(VIF, Streams(0, 0), 128, Distances(lambda: depth, "proxy"), light))
        params = replace(HAZE.draw(0.5, seen, stream(2, 0, "draw"), {}), patchiness=0.0, layer=0.0)
        dark = replace(params, lamp_gain=1.0)
        difference = HAZE.apply(to_linear(image), params, seen) - HAZE.apply(to_linear(image), dark, seen)
        glow[name] = float(np.abs(difference[image[:, :, 0] == 8]).sum())
    assert glow["small"] > 1
    assert glow["broad"] < 0.05 * glow["small"]


def test_a_red_lamp_stays_red():
    image = np.full((128, 128, 3), 8, np.uint8)
    image[60:66, 60:66] = (255, 40, 40)
    depth = np.full((128, 128), 0.5, np.float32)
    light = replace(Backdrop(VIF, {"a": image, "b": image[:, :, 0]}).light, night=1.0)
    seen = view(image, of=draw_scene(VIF, Streams(0, 0), 128, Distances(lambda: depth, "proxy"), light))
    params = HAZE.draw(0.5, seen, stream(2, 0, "draw"), {})
    out = to_bytes(HAZE.apply(to_linear(image), params, seen)).astype(int)
    for y, x in ((63, 63), (63, 70), (63, 80)):
        red, green, blue = out[y, x]
        assert red > green + 15
        assert red > blue + 15
    assert out[63, 63, 0] > 240


def sky_and_land(sky: int, land: int):
    image = np.full((96, 96, 3), land, np.uint8)
    image[:48] = sky
    of = scene(96, 96)
    depth = np.where(np.arange(96)[:, None] < 48, np.float32(250), np.float32(100)).repeat(96, 1)
    return image, view(image, of=replace(of, depth_map=depth))


def test_fog_does_not_darken_the_sky_that_lights_it():
    image, seen = sky_and_land(240, 60)
    assert max(seen.scene.airlight) < to_linear(np.uint8([[240]])).item(), "or nothing is tested"
    params = even(HAZE.draw(0.7, seen, stream(1, 0, "draw"), {}))
    out = to_bytes(HAZE.apply(to_linear(image), params, seen))
    assert np.abs(out[:44].astype(int) - 240).max() <= 1
    assert (out[60:] > 90).all(), "while the land is veiled"


def test_a_sky_darker_than_the_airlight_is_veiled_as_anything_else():
    image, seen = sky_and_land(80, 60)
    params = even(HAZE.draw(0.7, seen, stream(1, 0, "draw"), {}))
    assert (to_bytes(HAZE.apply(to_linear(image), params, seen))[:44] > 150).all()


def test_a_layer_of_mist_hangs_at_a_height_of_the_world():
    """At the far end a low layer is a band at the horizon; near by, rays pass over it or meet it below."""
    far, near = np.full((128, 128), 200, np.float32), np.full((128, 128), 5, np.float32)
    params = replace(HAZE.draw(0.5, view(photograph()), stream(2, 0, "draw"), {}), patchiness=0.0, layer=1.5)
    params = replace(params, layer_m=1.0, layer_thickness_m=1.5, horizon=0.5)
    rows = {}
    of = scene(128, 128)
    for name, depth in (("far", far), ("near", near)):
        density = _density(params, replace(of, depth_map=depth))
        rows[name] = density.mean(axis=1)
        assert float(density.mean()) == pytest.approx(1, abs=0.01)

    def met(row: int) -> float:
        heights = (64 - row - 0.5) / of.focal_px * np.linspace(0, 200, 20_000)
        return 1 + 1.5 * float(np.exp(-(((heights - 1) / 1.5) ** 2)).mean())

    assert rows["far"].argmax() == pytest.approx(64, abs=4)
    for row in (5, 40, 90):
        assert rows["far"][row] / rows["far"][63] == pytest.approx(met(row) / met(63), rel=0.02)
    assert np.ptp(rows["near"]) < 0.5 * np.ptp(rows["far"]), "in five metres no ray climbs out of it"


def test_patches_leave_the_mean_density_and_are_equal_at_every_size():
    params = replace(HAZE.draw(0.5, view(photograph()), stream(2, 0, "draw"), {}), patchiness=0.4, layer=1.0)
    large, small = scene(256, 256), scene(128, 128)
    fields = [_density(replace(params, seed=seed), large) for seed in range(30)]
    assert np.mean(fields) == pytest.approx(1, abs=0.05)
    assert 0.2 < np.std(fields[0]) < 1
    assert np.abs(cv2.resize(_density(params, large), (128, 128)) - _density(params, small)).max() < 0.1
