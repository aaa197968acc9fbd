"""What sentences are made of: phrases.yaml. The id of a phrase is its root and its number, `haze.request.07`."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import yaml

Split: TypeAlias = Literal["train", "test", "all"]

HELD_OUT = 5  # one clause in this many belongs to `test`
FIRST_NUMBERS = 20  # up to this number; of later ones one in `HELD_OUT_LATER`, until a fifth of all was held out
HELD_OUT_LATER = 2

_PHRASES: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("phrases.yaml").read_text(encoding="utf-8"))
PHRASED: frozenset[str] = frozenset(_PHRASES["effects"])
"""The effects that instructions can name."""
PLACES: tuple[tuple[str, ...], ...] = tuple(tuple(_PHRASES["where"][place]) for place in ("first", "second"))
"""Words for the first and the second image of any pair."""
EVERYWHERE: tuple[str, ...] = tuple(_PHRASES["where"]["both"])
"""Words for both."""
WHO: tuple[tuple[str, ...], ...] = tuple(tuple(_PHRASES["who"][place]) for place in ("first", "second"))
"""What the first and the second image are called as a subject, besides what PLACES and a task have for where."""
RETIRED: frozenset[str] = frozenset(_PHRASES["retired"])
CLAIMS: frozenset[str] = frozenset(_PHRASES["claims"])
"""Phrases by which all is clean afterwards."""
BARE: tuple[str, ...] = tuple(_PHRASES["bare"])
APART: tuple[str, ...] = tuple(_PHRASES["apart"])
ONLY: dict[str, list[str]] = _PHRASES["only"]
WEATHER: frozenset[str] = frozenset(_PHRASES["weather"])
IN_WEATHER: frozenset[str] = frozenset(_PHRASES["in_weather"])
IN_LOOKS: frozenset[str] = frozenset(_PHRASES["in_looks"])
NEUTRAL: dict[str, str] = _PHRASES["neutral"]
"""The phrase for each effect in a neutral sentence, with its way where it has one (`exposure.dark`)."""
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    effect: {words: (low, high) for words, (low, high) in ranges.items()}
    for effect, ranges in _PHRASES["ranges"].items()
}
"""By effect and phrase, the severities at which it is true."""


def phrase(name: str) -> str | None:
    """The text of a phrase by its id; None where there is none."""
    node = _node(name)
    return node if isinstance(node, str) else None


def under(root: str) -> dict[str, str]:
    """All phrases under a root ("haze.request", "keep", "join.2") by their ids. Raises KeyError."""
    texts = _node(root)
    if not isinstance(texts, dict):
        raise KeyError(root)
    return {f"{root}.{number}": text for number, text in texts.items()}


def ids_under(root: str) -> list[str]:
    """The ids of all phrases anywhere under a root."""
    found = []
    for key, value in (_node(root) or {}).items():
        if isinstance(value, dict):
            found += ids_under(f"{root}.{key}")
        elif isinstance(value, str):
            found.append(f"{root}.{key}")
    return found


@cache
def clauses(root: str, split: Split) -> dict[str, str]:
    """The phrases under a root by their ids, those of a split and not retired; none where there is no such root."""
    named = under(root) if isinstance(_node(root), dict) else {}
    return {
        name: text
        for name, text in named.items()
        if isinstance(text, str) and name not in RETIRED and (split == "all" or split_of(name) == split)
    }


def split_of(name: str) -> Literal["train", "test"]:
    """The split of a clause by its id: stable when phrases are added."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    one_in = HELD_OUT if int(name.rpartition(".")[2]) <= FIRST_NUMBERS else HELD_OUT_LATER
    return "test" if int.from_bytes(digest, "big") % one_in == 0 else "train"


@cache
def severities(effect: str, text: str) -> tuple[float, float]:
    """From and to which severity of an effect all is true that a text says of it."""
    found = [span for words, span in RANGES.get(effect, {}).items() if _says(words, text)]
    return max((low for low, _ in found), default=0.0), min((high for _, high in found), default=1.0)


def _says(words: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", re.sub(r"\{\w\}", "", text), re.IGNORECASE) is not None


def words(effect: str, what: Literal["nouns", "weak", "strong"]) -> list[str]:
    """What an effect is called where it stays, or what a sentence says of its strength. Raises KeyError."""
    found: list[str] = _PHRASES["effects"][effect][what]
    return found


def _node(name: str) -> Any:
    """What stands under a path of keys; the names of effects are such paths too."""
    steps = name.split(".")
    node: Any = _PHRASES["effects"] if steps[0] in PHRASED else _PHRASES
    for step in steps:
        node = node.get(step) if isinstance(node, dict) else None
    return node
