"""What a record and its sentence speak of can be seen; what cannot leaves no trace."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from synth.degradations.engine import SEEN
from synth.errors import UserError
from synth.recipe.file import load_recipe
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.inputs import make_inputs
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from tests.synth.helpers import generate
from tests.synth.sound import verdict_of

KINDS = {"full": 0.4, "partial": 0.2, "lessen": 0.1, "keep": 0.15, "general": 0.15}


def plan(always: list, **changes) -> Plan:
    data = {
        "name": "seen",
        "task": "mff",
        "seed": 1,
        "samples": 24,
        "samples_per_shard": 24,
        "sources": [{"builtin": "refocused"}],
        "crop": {"size": 64},
        "store": ["clean"],
        "degradations": {"always": always, "indoor": "as_outdoor"},
        "instructions": {"kinds": {"full": 1}},
    }
    return make_plan(Recipe.model_validate({**data, **changes}))


def moved(before, after) -> bool:
    """Whether as much of an image has changed as is seen, counted without the engine."""
    far = np.abs(before.astype(int) - after)
    return any((far >= levels).mean() >= share for levels, share in SEEN.items())


FAINT = [
    {"haze": [0, 0.02]},
    {"noise": {"sigma": [0.1, 3], "images": "any"}},
    {"contrast": {"gain": [0.98, 1.04], "images": "shared"}},
]


def test_every_entry_is_seen_and_what_is_not_named_left_no_trace():
    chosen, counted = plan(FAINT, instructions={"kinds": KINDS}), Counter()
    for index in range(24):
        drawn = draft(chosen, index)
        made, record = make_inputs(chosen, drawn), render(chosen, index).record
        everything = made.shot.draw(drawn.effects)
        assert [e["effect"] for e in record["degradations"]] == [item.effect for item in made.applied]
        left_out = Counter((name, effect) for name, names in record.get("unseen", {}).items() for effect in names)
        assert left_out + Counter((e["image"], e["effect"]) for e in record["degradations"]) == Counter(
            (item.image, item.effect) for item in everything
        )
        counted["drawn"] += len(everything)
        counted["seen"] += len(made.applied)
        for name, clean in made.shot.pictures.items():
            here = [item for item in made.applied if item.image == name]
            after = [made.shot.damage(here[:number])[name].image for number in range(len(here) + 1)]
            assert np.array_equal(after[-1], made.images[name].image), "the record's effects alone make the image"
            assert np.array_equal(after[0], clean)
            assert all(moved(*pair) for pair in pairwise(after))
        assert (record["kind"] == "clean") == (not record["degradations"])
        if record["kind"] == "clean":
            assert all(np.array_equal(made.images[name].image, clean) for name, clean in made.shot.pictures.items())
    assert 0.2 < counted["seen"] / counted["drawn"] < 0.8, "both happen here"


@pytest.mark.parametrize("per_pair", [1, 3])
def test_verify_finds_such_samples_sound_whatever_is_asked_of_them(tmp_path, per_pair):
    generate(plan(FAINT, instructions={"kinds": KINDS, "per_pair": per_pair}), tmp_path)
    assert [str(fault) for fault in verdict_of(tmp_path).faults] == []


def test_where_all_is_seen_nothing_is_another():
    strong = plan([{"noise": {"sigma": 20}}, {"jpeg": 0.8}])
    for index in range(6):
        drawn = draft(strong, index)
        assert make_inputs(strong, drawn).drawn is drawn


def test_a_shared_effect_that_one_image_shows_is_not_kept_while_others_go():
    """On an image that is white all over a brighter exposure is not seen."""
    chosen = plan([{"exposure": {"stops": 1, "images": "shared"}}, "haze"], instructions={"kinds": {"partial": 1}})
    kinds = Counter(render(chosen, index).record["kind"] for index in range(12))
    assert set(kinds) <= {"partial", "full"}


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        ({"resolution": {"factor": 1}}, "resolution of factor 1"),
        ({"exposure": {"stops": 0}}, "exposure of stops 0"),
        ({"exposure": {"stops": [-0.01, 0.01]}}, "exposure of stops -0.01 to 0.01"),
        ({"contrast": {"gain": 1}}, "contrast of gain 1"),
        ({"jpeg": 0}, "jpeg of severity 0"),
        ({"jpeg": {"quality": 100, "subsampling": 444}}, "jpeg of quality 100"),
        ({"noise": {"sigma": [0.1, 0.3]}}, "noise of sigma 0.1 to 0.3"),
        ({"haze": {"severity": [0, 0.0005]}}, "haze of severity 0 to 0.0005"),
        ({"imgaug": {"name": "Add", "args": {"value": 0}, "as": "exposure"}}, "imgaug.Add of arguments {'value': 0}"),
    ],
)
def test_an_effect_that_is_never_seen_is_refused_in_one_line(tmp_path, effect, told):
    for where in ({"always": [effect]}, {"always": ["noise"], "some": {"count": {1: 1}, "of": [effect, "blur"]}}):
        if list(effect) == ["noise"] and "some" in where:
            where = {"always": ["jpeg"], "some": where["some"]}
        with pytest.raises(ValueError, match="changes nothing that can be seen") as caught:
            plan([], degradations=where)
        assert told in str(caught.value)
    file = tmp_path / "r.yaml"
    file.write_text(
        "name: r\ntask: mff\nsamples: 1\nsources: [{builtin: refocused}]\n"
        f"degradations: {{always: [{effect!r}]}}\n".replace("'", '"')
    )
    with pytest.raises(UserError) as refused:
        load_recipe(file)
    assert "\n" not in str(refused.value)


def test_what_is_faint_is_not_refused():
    for effect in ({"noise": {"sigma": 1}}, {"blur": 0.1}, {"exposure": {"stops": [0, 0.2]}}, {"haze": [0, 1]}):
        plan([effect])
