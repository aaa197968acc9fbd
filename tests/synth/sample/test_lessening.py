"""Lessened targets lie between those that remove and those that keep; emphasis moves targets alone."""

from typing import Any

import numpy as np
import pytest

from synth.degradations.base import REGISTRY
from synth.instructions.grammar import FACTORS
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import Sample, render

BUILTIN = {"vif": "synthetic_thermal", "mef": "bracketed", "mff": "refocused"}
LESSENED: list[dict[str, Any]] = [
    {"haze": 0.7},
    {"haze": {"visibility_m": 300}},
    {"rain": 0.8},
    {"rain": {"rate": 60}},
    {"snow": 0.8},
    {"exposure": {"severity": 0.6, "direction": -1, "images": "shared"}},
    {"exposure": {"stops": 2, "images": "shared"}},
    {"contrast": {"gain": 0.4, "images": "shared"}},
]


def samples(task: str, always: list[dict[str, Any]], kinds: dict[str, float], count: int, **more: Any) -> list[Sample]:
    recipe = {
        "name": "t",
        "task": task,
        "seed": 11,
        "samples": 64,
        "sources": [{"builtin": BUILTIN[task]}],
        "crop": {"size": 96, "flip": False},
        "degradations": {"always": always},
        "instructions": {"kinds": kinds, **more},
    }
    plan = make_plan(Recipe.model_validate(recipe))
    return [render(plan, index) for index in range(count)]


def apart(x: Sample, y: Sample) -> float:
    return float(np.abs(x.target.astype(float) - y.target).mean())


@pytest.mark.parametrize("effect", LESSENED, ids=str)
@pytest.mark.parametrize("task", BUILTIN)
def test_a_lessened_target_lies_between_the_removed_and_the_kept_one_by_its_factor(task, effect):
    """Of each of a few pairs the targets of all factors: the nearer to the kept one, the more is left, and as drawn."""
    removed, kept = (samples(task, [effect], {kind: 1}, 12)[0] for kind in ("full", "keep"))
    found = {0.0: removed, 1.0: kept}
    recipe: dict[str, Any] = {"kinds": {"lessen": 1}, "per_pair": 8}
    for sample in samples(task, [effect], {"lessen": 1}, 8, per_pair=recipe["per_pair"])[1:]:
        if sample.record["kind"] != "lessen":
            continue
        (factor,) = {entry.get("factor") for entry in sample.record["degradations"]}
        assert {entry["asked"] for entry in sample.record["degradations"]} == {"lessen"}
        assert np.array_equal(sample.a, removed.a)
        assert np.array_equal(sample.b, removed.b)
        found[float(factor or 0)] = sample
    assert sorted(found) == sorted([0.0, *FACTORS, 1.0])
    from_removed = [apart(found[factor], removed) for factor in sorted(found)]
    from_kept = [apart(found[factor], kept) for factor in sorted(found)]
    assert from_removed == sorted(from_removed)
    assert from_kept == sorted(from_kept, reverse=True)
    assert from_removed[1] > 0.05


@pytest.mark.parametrize("effect", ["haze", "rain", "snow", "exposure", "contrast"])
def test_a_strength_goes_toward_its_neutral_value(effect):
    quantity = next(quantity for quantity in REGISTRY[effect].quantities.values() if quantity.strength)
    for value in (quantity.low, quantity.high):
        ends = [quantity.lessened(value, factor) for factor in (1e-9, 0.5, 1.0)]
        assert ends[2] == pytest.approx(value)
        if np.isinf(quantity.neutral):
            assert ends[1] == 2 * value
            assert ends[0] > 1e8
        else:
            assert ends[0] == pytest.approx(quantity.neutral, abs=1e-6)
            assert ends[1] == pytest.approx((value + quantity.neutral) / 2)


def test_several_effects_have_several_fates():
    always: list[dict[str, Any]] = [{"haze": 0.6}, {"rain": 0.6}, {"noise": {"sigma": 20}}]
    fates = {
        frozenset((entry["effect"], entry["asked"]) for entry in sample.record["degradations"])
        for sample in samples("vif", always, {"lessen": 1}, 40)
    }
    assert {("noise", "remove"), ("haze", "lessen"), ("rain", "remove")} in fates
    assert {("noise", "remove"), ("haze", "keep"), ("rain", "lessen")} in fates
    assert {("noise", "remove"), ("haze", "lessen"), ("rain", "lessen")} in fates
    assert all(("noise", "remove") in fate for fate in fates)


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_emphasis_moves_the_target_alone_and_at_its_neutral_value_no_byte(task):
    always: list[dict[str, Any]] = [{"noise": {"sigma": 20}}]
    plain = samples(task, always, {"full": 1}, 10)
    neutral = samples(task, always, {"full": 1}, 10, emphasis={"share": 0.0, "amount": [0.5, 1.0]})
    stressed = samples(task, always, {"full": 1}, 10, emphasis={"share": 1.0, "amount": [0.8, 1.0]})
    ways = set()
    for one, same, other in zip(plain, neutral, stressed, strict=True):
        assert np.array_equal(one.target, same.target)
        assert "emphasis" not in same.record["target"]
        assert (one.record["version"], other.record["version"]) == (1, 2)
        assert np.array_equal(one.a, other.a)
        assert np.array_equal(one.b, other.b)
        amount = other.record["target"]["emphasis"]  # type: ignore[typeddict-item]
        ways.add(amount > 0)
        assert other.record["phrases"][-1].startswith("emphasis.")
        brighter = float(other.target.mean()) - float(one.target.mean())
        assert brighter * amount > 0
    assert len(ways) == 2


def test_mff_has_nothing_to_stress():
    always: list[dict[str, Any]] = [{"noise": {"sigma": 20}}]
    for sample in samples("mff", always, {"full": 1}, 4, emphasis={"share": 1.0}):
        assert "emphasis" not in sample.record["target"]


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_more_emphasis_is_farther_from_the_neutral_target(task):
    always: list[dict[str, Any]] = [{"noise": {"sigma": 20}}]
    (plain,) = samples(task, always, {"full": 1}, 1)
    amounts = (0.01, 0.3, 0.6, 1.0)
    moved = [samples(task, always, {"full": 1}, 1, emphasis={"share": 1, "amount": [x, x]})[0] for x in amounts]
    distances = [apart(plain, other) for other in moved]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]
