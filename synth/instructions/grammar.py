"""Sentences from phrases: `full` names all that is to be removed, `general` nothing, `clean` asks for fusion alone."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, TypeAlias

import yaml
from numpy.random import Generator

Kind: TypeAlias = Literal["full", "general", "clean"]
Split: TypeAlias = Literal["train", "test", "all"]

HELD_OUT = 5  # one clause in this many belongs to `test`
CAPITALISED = 0.5  # share of sentences with a capital and a full stop, as people write or do not


@dataclass(frozen=True)
class Instruction:
    """A sentence, its kind, and the ids of the phrases it is made of."""

    text: str
    kind: Kind
    phrases: tuple[str, ...]


_PHRASES: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("phrases.yaml").read_text(encoding="utf-8"))
PHRASED: frozenset[str] = frozenset(_PHRASES["effects"])
"""The effects that instructions can name."""


MOST_NAMED = 1 + len(_PHRASES["join"])
"""How many effects one sentence can name."""


def split_of(phrase: str) -> Literal["train", "test"]:
    """The split of a clause by its id: stable when phrases are added."""
    digest = hashlib.blake2b(phrase.encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest, "big") % HELD_OUT == 0 else "train"


def clauses(root: str, texts: Mapping[str, str], split: Split) -> dict[str, str]:
    """The phrases under one root by their full id, those of a split."""
    named = {f"{root}.{number}": text for number, text in texts.items()}
    return {name: text for name, text in named.items() if split == "all" or split_of(name) == split}


def compose(kind: Kind, effects: Sequence[str], split: Split, rng: Generator) -> Instruction:
    """A sentence of a kind for a record.

    effects: the names of the effects to be removed, each once; 1 to `MOST_NAMED` of them for `full`.
    Raises ValueError where `full` has nothing to name or too much.
    """
    if kind != "full":
        name, text = _pick(clauses(kind, _PHRASES[kind], split), rng)
        return Instruction(_as_written(text, rng), kind, (name,))
    if not 1 <= len(effects) <= MOST_NAMED:
        raise ValueError(f"a full instruction names 1 to {MOST_NAMED} effects, not {len(effects)}")
    order = [effects[i] for i in rng.permutation(len(effects))]
    picked = [_pick(clauses(f"{e}.request", _PHRASES["effects"][e]["request"], split), rng) for e in order]
    ids = [name for name, _ in picked]
    work = picked[0][1]
    if len(picked) > 1:
        join = _PHRASES["join"][str(len(picked))]
        name, pattern = _pick({f"join.{len(picked)}.{number}": text for number, text in join.items()}, rng)
        work = pattern.format(*(text for _, text in picked))
        ids.append(name)
    name, pattern = _pick({f"fusion.{number}": text for number, text in _PHRASES["fusion"].items()}, rng)
    return Instruction(_as_written(pattern.format(work=work), rng), kind, (*ids, name))


def _pick(named: Mapping[str, str], rng: Generator) -> tuple[str, str]:
    names = sorted(named)
    name = names[int(rng.integers(len(names)))]
    return name, named[name]


def _as_written(text: str, rng: Generator) -> str:
    if rng.random() >= CAPITALISED:
        return text
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")
