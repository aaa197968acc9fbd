"""Effects without a recipe: arrays in, arrays and record out."""

import json

import numpy as np
import pytest

from synth import degrade, effects
from synth.recipe.schema import Recipe
from tests.synth.helpers import photograph

A, B = photograph(96, 128), photograph(96, 128, colour=False)


def test_degrade_gives_a_pair_and_its_record():
    out = degrade(A, B, {"noise": {"sigma": 25, "images": "b"}, "haze": 0.6}, seed=4)
    assert out.a.shape == A.shape
    assert out.b.shape == B.shape
    assert [(e["effect"], e["image"]) for e in out.record["degradations"]] == [
        ("haze", "a"),
        ("haze", "b"),
        ("noise", "b"),
    ]
    assert out.record["degradations"][2]["params"]["sigma"] == 25
    assert json.loads(json.dumps(out.record, allow_nan=False)) == out.record


def test_the_same_call_gives_the_same_bytes_and_another_seed_others():
    one, two, three = (degrade(A, B, {"haze": 0.5, "noise": 0.2}, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.a, two.a)
    assert np.array_equal(one.b, two.b)
    assert not np.array_equal(one.a, three.a)


def test_nothing_asked_changes_nothing():
    out = degrade(A, B, {})
    assert np.array_equal(out.a, A)
    assert np.array_equal(out.b, B)


@pytest.mark.parametrize("name", [None, *effects()])
@pytest.mark.parametrize("severity", [0.0, 0.6])
def test_what_comes_back_is_the_callers_own_and_what_went_in_is_as_it_was(name, severity):
    a, before = A.copy(), A.copy()
    out = degrade(a, a, {} if name is None else {name: {"severity": severity, "images": "a"}}, task="mff")
    for one, two in ((out.a, a), (out.b, a), (out.a, out.b)):
        assert not np.shares_memory(one, two)
    out.a[:], out.b[:] = 0, 255
    assert np.array_equal(a, before)


def test_any_layout_of_memory_is_the_same_picture():
    frozen = A.copy()
    frozen.setflags(write=False)
    expected = degrade(A, B, {"blur": 0.5, "jpeg": 0.5}, seed=2)
    for other in (np.asfortranarray(A), A[::-1].copy()[::-1], np.repeat(A, 2, axis=1)[:, ::2], frozen):
        done = degrade(other, np.asfortranarray(B), {"blur": 0.5, "jpeg": 0.5}, seed=2)
        assert np.array_equal(done.a, expected.a)
        assert np.array_equal(done.b, expected.b)


def test_numbers_may_be_numpys_and_ranges_tuples():
    plain = degrade(
        A, B, {"haze": 0.5, "noise": {"sigma": [5, 40]}, "exposure": {"severity": 0.4, "direction": -1}}, seed=3
    )
    settings = {"severity": np.float64(0.4), "direction": np.int8(-1)}
    for ranged in ((np.int64(5), np.float32(40)), np.array([5, 40])):
        given = {"haze": np.float32(0.5), "noise": {"sigma": ranged}, "exposure": settings}
        for effects_ in (given, [{name: value} for name, value in given.items()], list(given.items())):
            done = degrade(A, B, effects_, seed=np.int64(3))
            assert np.array_equal(done.a, plain.a)
            assert done.record == plain.record
            assert json.loads(json.dumps(done.record)) == done.record
    assert (
        degrade(A, B, ["jpeg", "blur"], seed=np.uint8(1)).record
        == degrade(A, B, {"jpeg": None, "blur": {}}, seed=1).record
    )


def test_the_record_holds_what_fell():
    neutral = {"haze": 0.0, "resolution": {"factor": 1}, "exposure": {"stops": 0}, "contrast": {"gain": 1}, "jpeg": 0}
    assert degrade(A, B, neutral).record["degradations"] == []
    done = degrade(np.zeros_like(A), B, neutral | {"exposure": {"stops": 1}})
    assert [(e["effect"], e["image"]) for e in done.record["degradations"]] == [("exposure", "a"), ("exposure", "b")]


def test_a_depth_map_in_any_unit_is_used():
    near_left = np.linspace(6, 300, 128, dtype=np.float32)[None].repeat(96, 0)
    grey = np.full((96, 128, 3), 60, np.uint8)
    grey[:10] = 220  # what lights the haze
    away = degrade(grey, grey[:, :, 0], {"haze": 0.6}, depth=near_left)
    back = degrade(grey, grey[:, :, 0], {"haze": 0.6}, depth=1 / near_left, depth_kind="inverse")
    moved = np.abs(away.a.astype(int) - grey).mean(axis=(0, 2))
    assert moved[-20:].mean() > 2 * moved[:20].mean(), "the far side is hazier"
    assert np.abs(away.a.astype(int) - back.a).max() <= 2
    assert away.record["scene"]["depth"] == "distance"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"a": A.astype(float)}, "a: float64 of shape"),
        ({"a": A / 255}, "uint8 is needed; of floats in .0, 1.: np.rint"),
        ({"seed": np.float64(1)}, "seed: .* must be an integer from 0"),
        ({"seed": True}, "seed: True must be"),
        ({"effects": ["haze", {"haze": 0.3}]}, "haze is listed twice"),
        ({"effects": 0.5}, "effects: 0.5 must be"),
        ({"b": B[:50]}, "a is 128×96, b is 128×50; a pair has one size"),
        ({"effects": {"hase": 0.5}}, "unknown effect 'hase'; did you mean 'haze'"),
        ({"effects": {"haze": 1.5}}, "haze.severity: 1.5 must lie in"),
        ({"depth": np.ones((5, 5), np.float32)}, "depth has shape"),
        ({"depth": np.zeros((96, 128), np.float32)}, "the depth map is empty"),
    ],
)
def test_a_wrong_argument_is_named(words, message):
    with pytest.raises(ValueError, match=message):
        degrade(**{"a": A, "b": B, "effects": {"haze": 0.5}, **words})


def test_effects_lists_what_degrade_takes():
    assert {"haze", "noise", "jpeg", "blur"} <= set(effects())


def recipe(**degradations) -> Recipe:
    base = {"name": "t", "task": "mef", "samples": 9, "sources": [{"builtin": "bracketed"}], "crop": {"size": 48}}
    always = {"always": [{"haze": 0.1}, {"blur": 0.9}, {"noise": 0.4}, {"jpeg": 0.6}]}  # all of them are seen
    return Recipe.model_validate(
        {**base, "degradations": {**always, **degradations}, "instructions": {"kinds": {"general": 1}}}
    )


def orders(**degradations) -> set[tuple[str, ...]]:
    from synth.sample.plan import make_plan
    from synth.sample.render import render

    plan = make_plan(recipe(**degradations))
    records = [render(plan, index).record for index in range(9)]
    return {tuple(e["effect"] for e in r["degradations"] if e["image"] == "b") for r in records}


def test_effects_fall_in_the_order_of_physics_unless_a_recipe_shuffles_them():
    assert orders() == {("haze", "blur", "noise", "jpeg")}
    assert len(orders(order="shuffled")) > 4


def test_a_second_pass_repeats_all_but_the_scene_with_draws_of_its_own():
    twice = ("haze", "blur", "noise", "jpeg", "blur", "noise", "jpeg")
    assert orders(second_pass=1.0) == {twice}
    assert orders(second_pass=0.5) == {twice, twice[:4]}


def test_pictures_that_are_views_of_others_are_as_good():
    image = np.full((60, 80, 3), 6, np.uint8)
    image[20:40, 20:50] = 160
    views = (image[::-1], image[:, ::-1, 0])
    effects = {"haze": 0.5, "rain": 0.5, "motion": 0.5}
    viewed, copied = (degrade(*pair, effects, seed=1) for pair in (views, map(np.ascontiguousarray, views)))
    assert np.array_equal(viewed.a, copied.a)
    assert np.array_equal(viewed.b, copied.b)
