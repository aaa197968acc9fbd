"""A sample is a pure function of (recipe, index)."""

import json
from collections import Counter

import numpy as np
import pytest

from synth.instructions.phrases import PHRASED
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.streams import stream

DATA = {
    "name": "t",
    "task": "mef",
    "seed": 3,
    "samples": 40,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 64},
    "degradations": {
        "always": [{"haze": {"severity": [0.2, 0.9]}}],
        "some": {"count": {0: 0.5, 2: 0.5}, "of": ["noise", "jpeg", {"blur": {"images": "any"}}]},
    },
    "store": ["clean"],
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


def same(one, other) -> bool:
    pixels = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("a", "b", "target"))
    pixels = pixels and all(np.array_equal(one.clean[name], other.clean[name]) for name in ("a", "b"))
    return pixels and json.dumps(one.record) == json.dumps(other.record)


def test_order_and_company_change_nothing():
    forward = [render(plan(), index) for index in range(6)]
    backward = [render(plan(), index) for index in reversed(range(6))]
    assert all(same(one, other) for one, other in zip(forward, reversed(backward), strict=True))


def test_more_samples_change_none_of_the_old():
    assert same(render(plan(), 5), render(plan(samples=100_000, samples_per_shard=7), 5))


def test_another_index_and_another_seed_give_another_sample():
    first = render(plan(), 0)
    assert not np.array_equal(first.a, render(plan(), 1).a)
    assert not np.array_equal(first.a, render(plan(seed=4), 0).a)


def test_the_streams_never_change():
    """Pinned: another value here would make every dataset another one."""
    assert stream(1, 2, "three").integers(1_000_000, size=3).tolist() == [832573, 942473, 634136]


def test_streams_are_independent_of_each_other():
    draws = np.array([[stream(0, n, name).random() for n in range(3000)] for name in ("crop", "pair", "haze.a.draw")])
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.06
    assert draws.mean(axis=1) == pytest.approx([0.5] * 3, abs=0.02)


def test_an_effect_added_to_the_recipe_moves_no_draw_of_the_others():
    more = {"always": [*DATA["degradations"]["always"], {"noise": {"sigma": 9}}]}  # type: ignore[index]
    less = {"always": DATA["degradations"]["always"]}  # type: ignore[index]
    one, other = (render(plan(degradations=d), 2).record for d in (less, more))
    assert one["degradations"] == [item for item in other["degradations"] if item["effect"] == "haze"]
    assert one["crop"] == other["crop"]
    assert one["scene"] == other["scene"]


def test_kinds_counts_and_effects_come_out_as_asked():
    drafts = [draft(plan(instructions={"kinds": {"full": 0.6, "general": 0.3, "clean": 0.1}}), n) for n in range(4000)]
    kinds = Counter(d.intent.kind for d in drafts)
    assert {k: n / 4000 for k, n in kinds.items()} == pytest.approx(
        {"full": 0.6, "general": 0.3, "clean": 0.1}, abs=0.02
    )
    damaged = [d for d in drafts if d.intent.kind != "clean"]
    counts = Counter(len(d.effects) for d in damaged)
    assert counts[1] / len(damaged) == pytest.approx(0.5, abs=0.02)
    assert counts[3] / len(damaged) == pytest.approx(0.5, abs=0.02)
    names = Counter(spec.effect for d in damaged for spec in d.effects)
    assert names["haze"] == len(damaged)
    for name in ("noise", "jpeg", "blur"):
        assert names[name] / len(damaged) == pytest.approx(1 / 3, abs=0.02)


def test_a_clean_sample_is_the_clean_pair():
    chosen = plan(instructions={"kinds": {"clean": 1.0}})
    sample = render(chosen, 0)
    assert sample.record["degradations"] == []
    assert np.array_equal(sample.a, sample.clean["a"])
    assert np.array_equal(sample.b, sample.clean["b"])


def test_the_record_holds_all_that_was_drawn():
    record = next(r for r in (render(plan(), n).record for n in range(40)) if len(r["degradations"]) > 4)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {item["effect"] for item in record["degradations"]} <= PHRASED
    assert {item["asked"] for item in record["degradations"]} == {"remove"}
    stages = ["scene", "optics", "sensor", "processing", "codec"]
    order = [stages.index(item["stage"]) for item in record["degradations"]]
    assert order == sorted(order)
    haze = [item for item in record["degradations"] if item["effect"] == "haze"]
    assert haze[0]["params"] == haze[1]["params"]


def test_the_target_is_the_fusion_of_the_clean_pair_whatever_fell_on_it():
    gentle = render(plan(degradations={"always": [{"noise": {"sigma": 1}}]}), 4)
    strong = render(plan(degradations={"always": [{"noise": {"sigma": 60}}]}), 4)
    assert np.array_equal(gentle.target, strong.target)


@pytest.mark.parametrize(
    ("task", "builtin"), [("vif", "synthetic_thermal"), ("mef", "bracketed"), ("mff", "refocused")]
)
def test_every_builtin_source_makes_samples(task, builtin):
    chosen = plan(task=task, sources=[{"builtin": builtin, "split": "all"}])
    scenes = {pair.scene for pool in chosen.pools for pair in pool.pairs}
    assert len(scenes) == 6
    for index in range(12):
        sample = render(chosen, index)
        assert sample.a.shape[:2] == sample.b.shape[:2] == sample.target.shape[:2] == (64, 64)
    if task == "vif":
        assert sample.b.ndim == 2, "infrared is grey"


def test_the_builtin_test_photographs_are_not_among_those_to_train_on():
    train, test = (plan(sources=[{"builtin": "bracketed", "split": split}]) for split in ("train", "test"))
    scenes = [{pair.scene for pool in p.pools for pair in pool.pairs} for p in (train, test)]
    assert not scenes[0] & scenes[1]


def test_several_tasks_are_drawn_by_weight():
    inner = {"degradations": DATA["degradations"]}
    tasks = {
        "mef": {**inner, "sources": [{"builtin": "bracketed"}], "weight": 3},
        "mff": {**inner, "sources": [{"builtin": "refocused"}]},
    }
    data = {key: value for key, value in DATA.items() if key not in ("task", "sources", "degradations")}
    both = make_plan(Recipe.model_validate({**data, "tasks": tasks}))
    drawn = Counter(draft(both, n).task for n in range(2000))
    assert drawn["mef"] / 2000 == pytest.approx(0.75, abs=0.03)
