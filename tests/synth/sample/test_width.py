"""What a recipe may ask for besides its effects: other orders, a flat depth, other cameras."""

from dataclasses import replace

import numpy as np
import pytest

from synth.images import curves
from synth.images.pixels import in_colour
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.inputs import make_inputs
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.scene.backdrop import light_of
from synth.scene.land import look
from synth.tasks import TASKS

NOWHERE = look(np.zeros((64, 64, 3), np.uint8))
SOURCES = {"mef": "bracketed", "mff": "refocused", "vif": "synthetic_thermal"}


def plan(task: str = "mff", **degradations) -> Plan:
    recipe = {
        "name": "t",
        "task": task,
        "seed": 4,
        "samples": 40,
        "sources": [{"builtin": SOURCES[task]}],
        "crop": {"size": 48},
        "degradations": {"always": ["haze", "blur", "jpeg"], **degradations},
        "instructions": {"kinds": {"general": 1}},
        "store": ["clean"],
    }
    return make_plan(Recipe.model_validate(recipe))


def test_what_is_not_asked_for_is_not_told_so_that_old_recipes_keep_their_hash():
    told = plan().recipe.resolved()["tasks"]["mff"]
    assert set(told) == {"weight", "sources", "target", "degradations"}
    assert set(told["degradations"]) == {"always", "some", "order", "second_pass"}
    wide = plan(flat=0.5, curves={"srgb": 1, "hdrps": 1}, order={"stage": 1, "shuffled": 1}).recipe
    told = wide.resolved()["tasks"]["mff"]["degradations"]
    assert (told["flat"], told["curves"], told["order"]) == (0.5, {"srgb": 1, "hdrps": 1}, {"stage": 1, "shuffled": 1})
    assert wide.hash() != plan().recipe.hash()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"curves": {"hdrp": 1}}, "curves: no curve 'hdrp'; did you mean 'hdrps'"),
        ({"curves": {"srgb": 0}}, "curves: each with its weight"),
        ({"order": {"stage": -1}}, "order: each with its weight"),
        ({"order": {"stages": 1}}, "order"),
        ({"flat": 2}, "flat"),
    ],
)
def test_a_mistake_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        plan(**settings)


def test_an_order_may_be_a_share():
    mixed, stage = plan(order={"stage": 0.5, "shuffled": 0.5}), plan()
    usual = tuple(spec.effect for spec in draft(stage, 0).effects)
    orders = [tuple(spec.effect for spec in draft(mixed, index).effects) for index in range(300)]
    other = sum(order != usual for order in orders) / 300
    assert other == pytest.approx(0.5 * 5 / 6, abs=0.08)  # a shuffle of three is the usual order once in six


def test_a_flat_scene_is_equally_far_everywhere_and_a_share_of_all():
    flat = plan(flat=0.5)
    kinds = []
    for index in range(30):
        scene = make_inputs(flat, draft(flat, index)).shot.scene
        kinds.append(scene.depth_kind)
        assert (np.ptp(scene.depth) == 0) == (scene.depth_kind == "flat")
        assert render(flat, index).record["scene"]["depth"] == scene.depth_kind
    assert 8 <= kinds.count("flat") <= 22


def test_haze_in_a_flat_scene_is_an_even_veil():
    """But for its patches: over an even grey, what is left is even."""
    for share, even in ((1, True), (0, False)):
        chosen = plan(flat=share, always=[{"haze": 0.6}])
        spreads = []
        for index in range(6):
            made = make_inputs(chosen, draft(chosen, index))
            haze = next(item for item in made.applied if item.image == "a")
            grey = np.full((48, 48, 3), 0.1, np.float32)
            params = replace(haze.params, patchiness=0.0, layer=0.8)
            veil = haze.degradation.apply(grey, params, made.shot.views["a"])
            spreads.append(float(np.ptp(veil, axis=(0, 1)).max()))  # of a channel: airlight has a colour
        assert (max(spreads) < 1e-3) == even, spreads


def test_effects_mix_light_through_the_curve_of_the_sample():
    """Two stops less light, then nothing: the bytes are those of the curve that the record names."""
    exposure = {"exposure": {"stops": -2, "images": "shared"}}
    chosen = plan(always=[exposure], curves={"hdrps": 1, "srgb": 1})
    seen = set()
    for index in range(12):
        sample = render(chosen, index)
        name = sample.record["scene"].get("curve", "srgb")
        seen.add(name)
        assert sample.clean is not None
        curve = curves.curve(name)
        expected = curve.to_bytes(curve.to_linear(sample.clean["a"]) / np.float32(4))
        assert np.abs(sample.a.astype(int) - expected).max() <= 1
    assert seen == {"hdrps", "srgb"}


def test_infrared_has_no_camera_curve():
    exposure = {"exposure": {"stops": -1, "images": "shared"}}
    wide, usual = (render(plan("vif", always=[exposure], curves=shares), 0) for shares in ({"hdrps": 1}, {}))
    assert np.array_equal(wide.b, usual.b)
    assert not np.array_equal(wide.a, usual.a)


def test_the_gain_of_a_bracket_is_measured_through_the_curve():
    """A bracket that a camera of that curve took: its stops, which sRGB's curve takes for more."""
    curve = curves.curve("hdrps")
    light = np.linspace(0.01, 0.9, 128 * 128, dtype=np.float32).reshape(128, 128)
    shots = {"a": in_colour(curve.to_bytes(light / 8)), "b": in_colour(curve.to_bytes(light))}
    through, usual = (light_of(TASKS["mef"].capture, shots, NOWHERE, name) for name in ("hdrps", "srgb"))
    assert -np.log2(through.gain["a"]) == pytest.approx(3, abs=0.05)
    assert -np.log2(usual.gain["a"]) > 3.25


def test_a_sample_of_all_of_it_is_the_same_each_time():
    wide = {"flat": 0.5, "curves": {"hdrps": 1, "srgb": 1}, "order": {"stage": 1, "shuffled": 1}, "second_pass": 0.5}
    one, two = plan("mef", **wide), plan("mef", **wide)
    for index in (3, 0, 7):
        first, second = render(one, index), render(two, index)
        assert first.record == second.record
        assert np.array_equal(first.a, second.a)
        assert np.array_equal(first.target, second.target)
