"""What the schema of editors refuses: all that the loader refuses, but for what draft 07 cannot say, which is named."""

import pytest
from jsonschema import Draft7Validator

from synth.degradations import effects
from synth.errors import UserError
from synth.recipe.json_schema import recipe_schema
from synth.recipe.schema import MOST
from synth.sample.draft import draft
from synth.sample.plan import make_plan
from tests.synth.recipe.test_recipe import load
from tests.test_editors import as_json

WRITTEN = """
name: test
task: mef
seed: 1
samples: 10
sources: [{folder: x}]
crop: {size: 64}
instructions: {kinds: {full: 0.6, clean: 0.4}}
degradations:
  always: [haze: {severity: [0.2, 0.9]}]
  some: {count: {0: 1, 1: 3}, of: [noise: {sigma: [5, 25]}, jpeg]}
"""
KINDS, SIZE, COUNT, SOURCE = "{full: 0.6, clean: 0.4}", "size: 64", "{0: 1, 1: 3}", "folder: x"
SEVERITY, ALL, SOME, TASK = "severity: [0.2, 0.9]", "always: [haze", "some:", "task: mef"
OF = "[noise: {sigma: [5, 25]}, jpeg]"
WRONG = [
    *((SIZE, f"size: 64, scale: {value}") for value in ("[0, 1]", "[0.5, 1.5]", "[0.5]", "[0.1, 0.5, 1]", "0.5")),
    *((SIZE, f"size: {value}") for value in ("8", "64.5", "big", "100000")),
    *((KINDS, value) for value in ("{}", "{full: 1.2, clean: -0.2}", "{full: 2}", "{full: 0, clean: 0}", "{fool: 1}")),
    *((KINDS, f"{{full: 1}}, per_pair: {value}") for value in ("0", "65", "1.5")),
    *((KINDS, f"{{full: 1}}, emphasis: {value}") for value in ("{share: 2}", "{amount: [0, 1]}", "{amount: [0.5, 2]}")),
    *(("samples: 10", f"samples: {value}") for value in ("0", "-1", "1.5", "ten", "true", "10000000000")),
    *(("samples: 10", f"samples: 10\nsamples_per_shard: {value}") for value in ("0", "2.5", "1000000")),
    *(("seed: 1", f"seed: {value}") for value in ("-1", "1.5", "9223372036854775808")),
    *(
        (COUNT, value)
        for value in ("{}", "{0: -1, 1: 2}", "{0: 0, 1: 0}", "{0.5: 1}", "{-1: 1}", "{1: 2000000}", "[1]")
    ),
    *((OF, value) for value in ("[]", "[noise, noise]", "[noise: {sigma: 0}]", "[jpeg: {quality: [0, 5]}]")),
    *((SOME, f"order: {value}\n  some:") for value in ("{}", "{stage: -1, shuffled: 2}", "{stage: 0}", "{stag: 1}")),
    *((SOME, f"curves: {value}\n  some:") for value in ("{srgb: -1}", "{srgb: 0}", "{srgb: 2000000}", "{srbg: 1}")),
    *((SOME, f"{value}\n  some:") for value in ("flat: 1.5", "second_pass: -0.1", "indoor: never")),
    *(
        (SEVERITY, f"severity: {value}")
        for value in ("0", "[0, 0]", "[0.5, 1.5]", "[0.2]", "[]", "1.5", "-0.5", "true")
    ),
    *((SEVERITY, value) for value in ("severity: 0.5, visibility_m: 100", "severity: 0.5, images: c")),
    *((SOURCE, f"folder: x, weights: {{x: {value}}}") for value in ("0", "-1", "2000000", "y")),
    *((SOURCE, f"folder: x, {value}") for value in ("held_out: 0", "held_out: 1", "split: val", "dataset: a-b")),
    *((SOURCE, f"photos: x, {value}") for value in ("variants: 0", "variants: 1.5", "make: refocused", "align: true")),
    *((SOURCE, value) for value in ("builtin: refocused", "builtin: bracketed, split: val", "photos: s3://bucket/x")),
    ("sources: [{folder: x}]", "sources: []"),
    (TASK, "task: vif\nphotos: 1"),
    *((TASK, f"task: mef\n{value}") for value in ("photos: -1", "target: []", "target: network", "store: [dirty]")),
    (TASK, "task: mff\ntarget: [gradient, network]"),
    (TASK, "task: vif\ntarget: exposure"),
]
CANNOT_SAY = {
    "low first": [(SEVERITY, "severity: [0.9, 0.2]"), ("sigma: [5, 25]", "sigma: [25, 5]")],
    "with 0 < low <= high <= 1": [
        (SIZE, "size: 64, scale: [0.9, 0.1]"),
        (KINDS, "{full: 1}, emphasis: {amount: [1, 0.5]}"),
    ],
    "that sum to 1": [(KINDS, "{full: 0.5}"), (KINDS, "{full: 0.9, clean: 0.9}")],
    "for train": [
        (SOURCE, "folder: x, held_out: 0.5, held_out_val: 0.5"),
        (TASK, "task: mef\ndata: {held_out: 0.5, held_out_val: 0.5}"),
    ],
    "a valid integer": [("samples: 10", "samples: 10.0")],  # which is an integer in JSON
    "effects asked for": [(COUNT, "{3: 1}")],
    "listed twice": [(OF, "[noise, noise: {sigma: 5}]")],
    "multiple of per_pair": [(KINDS, "{full: 1}, per_pair: 3")],
    "may leave a sample with none": [(ALL, "always: []\n  # [haze")],
    "changes nothing that can be seen": [(OF, "[exposure: {stops: 0}, jpeg]")],
    "has no such argument": [(OF, "[imgaug: {name: Rain, args: {sped: 1}}, jpeg]")],
}
"""By what the loader says of it."""


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    return Draft7Validator(recipe_schema())


def changed(old: str, new: str) -> str:
    assert old in WRITTEN
    return WRITTEN.replace(old, new, 1)


def test_there_are_enough_and_the_recipe_that_they_spoil_is_right(schema, tmp_path):
    load(tmp_path, WRITTEN)
    assert schema.is_valid(as_json(WRITTEN))
    assert len(WRONG) > 80


@pytest.mark.parametrize(("old", "new"), WRONG, ids=[new.replace("\n", " ") for _, new in WRONG])
def test_what_the_loader_refuses_the_schema_refuses(schema, tmp_path, old, new):
    with pytest.raises(UserError):
        load(tmp_path, changed(old, new))
    assert not schema.is_valid(as_json(changed(old, new)))


@pytest.mark.parametrize("said", CANNOT_SAY)
def test_what_draft_07_cannot_say_is_this_alone(schema, tmp_path, said):
    for old, new in CANNOT_SAY[said]:
        with pytest.raises(UserError, match=said):
            load(tmp_path, changed(old, new))
        assert schema.is_valid(as_json(changed(old, new))), "the schema knows it: take it off this list"


@pytest.mark.parametrize("name", effects())
def test_no_effect_of_severity_0_alone(schema, tmp_path, name):
    for value in ("0", "[0, 0]"):
        text = changed(OF, f"[{name}: {value}]") if name != "haze" else changed("{severity: [0.2, 0.9]}", value)
        with pytest.raises(UserError, match="changes nothing"):
            load(tmp_path, text)
        assert not schema.is_valid(as_json(text))
    assert schema.is_valid(as_json(changed(OF, f"[{name}: [0, 0.5]]")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (COUNT, "{0: 0, 1: 3}"),
        (COUNT, f"{{1: {MOST:.0f}}}"),
        (SOME, "order: {stage: 9, shuffled: 1}\n  curves: {}\n  some:"),
        (SOME, "curves: {srgb: 0, hdrps: 5}\n  some:"),
        (SOURCE, "folder: x, split: val, held_out_val: 0.1, align: true, weights: {x: 3}"),
        (SOURCE, "layout: x, split: val, way: mefb"),
        (SOURCE, "photos: x, make: bracketed, variants: 3"),
        (TASK, "task: mef\ntarget: [given, network]\ntarget_network: {onnx: x.onnx}"),
        (KINDS, "{full: 1}, file: ~/mine.jsonl, emphasis: {amount: [0.1, 1]}"),
    ],
)
def test_what_the_loader_takes_the_schema_takes(schema, tmp_path, old, new):
    load(tmp_path, changed(old, new))
    assert [error.message for error in schema.iter_errors(as_json(changed(old, new)))] == []


def test_weights_count_by_their_ratios(tmp_path):
    drawn = []
    for count in ("{0: 0.25, 1: 0.75}", "{0: 1, 1: 3}"):
        plan = make_plan(load(tmp_path, changed(SOURCE, "builtin: bracketed").replace(COUNT, count)))
        drawn.append([[spec.effect for spec in draft(plan, index).effects] for index in range(10)])
    assert drawn[0] == drawn[1]
    assert len({len(specs) for specs in drawn[0]}) > 1
    told = recipe_schema()["$defs"]
    for part, key in (("Some", "count"), ("Degradations", "curves"), ("Degradations", "order")):
        assert "weights" in told[part]["properties"][key]["description"]
    assert "sum to 1" in told["Instructions"]["properties"]["kinds"]["description"]
