"""Sentences: an independent reader recovers from them what the record says."""

import json
import re
from collections import Counter

import numpy as np
import pytest

from synth.degradations import effects
from synth.errors import UserError
from synth.instructions.grammar import MOST_NAMED, Mention, compose
from synth.instructions.phrases import PHRASED, _node, clauses, split_of, under, words
from synth.instructions.sentences import load_sentences
from synth.recipe.file import find_recipe, load_recipe
from synth.recipe.schema import Recipe
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.tasks import TASKS

LEXICON = {
    "haze": r"\bhaz|dehaz|fog|\bmist\b|atmospher|airlight|clear day|visibility|koschmieder|transmission|aerial",
    "rain": r"\brain|derain|downpour|shower|line-shaped rain",
    "snow": r"snow|flakes|blizzard",
    "defocus": r"defocus|refocus|(?<!near-)(?<!far-)(?<!shot )\bfocus\b|bokeh|circle of confusion",
    "blur": r"(?<!motion )\bblur|\bdeblur\b(?! the camera)|sharp|soft (edges|image|render)|fine detail|smear over"
    r"|point spread|softness|edges back|low-pass|gaussian kernel",
    "motion": r"motion|shak|movement|moving camera|camera moved|camera trajectory|steady|stabilis",
    "exposure": r"(?<!-)exposure(?! shot)|bright|lighting|relight|light level|illumination|luminance|shutter|lighten"
    r"|\bdark(?! stripes)|low-light|\b(low|more|little|much|insufficient|excess of|bring) light\b|light burnt|\bdim\b"
    r"|underexpos|overexpos|glar|highlight",
    "noise": r"(?<!fixed-pattern )(?<!mosquito )nois[ey]|denois|grain|speckle",
    "stripes": r"stripe|striping|vertical lines|banding|fixed-pattern|column|line pattern|lines of the detector",
    "contrast": r"contrast|\bton(e|es|al)\b",
    "resolution": r"resol|downsampl|downscal|low-res|upscale|its pixels|upsample",
    "jpeg": r"jpeg|(?<!stretch or )compress|block|squares|coding|codec|ringing",
}
EXPOSURES = r"in the (dark|bright) exposure"
KEEPING = r"\b(keep|leave|do not touch|let|preserve|should stay|i like)\b"
PLACES = {
    "visible": r"visible|rgb|colour photo",
    "infrared": r"infrared|thermal",
    "under": r"under-exposed|dark exposure",
    "over": r"over-exposed|bright exposure",
    "near": r"near-focused|foreground",
    "far": r"far-focused|background(?!$)",
}


def read(sentence: str) -> set[str]:
    """What a sentence names, by words alone: the reader knows nothing of phrases or ids."""
    text = re.sub(EXPOSURES + r"|(near|far)-focused|shot focused on the \w+|(under|over)-exposed", "", sentence.lower())
    return {effect for effect, words in LEXICON.items() if re.search(words, text)}


def read_kept(sentence: str) -> set[str]:
    """What a sentence says is to stay."""
    parts = re.split(r"[;,]| but | and (?=keep|leave|do not|let|preserve|the \w+ should|i like)", sentence.lower())
    return set().union(*(read(part) for part in parts if re.search(KEEPING, part)))


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
        for register in ("request", "expert", "complaint", "terse"):
            for text in under(f"{effect}.{register}").values():
                assert read(text.format(s="", w="")) == {effect}, text


def test_every_effect_has_clauses_in_every_register_and_both_splits():
    for effect in PHRASED:
        registers = ("request", "expert", "complaint", "terse")
        texts = [text for register in registers for text in under(f"{effect}.{register}").values()]
        assert len(texts) >= 24
        assert len(set(texts)) == len(texts), f"{effect} says the same thing twice"
        assert words(effect, "nouns")
        assert words(effect, "weak")
        assert words(effect, "strong")
        train, test = (clauses(f"{effect}.request", split) for split in ("train", "test"))
        assert len(train) >= 8
        assert test
        assert not set(train) & set(test)


def test_clauses_of_a_way_are_read_as_its_effect_and_none_is_said_of_the_other_way():
    opposite = {"dark": "bright", "bright": "dark", "low": "high", "high": "low"}
    for effect in PHRASED:
        for way, registers in (_node(f"{effect}.ways") or {}).items():
            assert set(registers) == {"request", "expert", "complaint", "terse"}
            texts = [text for register in registers.values() for text in register.values()]
            others = {t for register in _node(f"{effect}.ways.{opposite[way]}").values() for t in register.values()}
            assert not others & set(texts)
            for text in texts:
                assert read(text.format(s="", w="")) == {effect}, text


@pytest.mark.parametrize(
    ("way", "words", "never"),
    [("dark", "underexpos|dark", "overexpos"), ("bright", "glar|overexpos|burnt|blown|highlight|darken", "underexpos")],
)
def test_the_way_is_said_where_there_is_one(way, words, never):
    said = [compose("full", [Mention("exposure", way=way)], [], "train", rng(i)).text.lower() for i in range(400)]
    assert sum(bool(re.search(words, text)) for text in said) > 80
    assert not any(re.search(never, text) for text in said)
    plain = [compose("full", [Mention("exposure")], [], "train", rng(i)).text.lower() for i in range(400)]
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
    for number in range(800):
        for strength in found:
            text = compose("full", [Mention("rain", strength)], [], "all", rng(number)).text.lower()
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


def test_the_reader_agrees_with_the_record_on_ten_thousand_sentences():
    """What is named and kept, and where, from the words alone, against what was drawn. Pictures are not needed."""
    from synth.instructions.intent import mentions as mentions_of
    from synth.sample.draft import draft
    from synth.streams import stream
    from tests.synth.helpers import drawn_for

    plan = all_in_one()
    texts, kinds = set(), Counter()
    for index in range(10_000):
        drawn = draft(plan, index)
        applied = drawn_for(drawn, plan.recipe.seed)
        remove, kept = mentions_of(drawn.intent, applied, TASKS[drawn.task])
        words = stream(plan.recipe.seed, index, "instruction.words")
        text = compose(drawn.intent.kind, remove, kept, "train", words).text
        if drawn.intent.kind in ("full", "partial"):
            texts.add(text)
        kinds[drawn.intent.kind] += 1
        said_kept = read_kept(text) if drawn.intent.kind == "partial" else set()
        named = read(text) - said_kept
        wanted = {item.degradation.said_as for item in applied} - drawn.intent.kept
        if drawn.intent.kind in ("full", "partial"):
            assert named == wanted | ({drawn.intent.absent} - {None}), text
            assert said_kept <= drawn.intent.kept, text
            places = {place for place, pattern in PLACES.items() if re.search(pattern, text.lower())}
            seen = {name: {x.image for x in applied if x.degradation.said_as == name} for name in wanted}
            modalities = TASKS[drawn.task].capture.modalities
            possible = {modalities[image] for images in seen.values() if len(images) == 1 for image in images}
            assert places <= possible | ({"far"} if "rain layer" in text or "background" in text else set()), text
        else:
            assert named == set(), text
    assert kinds["partial"] > 1000
    assert len(texts) > 0.85 * (kinds["full"] + kinds["partial"]), "hardly a sentence comes twice"


def test_quotas_hold():
    from synth.sample.draft import draft

    plan = all_in_one()
    drafts = [draft(plan, index) for index in range(10_000)]
    kinds = Counter(d.intent.kind for d in drafts)
    for kind, share in plan.recipe.instructions.kinds.items():
        assert kinds[kind] / 10_000 == pytest.approx(share, abs=0.02)
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
    assert len(kinds) == 3


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
        ({"instructions": {"kinds": {"full": 0.5, "clean": 0.5}, "per_pair": 2}}, "kinds.clean must be 0"),
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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"own.jsonl:1: not JSON"),
        ('{"remove": ["haze"]}', 'an object with "text" is needed'),
        ('{"text": "x", "remove": ["hase"]}', "remove: unknown effect 'hase'; did you mean 'haze'"),
        ('{"text": "x", "remov": []}', "remov: unknown key; did you mean 'remove'"),
        ('{"text": "x"}', "a full sentence names what it removes"),
        ('{"text": "x", "kind": "general", "remove": ["haze"]}', "a general sentence names nothing"),
        ("", "no sentence in it"),
    ],
)
def test_a_mistake_in_own_sentences_is_named_with_its_line(tmp_path, line, message):
    path = tmp_path / "own.jsonl"
    path.write_text(line)
    with pytest.raises(UserError, match=message):
        load_sentences(path)
