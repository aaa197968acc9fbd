"""What was laid around an image after its sensor: no weather and no lens touches it, and no statistic counts it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from synth import degrade
from synth.degradations import effects
from synth.degradations.base import Stage
from synth.degradations.settings import parse_effect
from synth.images import codecs
from synth.images.pixels import Bytes, to_linear
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.streams import Streams
from synth.tasks import TASKS
from tests.synth.helpers import photograph, write_pair

A = photograph(120, 160)
WHOLE = np.clip(photograph(120, 160, colour=False), 30, 225)
EARLY = [name for name, effect in effects().items() if effect.stage <= Stage.SENSOR]


def padded(image: Bytes, value: int = 0) -> Bytes:
    out = image.copy()
    out[:14] = value
    out[:, -10:] = value
    return out


PADDED = padded(WHOLE)
PADDING = padded(np.ones((120, 160), np.uint8)) == 0


@pytest.mark.parametrize("name", EARLY)
def test_scene_lens_and_sensor_leave_padding_as_it_is(name):
    done = degrade(A, PADDED, {name: {"severity": 0.9, "images": "b"}}, task="vif", seed=4)
    assert not PADDED[PADDING].any()
    assert not done.b[PADDING].any()
    assert (done.b[~PADDING] != PADDED[~PADDING]).mean() > 0.3


@pytest.mark.parametrize("name", ["haze", "blur", "motion", "defocus"])
def test_what_is_beside_padding_looks_as_if_the_camera_had_seen_on(name):
    """It is nearer to the picture without padding than where an effect takes padding for black things."""
    rim = (cv2.dilate(PADDING.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & ~PADDING
    capture = TASKS["vif"].capture
    of_whole, of_padded = (Shot.of_whole(Backdrop(capture, {"a": A, "b": b}), Streams(4, 0)) for b in (WHOLE, PADDED))
    spec = [parse_effect({name: 0.8})]
    wanted, done, taken = (
        shot.damage(shot.draw(spec))["b"].image[rim].astype(int)
        for shot in (of_whole, of_padded, replace(of_padded, contents={}))
    )
    assert np.abs(done - wanted).mean() < 0.6 * np.abs(taken - wanted).mean()


def test_the_file_holds_padding_like_all_else():
    done = degrade(A, PADDED, {"jpeg": {"quality": 10}}, task="vif", seed=4)
    assert done.b[PADDING].any()
    both = degrade(A, PADDED, {"rain": 0.8, "jpeg": {"quality": 90}}, task="vif", seed=4)
    inner = cv2.erode(PADDING.astype(np.uint8), np.ones((19, 19), np.uint8), borderValue=1) > 0
    assert both.b[inner].max() <= 2, "rings of the edge, no streaks"


def test_light_and_depth_are_those_of_the_content():
    capture = TASKS["mef"].capture
    dark, bright = photograph(120, 160) // 3, np.clip(photograph(120, 160), 30, 225)
    inside = np.s_[:, 20:-20]
    frame = np.zeros_like(bright)
    shots = {"a": frame.copy(), "b": frame.copy()}
    shots["a"][inside], shots["b"][inside] = dark[inside], bright[inside]
    shots["a"][:, :20] = shots["a"][:, -20:] = 0
    light = Backdrop(capture, shots).light
    wanted = Backdrop(capture, {"a": dark[inside], "b": bright[inside]}).light
    unmasked = float(np.percentile(bright[inside], 50)), float(np.percentile(shots["b"], 50))
    assert unmasked[0] > unmasked[1] + 10, "a quarter of the picture would move the median"
    assert light.p50 == pytest.approx(wanted.p50, rel=0.15)
    assert light.white == pytest.approx(wanted.white, rel=0.05)
    assert light.gain["a"] == pytest.approx(wanted.gain["a"], rel=0.05)


def test_infrared_fades_toward_the_mean_of_what_it_saw():
    entries = degrade(A, PADDED, {"haze": 0.5}, task="vif", seed=1).record["degradations"]
    assert entries[1]["params"]["airlight"][0] == pytest.approx(to_linear(PADDED)[~PADDING].mean(), rel=0.05)
    assert to_linear(PADDED).mean() < 0.9 * to_linear(PADDED)[~PADDING].mean(), "which padding would darken"


@pytest.mark.parametrize("flip", [True, False])
def test_padding_is_where_the_window_of_a_sample_has_it(tmp_path, flip):
    write_pair(tmp_path / "x-1", A, PADDED)
    data = {
        **{"name": "t", "task": "vif", "samples": 12, "sources": [{"folder": str(tmp_path)}], "store": ["clean"]},
        "crop": {"size": 64, "scale": [0.55, 1.0], "flip": flip},
        "degradations": {"always": [{"snow": 0.8}, {"motion": 0.5}], "indoor": "as_outdoor"},
        "instructions": {"kinds": {"full": 0.5, "keep": 0.5}},
    }
    plan = make_plan(Recipe.model_validate(data))
    with_some = 0
    for index in range(12):
        sample = render(plan, index)
        assert sample.clean is not None
        clean = sample.clean["b"]
        sure = cv2.erode((clean == 0).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
        with_some += bool(sure.any())
        assert not sample.b[sure].any()
    assert with_some >= 5


def test_a_kept_effect_leaves_the_padding_of_both_shots(tmp_path):
    shots = [padded(np.clip(photograph(100, 120), 30, 225), 0)[:96, :120] for _ in range(2)]
    write_pair(tmp_path / "x-1", *shots)
    data = {
        **{"name": "t", "task": "mff", "samples": 1, "sources": [{"folder": str(tmp_path)}]},
        **{"crop": {"size": 96, "scale": [1, 1]}, "instructions": {"kinds": {"keep": 1}}},
        "degradations": {"always": [{"snow": 0.9}], "indoor": "as_outdoor"},
    }
    sample = render(make_plan(Recipe.model_validate(data)), 0)
    assert sample.target[:8].max() < 10
    assert codecs.encode_png(sample.target[20:]) != codecs.encode_png(sample.a[20:])
