"""Sentences: an independent reader recovers from them what the record says."""

import json
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from synth.degradations import effects
from synth.errors import UserError
from synth.instructions.grammar import DEGREES, MOST_NAMED, Mention, compose
from synth.instructions.intent import mentions as mentions_of
from synth.instructions.intent import places
from synth.instructions.phrases import PHRASED, _node, clauses, split_of, under, words
from synth.instructions.sentences import load_sentences
from synth.recipe.file import find_recipe, load_recipe
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.streams import stream
from synth.tasks import TASKS
from tests.synth.helpers import drawn_for
from tests.synth.instructions.reading import EFFECT_PLACES, Fact, read, read_factors, read_images, read_kept, untrue


def rng(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def mentions(effects) -> list[Mention]:
    return [Mention(str(effect)) for effect in effects]


@pytest.mark.parametrize("split", ["train", "test"])
def test_full_names_all_that_is_to_be_removed_and_nothing_else(split):
    for number in range(3000):
        effects = rng(number).permutation(sorted(PHRASED))[: 1 + number % MOST_NAMED]
        sentence = compose("full", mentions(effects), [], split, rng(number)).text
        assert read(sentence) == {str(effect) for effect in effects}, sentence


@pytest.mark.parametrize("kind", ["general", "clean", "keep"])
def test_sentences_without_names_name_no_effect(kind):
    for number in range(300):
        assert read(compose(kind, [], [], "all", rng(number)).text) == set()


def test_each_clause_is_read_as_its_own_effect_alone():
    for effect in PHRASED:
        for register in ("request", "expert", "complaint", "terse", "placed"):
            for text in under(f"{effect}.{register}").values():
                said = text.format(s="", w="", i="the first image")
                assert read(said) == {effect}, text
                assert not read_factors(said), text


def test_each_clause_that_lessens_is_read_as_its_own_effect_and_factor():
    for effect in ("haze", "rain", "snow", "exposure", "contrast"):
        for factor, degree in DEGREES.items():
            for text in under(f"{effect}.less.{degree}").values():
                assert read(text.format(s="")) == {effect}, text
                assert read_factors(text.format(s="")) == {factor}, text


def test_every_effect_has_clauses_in_every_register_and_both_splits():
    for effect in PHRASED:
        registers = ("request", "expert", "complaint", "terse", "placed")
        texts = [text for register in registers for text in clauses(f"{effect}.{register}", "all").values()]
        assert len(texts) >= 30
        assert len(set(texts)) == len(texts), f"{effect} says the same thing twice"
        assert words(effect, "nouns")
        assert words(effect, "weak")
        assert words(effect, "strong")
        for register in ("request", "complaint", "terse", "placed"):
            train, test = (clauses(f"{effect}.{register}", split) for split in ("train", "test"))
            assert train
            assert test
            assert not set(train) & set(test)


def test_clauses_of_a_way_are_read_as_its_effect_and_none_is_said_of_the_other_way():
    opposite = {"dark": "bright", "bright": "dark", "low": "high", "high": "low"}
    for effect in PHRASED:
        for way, registers in (_node(f"{effect}.ways") or {}).items():
            assert set(registers) == {"request", "expert", "complaint", "terse", "placed"}
            texts = [text for register in registers.values() for text in register.values()]
            others = {t for register in _node(f"{effect}.ways.{opposite[way]}").values() for t in register.values()}
            assert not others & set(texts)
            for text in texts:
                assert read(text.format(s="", w="", i="the first image")) == {effect}, text


@pytest.mark.parametrize(
    ("way", "words", "never"),
    [("dark", "underexpos|dark", "overexpos"), ("bright", "glar|overexpos|burnt|blown|highlight|darken", "underexpos")],
)
def test_the_way_is_said_where_there_is_one(way, words, never):
    mention = Mention("exposure", (0.6, 0.6), images=1, way=way)
    said = [compose("full", [mention], [], "train", rng(i)).text.lower() for i in range(400)]
    assert sum(bool(re.search(words, text)) for text in said) > 80
    assert not any(re.search(never, text) for text in said)
    unknown = replace(mention, way=None)
    plain = [compose("full", [unknown], [], "train", rng(i)).text.lower() for i in range(400)]
    assert not any(re.search(f"{words}|{never}", text) for text in plain)


@pytest.mark.parametrize(("effect", "params", "way"), [
    ("exposure", {"stops": -2.0}, "dark"),
    ("exposure", {"stops": 1.0}, "bright"),
    ("contrast", {"gain": 0.4}, "low"),
    ("contrast", {"gain": 2.0}, "high"),
])  # fmt: skip
def test_ways_are_those_of_what_was_drawn(effect, params, way):
    degradation = effects()[effect]
    drawn = degradation.draw(None, None, rng(0), params)
    assert degradation.way(drawn) == way
    assert _node(f"{effect}.ways.{way}")


def test_the_split_of_an_id_never_changes():
    """A phrase that moved from one split to the other would spoil every model trained before."""
    pinned = ["train", "train", "train", "train", "test", "train", "test", "train"]
    assert [split_of(f"haze.request.{n:02d}") for n in range(1, 9)] == pinned


def test_words_for_severity_are_said_only_where_they_fit():
    found = {"weak": Counter(), "strong": Counter(), None: Counter()}
    severities = {"weak": (0.2, 0.3), "strong": (0.7, 0.9), None: (0.3, 0.7)}
    for number in range(800):
        for strength in found:
            mention = Mention("rain", severities[strength], images=2, everywhere=True)
            text = compose("full", [mention], [], "all", rng(number)).text.lower()
            said = [k for k in ("weak", "strong") if any(f"{w} " in text for w in words("rain", k))]
            found[strength].update(said or ["nothing"])
    assert set(found["weak"]) == {"weak", "nothing"}
    assert set(found["strong"]) == {"strong", "nothing"}
    assert set(found[None]) == {"nothing"}


@pytest.mark.parametrize("effects", [[], ["haze", "noise", "jpeg", "blur"]])
def test_a_sentence_that_cannot_be_made_is_refused(effects):
    with pytest.raises(ValueError, match="names 1 to"):
        compose("full", mentions(effects), [], "train", rng(0))


def all_in_one(**changes) -> Plan:
    recipe = load_recipe(find_recipe("all_in_one"), {"samples": 10_000, **changes})
    return make_plan(recipe)


KINDS = {"full": 0.4, "partial": 0.22, "lessen": 0.13, "general": 0.1, "keep": 0.08, "clean": 0.07}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_reader_agrees_with_the_record_on_five_thousand_sentences(split):
    """What is named, kept, lessened and how, from the words alone, against what was drawn. Pictures are not needed."""
    plan = all_in_one(instructions={"kinds": KINDS, "phrases": split})
    kinds, paired = Counter(), 0
    for index in range(5_000):
        drawn = draft(plan, index)
        applied = drawn_for(drawn, plan.recipe.seed)
        colour = ["a"] if index % 2 else []
        named, kept = mentions_of(drawn.intent, applied, TASKS[drawn.task], colour)
        text = compose(drawn.intent.kind, named, kept, split, stream(1, index, "instruction.words")).text
        kinds[drawn.intent.kind] += 1
        if drawn.intent.kind not in ("full", "partial", "lessen"):
            assert read(text) == set(), text
            continue
        said_kept = read_kept(text) if kept else set()
        wanted = {item.degradation.said_as for item in applied} - drawn.intent.kept
        assert read(text) - said_kept == wanted | ({drawn.intent.absent} - {None}), text
        assert said_kept <= drawn.intent.kept, text
        assert read_factors(text) == {factor for _, factor in drawn.intent.lessened}, text
        assert untrue(text, [fact(name, applied) for name in wanted], bool(colour)) is None, text
        if kept and not said_kept:
            assert "one clean image" not in text, text
        said_places = {place for place, pattern in EFFECT_PLACES.items() if re.search(pattern, text.lower())}
        seen = {name: {x.image for x in applied if x.degradation.said_as == name} for name in wanted}
        modalities = TASKS[drawn.task].capture.modalities
        said_images = read_images(text, modalities)
        assert {(name, frozenset({image})) for name, image in said_images} <= {
            (n, frozenset(i)) for n, i in seen.items()
        }
        paired += len(said_images) > 1
        assert said_places <= {modalities[image] for images in seen.values() if len(images) == 1 for image in images}, (
            text
        )
    assert min(kinds[kind] for kind in KINDS) > 200
    assert paired, "two effects, each with its image, in one sentence"


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_effect_is_said_of_its_own_image_in_one_sentence(split):
    """ "the left one is noisy, the infrared image has stripes": the reader finds which is where."""
    vif, both = TASKS["vif"], Counter()
    for number in range(400):
        named = []
        for name, image in (("noise", "a"), ("stripes", "b")):
            where, subjects, _ = places({image}, vif, ["a"])
            named.append(Mention(name, (0.5, 0.5), where, subjects, 1, drawn=frozenset([name])))
        text = compose("full", named, [], split, rng(number)).text
        found = read_images(text, vif.capture.modalities)
        assert found <= {("noise", "a"), ("stripes", "b")}, text
        both[len(found)] += 1
    assert both[2] > 60


def fact(name: str, applied) -> Fact:
    items = [item for item in applied if item.degradation.said_as == name]
    strengths = tuple(item.severity for item in items if item.severity is not None)
    return Fact(name, frozenset(item.effect for item in items), len({item.image for item in items}), strengths)


@pytest.mark.parametrize("split", ["train", "test"])
def test_hardly_a_sentence_comes_twice(split):
    plan = all_in_one(instructions={"kinds": KINDS, "phrases": split})
    texts = []
    for index in range(1_000):
        drawn = draft(plan, index)
        named, kept = mentions_of(drawn.intent, drawn_for(drawn, plan.recipe.seed), TASKS[drawn.task], ["a"])
        texts.append(compose(drawn.intent.kind, named, kept, split, stream(1, index, "instruction.words")).text)
    assert len(set(texts)) >= 950


def test_quotas_hold():
    plan = all_in_one(instructions={"kinds": KINDS})
    drafts = [draft(plan, index) for index in range(10_000)]
    kinds = Counter(d.intent.kind for d in drafts)
    for kind, share in plan.recipe.instructions.kinds.items():
        assert kinds[kind] / 10_000 == pytest.approx(share, abs=0.01)
    for task, part in plan.recipe.tasks.items():
        some = part.degradations.some
        assert some is not None
        mine = [len(set(d.effects)) for d in drafts if d.task == task and d.intent.kind != "clean"]
        for number, share in some.count.items():
            assert mine.count(number) / len(mine) == pytest.approx(share, abs=0.035)


def recipe(**changes) -> Recipe:
    data = {
        "name": "t",
        "task": "mef",
        "seed": 5,
        "samples": 16,
        "samples_per_shard": 16,
        "sources": [{"builtin": "bracketed"}],
        "crop": {"size": 64},
        "degradations": {"always": ["haze", "rain", "noise"]},
        "instructions": {"kinds": {"full": 0.25, "partial": 0.5, "keep": 0.25}, "per_pair": 4},
        "store": ["clean"],
    }
    return Recipe.model_validate({**data, **changes})


def test_a_group_shows_one_degraded_pair_and_its_first_is_full():
    plan = make_plan(recipe())
    groups = [[render(plan, 4 * g + n) for n in range(4)] for g in range(4)]
    for group in groups:
        assert len({s.record["group"] for s in group}) == 1
        assert group[0].record["kind"] == "full"
        for sample in group[1:]:
            assert np.array_equal(sample.a, group[0].a)
            assert np.array_equal(sample.b, group[0].b)
        for sample in group:
            kept = {e["effect"] for e in sample.record["degradations"] if e["asked"] == "keep"}
            assert np.array_equal(sample.target, group[0].target) == (not kept)
    kinds = Counter(s.record["kind"] for group in groups for s in group[1:])
    assert set(kinds) == {"partial", "keep"}, "full is what the first asks"


def test_no_two_of_a_group_ask_the_same():
    plan = make_plan(load_recipe(find_recipe("test"), {"samples": 1200}))
    per_pair = plan.recipe.instructions.per_pair
    for first in range(0, 1200, per_pair):
        asked = [draft(plan, first + n).intent for n in range(per_pair)]
        assert len(set(asked)) == per_pair
        assert asked[0].kind in ("full", "clean")
        assert {intent.kind == "clean" for intent in asked} == {asked[0].kind == "clean"}


def test_an_instruction_changed_leaves_the_pixels_of_the_inputs():
    one = render(make_plan(recipe()), 5)
    other = render(make_plan(recipe(instructions={"kinds": {"general": 1}, "per_pair": 4})), 5)
    assert np.array_equal(one.a, other.a)
    assert np.array_equal(one.b, other.b)
    assert one.record["instruction"] != other.record["instruction"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degradations": {"always": ["noise", "jpeg"]}}, r"kinds.partial: 0.5 of the samples, but only 0 have two"),
        ({"degradations": {"always": ["haze"]}}, "kinds.partial: 0.5 of the samples, but only 0 have two"),
        (
            {"degradations": {"always": ["noise"]}, "instructions": {"kinds": {"lessen": 0.5, "full": 0.5}}},
            r"kinds.lessen: 0.5 of the samples, but only 0 have an effect that can be lessened \(none\)",
        ),
        ({"instructions": {"emphasis": {"amount": [0.9, 0.2]}}}, r"amount: \[0.9, 0.2\] must be"),
        ({"samples_per_shard": 6}, "samples_per_shard 6 must be a multiple of per_pair 4"),
    ],
)
def test_quotas_that_cannot_be_met_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        recipe(**changes)


def test_own_sentences_are_used_where_they_fit(tmp_path):
    lines = [
        {"text": "entferne Nebel, Regen und Rauschen", "remove": ["haze", "rain", "noise"], "source": "by hand"},
        {"text": "entferne das Rauschen, lass das Wetter", "remove": ["noise"], "keep": ["haze", "rain"]},
        {"text": "nur fusionieren", "kind": "keep"},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    kinds = {"full": 0.4, "partial": 0.4, "keep": 0.2}
    plan = make_plan(recipe(instructions={"kinds": kinds, "file": str(path), "file_share": 1.0}, samples=60))
    records = [render(plan, index).record for index in range(30)]
    for record in records:
        kept = {e["effect"] for e in record["degradations"] if e["asked"] == "keep"}
        wanted = {frozenset(): 0, frozenset({"haze", "rain"}): 1, frozenset({"haze", "rain", "noise"}): 2}.get(
            frozenset(kept)
        )
        if wanted is not None and not record["absent"]:
            assert record["instruction"] == lines[wanted]["text"]
            assert record["phrases"] == [f"file.{wanted + 1}"]
        elif kept:
            assert not record["phrases"][0].startswith("file"), "no sentence says just this"
    assert len(plan.recipe.resolved()["instructions"]["file"]) == 64


def test_own_sentences_that_lessen_are_used_by_effect_and_factor(tmp_path):
    lines = [
        {"text": "halb so viel Nebel, kein Rauschen", "remove": ["noise"], "lessen": {"haze": 0.5}},
        {"text": "etwas weniger Nebel, kein Rauschen", "remove": ["noise"], "lessen": {"haze": 0.7}},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    always = {"always": ["haze", "noise"]}
    instructions = {"kinds": {"lessen": 1}, "file": str(path), "file_share": 1.0}
    plan = make_plan(recipe(instructions=instructions, degradations=always))
    said = {}
    for index in range(12):
        record = render(plan, index).record
        (factor,) = {entry["factor"] for entry in record["degradations"] if entry["effect"] == "haze"}
        said[factor] = record["instruction"]
    assert (said[0.5], said[0.7]) == tuple(line["text"] for line in lines)
    assert said[0.25] not in {line["text"] for line in lines}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"own.jsonl:1: not JSON"),
        ('{"text": "x", "remove": ["haze"]},', "own.jsonl:1: not JSON; lines have no comma between them"),
        ('[{"text": "x", "remove": ["haze"]}]', "own.jsonl:1: not JSON lines; each line is an object of its own"),
        ("{'text': 'x'}", "own.jsonl:1: not JSON; JSON has double quotes"),
        ("[" * 10**5, "own.jsonl:1: not JSON"),
        ('{"text": "x", "remove": ["haze"], "remove": ["rain"]}', "own.jsonl:1: remove stands twice"),
        ('{"text": "x\\ud800", "remove": ["haze"]}', "own.jsonl:1: text: half of a character"),
        ('{"remove": ["haze"]}', 'an object with "text" is needed'),
        ('{"text": "x", "remove": ["hase"]}', "remove: unknown effect 'hase'; did you mean 'haze'"),
        ('{"text": "x", "remov": []}', "remov: unknown key; did you mean 'remove'"),
        ('{"text": "x"}', "a full sentence names what it removes"),
        ('{"text": "x", "kind": "general", "remove": ["haze"]}', "a general sentence names nothing"),
        ('{"text": "x", "lessen": {"haze": 0.6}}', "lessen: effects, each with one of 0.7, 0.5, 0.25"),
        ('{"text": "x", "kind": "lessen", "remove": ["haze"]}', "a lessen sentence names what it lessens"),
        ('{"text": "x", "kind": "full", "lessen": {"haze": 0.5}, "remove": ["rain"]}', "a full sentence names what it"),
        ("", "no sentence in it"),
    ],
)
def test_a_mistake_in_own_sentences_is_named_with_its_line(tmp_path, line, message):
    path = tmp_path / "own.jsonl"
    path.write_text(line)
    with pytest.raises(UserError, match=message):
        load_sentences(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_sentences_of_other_editors_are_read(tmp_path, encoding, end):
    """With a byte-order mark, in UTF-16, with blank lines, and with what Unicode calls ends of lines inside."""
    texts = ["entferne den Dunst", "clear\u2028the\u2029haze\x85now"]
    lines = [json.dumps({"text": text, "remove": ["haze"]}, ensure_ascii=False) for text in texts]
    path = tmp_path / "own.jsonl"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + end.join([lines[0], "", "  ", lines[1], ""])).encode(encoding))
    found = load_sentences(path).fitting("full", frozenset({"haze"}), frozenset())
    assert found == [(1, texts[0]), (4, texts[1])]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"text": "\xff"}', "invalid start byte at byte 10; save it as UTF-8"),
        ('{"text": "x"}'.encode("utf-16-le"), "UTF-16 without a byte-order mark; save it as UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_one_line(tmp_path, data, message):
    path = tmp_path / "own.jsonl"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        load_sentences(path)
