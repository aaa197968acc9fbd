"""What sentences are made of: phrases.yaml. The id of a phrase is its root and its number, `haze.request.07`."""

import hashlib
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import yaml

Split: TypeAlias = Literal["train", "test", "all"]

HELD_OUT = 5  # one clause in this many belongs to `test`

_PHRASES: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("phrases.yaml").read_text(encoding="utf-8"))
PHRASED: frozenset[str] = frozenset(_PHRASES["effects"])
"""The effects that instructions can name."""
PLACES: tuple[tuple[str, ...], ...] = tuple(tuple(_PHRASES["where"][place]) for place in ("first", "second"))
"""Words for the first and the second image of any pair."""
EVERYWHERE: tuple[str, ...] = tuple(_PHRASES["where"]["both"])
"""Words for both."""


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


def clauses(root: str, split: Split) -> dict[str, str]:
    """The phrases under a root by their ids, those of a split; all of them where the split has none."""
    named = under(root)
    return {name: text for name, text in named.items() if split == "all" or split_of(name) == split} or named


def split_of(name: str) -> Literal["train", "test"]:
    """The split of a clause by its id: stable when phrases are added."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") % HELD_OUT == 0 else "train"


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
