"""`synth verify`: sentences agree with their records, and those of other records do not."""

from typing import Any

import pytest

from synth.audit.sentences import faults_of
from synth.instructions.grammar import compose
from synth.sample.inputs import asked_of
from synth.sample.plan import make_plan
from synth.tasks import TASKS
from tests.synth.helpers import drawn_for


def test_three_thousand_sentences_are_found_to_agree_and_none_with_a_record_that_asks_for_something_else():
    """What grammar composes for a draft is read back as its own; the sentence of the draft before is not."""
    from synth.instructions.intent import mentions
    from synth.recipe.file import find_recipe, load_recipe
    from synth.sample.draft import draft
    from synth.streams import stream

    chosen = make_plan(load_recipe(find_recipe("all_in_one")))
    before: dict[str, Any] | None = None
    foreign = caught = 0
    for index in range(3_000):
        drawn = draft(chosen, index)
        applied = asked_of(drawn_for(drawn, chosen.recipe.seed), drawn.intent)
        remove, kept = mentions(drawn.intent, applied, TASKS[drawn.task], ["a", "b"])
        words = stream(chosen.recipe.seed, index, "instruction.words")
        sentence = compose(drawn.intent.kind, remove, kept, "train", words)
        entries = [item.to_record() for item in applied]
        record = {
            "task": drawn.task,
            "kind": drawn.intent.kind,
            "degradations": entries,
            "absent": [drawn.intent.absent] if drawn.intent.absent else [],
            "instruction": sentence.text,
            "phrases": list(sentence.phrases),
            "phrase_split": "train",
        }
        assert faults_of(record) == [], record
        if before is not None and drawn.intent.kind in ("full", "partial") and wanted_of(before) != wanted_of(record):
            swapped = {**record, "instruction": before["instruction"]}
            foreign += _plain(swapped) != _plain(record)
            caught += bool(faults_of(swapped))
        before = record
    assert caught == foreign > 1500


def _plain(record: dict[str, Any]) -> str:
    """A sentence without what makes no other of it: a capital and a full stop."""
    return str(record["instruction"]).casefold().removesuffix(".")


def wanted_of(record: dict[str, Any]) -> tuple[str, set[tuple[str, str, str]]]:
    """The kind of an instruction, and what it wants of each effect on each image."""
    return record["kind"], {(entry["effect"], entry["image"], entry["asked"]) for entry in record["degradations"]}


@pytest.mark.parametrize(("stops", "sound"), [(-2.0, True), (1.5, False)])
def test_a_way_that_was_not_drawn_is_found(stops, sound):
    entry = {"effect": "exposure", "image": "a", "severity": 0.5, "asked": "remove"}
    record = {
        "task": "vif",
        "kind": "full",
        "degradations": [entry | {"params": {"stops": stops, "direction": 1 if stops > 0 else -1}}],
        "absent": [],
        "instruction": "lighten the scene",
        "phrases": ["exposure.ways.dark.request.02", "wrap.01"],
        "phrase_split": "all",
    }
    assert bool(faults_of(record)) != sound


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instruction": "remove the dense haze"}, "do not make"),
        ({"instruction": "remove the haze in the infrared image"}, "do not make"),
        ({"instruction": "remove the fog"}, "do not make"),
        ({"instruction": "Remove the thin haze in both images."}, None),
        ({"phrases": ["rain.request.01", "wrap.01"]}, "it names rain; to be removed are haze"),
        ({"phrases": ["haze.request.01", "wrap.01", "wrap.01"]}, "no full sentence is made of the phrases"),
        ({"phrases": ["wrap.01", "haze.request.01"]}, "no full sentence is made of the phrases"),
        ({"phrases": ["haze.request.01", "keep.01"]}, "no full sentence"),
        ({"phrases": ["haze.request.05", "wrap.01"]}, "is of test, the record says train"),
        ({"phrases": ["file.3"], "instruction": "entferne den Nebel"}, None),
        ({"phrases": ["file.x"]}, "is not in phrases.yaml"),
        ({"phrases": []}, "no phrases"),
        ({"kind": "general"}, "kind general, and its phrases are"),
        ({"kind": "clean"}, "kind clean, and 1 effects in the record"),
        ({"kind": "half"}, "kind 'half' is none of"),
        ({"degradations": []}, "kind full, and 0 effects"),
    ],
)
def test_a_sentence_against_its_record(changes, words):
    entry = {"effect": "haze", "stage": "scene", "severity": 0.2, "asked": "remove", "params": {}}
    record = {
        "task": "vif",
        "kind": "full",
        "degradations": [{**entry, "image": "a"}, {**entry, "image": "b"}],
        "absent": [],
        "instruction": "remove the thin haze",
        "phrases": ["haze.request.01", "wrap.01"],
        "phrase_split": "train",
    }
    assert faults_of(record) == []
    found = faults_of({**record, **changes})
    assert (found == []) if words is None else any(words in fault for fault in found), found


def entry(effect: str, image: str, severity: float | None = 0.5, **more: Any) -> dict[str, Any]:
    known = {"effect": effect, "image": image, "severity": severity, "asked": "remove", "params": {}}
    return {**known, **more}


def both(effect: str, severity: float | None = 0.5, **more: Any) -> list[dict[str, Any]]:
    return [entry(effect, "a", severity, **more), entry(effect, "b", severity, **more)]


HALF: dict[str, Any] = {"asked": "lessen", "factor": 0.5}


@pytest.mark.parametrize(
    ("entries", "kind", "text", "phrases", "words"),
    [
        (both("haze", **HALF), "lessen", "halve the haze", ["haze.less.half.21", "wrap.01"], None),
        (
            both("haze", **HALF),
            "lessen",
            "clear most of the haze",
            ["haze.less.most.21", "wrap.01"],
            "no lessen sentence",
        ),
        (both("haze", **HALF), "lessen", "remove the haze", ["haze.request.01", "wrap.01"], "no lessen sentence"),
        (both("haze", **HALF), "full", "remove the haze", ["haze.request.01", "wrap.01"], "1 of 1 effects are marked"),
        (
            both("haze"),
            "lessen",
            "halve the haze",
            ["haze.less.half.21", "wrap.01"],
            "0 of 1 effects are marked lessen",
        ),
        (
            both("noise", **HALF),
            "lessen",
            "halve the haze",
            ["haze.less.half.21"],
            "noise is kept, which no instruction",
        ),
        (both("snow", 0.2), "full", "clean the blizzard up", ["snow.request.09", "wrap.01"], "is not true of what was"),
        (both("snow", 0.8), "full", "clean the blizzard up", ["snow.request.09", "wrap.01"], None),
        (both("motion"), "full", "fix the shaky shot", ["motion.request.04", "wrap.01"], "is not true of what was"),
        ([entry("motion", "a")], "full", "fix the shaky shot", ["motion.request.04", "wrap.01"], None),
        (both("sensor_noise"), "full", "suppress the Gaussian noise", ["noise.request.07", "wrap.01"], "is not true"),
        (both("noise"), "full", "suppress the Gaussian noise", ["noise.request.07", "wrap.01"], None),
        (both("noise", 0.2), "full", "no slight grain", ["noise.terse.03", "keywords.01"], "is not true of what was"),
        (
            [*both("noise", None), *both("rain", asked="keep")],
            "partial",
            "there is noise: make one clean image of the two",
            ["noise.complaint.01", "complain.03"],
            "complain.03 is not true",
        ),
        (
            [*both("noise", None), *both("contrast", asked="keep")],
            "partial",
            "remove the noise but leave the contrast in",
            ["noise.request.01", "but.01", "keep.08"],
            "no partial sentence",
        ),
    ],
)
def test_a_sentence_is_held_to_what_is_true_where_recipes_know_the_rules(entries, kind, text, phrases, words):
    record: Any = {"task": "vif", "kind": kind, "degradations": entries, "absent": [], "instruction": text}
    record |= {"phrases": phrases, "phrase_split": "all"}
    found = faults_of(record)
    assert (found == []) if words is None else any(words in fault for fault in found), found
    if words is not None and ("not true" in words or "keep.08" in phrases):
        assert faults_of(record, rules=False) == [], "as it was said before there were rules"


@pytest.mark.parametrize(
    ("colour", "emphasis", "text", "more", "sound"),
    [
        (3, None, "remove the noise in the colour photo", [], True),
        (1, None, "remove the noise in the colour photo", [], False),
        (1, 0.7, "remove the noise; bring out the warm objects", ["stress.03", "emphasis.warm.21"], True),
        (1, -0.7, "remove the noise; bring out the warm objects", ["stress.03", "emphasis.warm.21"], False),
        (1, None, "remove the noise; bring out the warm objects", ["stress.03", "emphasis.warm.21"], False),
        (1, 0.7, "remove the noise", [], False),
    ],
)
def test_a_sentence_is_held_to_colour_and_to_emphasis(colour, emphasis, text, more, sound):
    record: Any = {"task": "vif", "kind": "full", "degradations": [entry("noise", "a")], "absent": []}
    record |= {"instruction": text, "phrases": ["noise.request.01", "wrap.01", *more], "phrase_split": "all"}
    record |= {"images": {"a": {"channels": colour}, "b": {"channels": 1}}}
    record["target"] = {} if emphasis is None else {"emphasis": emphasis}
    assert (faults_of(record) == []) == sound
