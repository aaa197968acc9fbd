"""Every phrase has severities at which it is true, and is said at no other; the held-out phrases are a split."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import synth.degradations  # noqa: F401  (fills the registry)
from synth.degradations.base import REGISTRY
from synth.instructions.fitting import Mention, fits
from synth.instructions.grammar import DEGREES, PARTS, WHOLE, compose
from synth.instructions.phrases import (
    PHRASED,
    RANGES,
    RETIRED,
    _node,
    clauses,
    ids_under,
    phrase,
    split_of,
    under,
    words,
)

GRID = [round(x / 40, 3) for x in range(1, 41)]
STRONG_WORDS = {  # what a stranger would say needs much of it, or allows little
    "rain": {"downpour": 0.6, "cover everything": 0.6},
    "snow": {"blizzard": 0.6, "snowstorm": 0.6, "hide the scene": 0.6},
    "haze": {"hardly see through": 0.6},
    "jpeg": {"over-compressed": 0.4},
    "defocus": {"nothing is in focus": 0.4},
}


def texts_of(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """The phrases below a node of phrases.yaml by their ids."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from texts_of(value, f"{path}.{key}")
        elif isinstance(value, str):
            yield f"{path}.{key}", value


def of(effect: str, severity: float | None, images: int = 2, **more: Any) -> Mention:
    drawn = frozenset(name for name, known in REGISTRY.items() if known.said_as == effect)
    known = None if severity is None else (severity, severity)
    one = images == 1
    where = ("in the first image",) if one else ("in both images",)
    subjects = ("the first image",) if one else ()
    return Mention(effect, known, where, subjects, images, not one, None, drawn, **more)


@pytest.mark.parametrize("effect", sorted(PHRASED))
def test_every_noun_has_a_range_of_severity(effect):
    """What words of strength stand before, and what an effect is called where it stays."""
    for name, text in texts_of(_node(effect), effect):
        for noun in re.findall(r"\{s\}((?:[\w-]+ ?){1,3})", text):
            found = [known for known in RANGES[effect] if re.search(rf"\b{re.escape(known.lower())}\b", text.lower())]
            assert found, f"{name}: {noun}"
    assert set(words(effect, "nouns")) <= {*RANGES[effect], "Gaussian blur"}
    for low, high in RANGES[effect].values():
        assert 0 <= low < high <= 1


@pytest.mark.parametrize("effect", sorted(PHRASED))
def test_every_phrase_with_a_range_is_somewhere_and_is_said_at_no_other_severity(effect):
    phrases = dict(texts_of(_node(effect), effect))
    for known, (low, high) in RANGES[effect].items():
        pattern = re.compile(rf"(?<![\w-]){re.escape(known)}(?![\w-])", re.IGNORECASE)
        holding = [name for name, text in phrases.items() if pattern.search(re.sub(r"\{\w\}", "", text))]
        assert holding or known in words(effect, "nouns"), f"{known} stands in no phrase"
        for name in holding:
            for severity in GRID:
                if not low <= severity <= high:
                    for images in (1, 2):
                        assert not fits(name, phrases[name], of(effect, severity, images), True), (name, severity)
            if (low, high) != (0, 1):
                assert not fits(name, phrases[name], of(effect, None), True)


@pytest.mark.parametrize("effect", sorted(STRONG_WORDS))
def test_no_blizzard_of_a_few_flakes(effect):
    for number in range(1500):
        severity = GRID[number % len(GRID)]
        mention = of(effect, severity, 1 + number % 2)
        text = compose("full", [mention], [], "all", np.random.default_rng(number)).text.lower()
        for said, least in STRONG_WORDS[effect].items():
            assert said not in text or severity >= least, text
        weak = any(re.search(rf"\b{word} \w", text) for word in words(effect, "weak"))
        assert not (weak and any(said in text for said in STRONG_WORDS[effect])), text


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("effect", sorted(PHRASED))
def test_there_is_something_true_to_say_at_every_severity_in_every_style(effect, split):
    for severity in (None, *GRID):
        for images in (1, 2):
            mention = of(effect, severity, images)
            for register in ("request", "complaint", "terse"):
                texts = clauses(f"{effect}.{register}", split)
                assert any(fits(name, text, mention, False) for name, text in texts.items()), (severity, images)
        if _node(f"{effect}.less"):
            for degree in DEGREES.values():
                texts = clauses(f"{effect}.less.{degree}", split)
                assert any(fits(name, text, of(effect, severity), False) for name, text in texts.items()), severity


def test_an_effect_that_is_not_there_can_be_named_in_both_splits():
    for effect in PHRASED:
        for split in ("train", "test"):
            for number in range(60):
                compose("full", [Mention(effect)], [], split, np.random.default_rng(number))


def test_at_least_a_fifth_of_all_clauses_is_held_out_and_none_is_in_both_splits():
    roots = ["keep", *WHOLE.values(), "mend", "merge", "asis", "fine"]
    effects = [name for effect in PHRASED for name, _ in texts_of(_node(effect), effect)]
    for names in (effects, [name for root in roots for name in under(root)]):
        assert sum(split_of(name) == "test" for name in names) >= 0.2 * len(names)
    for effect in PHRASED:
        names = [name for name, _ in texts_of(_node(effect), effect)]
        assert sum(split_of(name) == "test" for name in names) >= 0.2 * len(names), effect
    for root in roots:
        train, test = (clauses(root, split) for split in ("train", "test"))
        assert not set(train) & set(test)
        assert not set(train.values()) & set(test.values())


def test_no_text_is_in_both_splits_wherever_it_stands():
    roots = [*PHRASED, "keep", *WHOLE.values(), "mend", "merge", "asis", "fine", "emphasis"]
    seen: dict[str, set[str]] = {}
    for root in roots:
        for name in ids_under(root):
            if name not in RETIRED:
                seen.setdefault(str(phrase(name)).casefold(), set()).add(split_of(name))
    assert [text for text, splits in seen.items() if len(splits) > 1] == []


@pytest.mark.parametrize("kind", PARTS)
def test_each_kind_without_names_has_many_sentences_in_each_split_and_shares_none(kind):
    said = {
        split: {compose(kind, [], [], split, np.random.default_rng(n)).phrases for n in range(600)}
        for split in ("train", "test")
    }
    assert min(map(len, said.values())) >= 100
    held_out = [
        name for ids in said["test"] for name in ids if name.split(".")[0] not in ("ask", "mended", "kept", "noted")
    ]
    assert {split_of(name) for name in held_out} == {"test"}


def test_keep_and_lessen_hold_out_sentences_too():
    assert len(clauses("keep", "test")) >= 4
    less = [name for effect in PHRASED for name in dict(texts_of(_node(f"{effect}.less") or {}, f"{effect}.less"))]
    assert sum(split_of(name) == "test" for name in less) >= 8
