"""Sentences: an independent reader recovers from them what the record says."""

import re

import numpy as np
import pytest

from synth.instructions.grammar import _PHRASES, MOST_NAMED, PHRASED, clauses, compose, split_of

LEXICON = {
    "haze": r"\bhaz|dehaz|fog|\bmist\b|atmospher|airlight|clear day|visibility",
    "rain": r"\brain|derain|downpour|shower",
    "snow": r"snow|flakes|blizzard",
    "defocus": r"defocus|refocus|focus|bokeh|circle of confusion",
    "blur": r"(?<!motion )\bblur|\bdeblur the pictures|sharp|soft (edges|image|render)|fine detail|smear over"
    r"|point spread|softness|edges back",
    "motion": r"motion|shak|movement|moving camera|steady",
    "exposure": r"exposure(?! \()|brightness|lighting|light level|illumination|luminance|shutter",
    "noise": r"(?<!fixed-pattern )(?<!mosquito )nois[ey]|denois|grain|speckle",
    "stripes": r"stripe|striping|vertical lines|banding|fixed-pattern|column|line pattern|lines of the detector",
    "contrast": r"contrast|ton(e|es|al)\b",
    "resolution": r"resol|downsampl|downscal|low-res|upscale|its pixels|upsample",
    "jpeg": r"jpeg|(?<!stretch or )compress|block|squares|coding|codec|ringing",
}


def read(sentence: str) -> set[str]:
    """What a sentence names, by words alone: the reader knows nothing of phrases or ids."""
    return {effect for effect, words in LEXICON.items() if re.search(words, sentence.lower())}


def rng(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


@pytest.mark.parametrize("split", ["train", "test"])
def test_full_names_all_that_is_to_be_removed_and_nothing_else(split):
    for number in range(3000):
        effects = list(rng(number).permutation(sorted(PHRASED))[: 1 + number % MOST_NAMED])
        sentence = compose("full", effects, split, rng(number)).text
        assert read(sentence) == set(effects), sentence


@pytest.mark.parametrize("kind", ["general", "clean"])
def test_general_and_clean_name_no_effect(kind):
    for number in range(200):
        instruction = compose(kind, ["haze", "noise"] if kind == "general" else [], "all", rng(number))
        assert read(instruction.text) == set(), instruction.text


def test_every_group_has_enough_clauses_in_both_splits():
    groups = {f"{e}.request": _PHRASES["effects"][e]["request"] for e in PHRASED}
    groups |= {kind: _PHRASES[kind] for kind in ("general", "clean")}
    for root, texts in groups.items():
        assert len(texts) >= 16
        assert len(set(texts.values())) == len(texts), f"{root} says the same thing twice"
        assert len(clauses(root, texts, "train")) >= 8
        assert clauses(root, texts, "test"), f"{root} has no clause that is held out"
        assert not set(clauses(root, texts, "train")) & set(clauses(root, texts, "test"))


def test_the_split_of_an_id_never_changes():
    """A phrase that moved from one split to the other would spoil every model trained before."""
    assert [split_of(f"haze.request.{n:02d}") for n in range(1, 9)] == [
        "train",
        "train",
        "train",
        "train",
        "test",
        "train",
        "test",
        "train",
    ]


def test_the_record_names_the_phrases_of_the_sentence():
    instruction = compose("full", ["haze", "noise"], "train", rng(3))
    parts = [name.split(".") for name in instruction.phrases]
    assert sorted(part[0] for part in parts) == ["fusion", "haze", "join", "noise"]
    for effect, role, number in (part for part in parts if part[0] in PHRASED):
        assert _PHRASES["effects"][effect][role][number].lower() in instruction.text.lower()
    assert compose("full", ["haze", "noise"], "train", rng(3)) == instruction


def test_thousands_of_sentences():
    texts = {compose("full", ["haze", "noise"], "train", rng(n)).text for n in range(3000)}
    assert len(texts) > 2500


@pytest.mark.parametrize("effects", [[], ["haze", "noise", "jpeg", "blur"]])
def test_a_sentence_that_cannot_be_made_is_refused(effects):
    with pytest.raises(ValueError, match="names 1 to"):
        compose("full", effects, "train", rng(0))


def test_each_clause_is_read_as_its_own_effect_alone():
    for effect in PHRASED:
        for text in _PHRASES["effects"][effect]["request"].values():
            assert read(text) == {effect}, text
