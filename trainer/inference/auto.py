"""`--prompt auto`: the sentence that a person would say who had seen what the effect head sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import Field
from torch import Tensor

from trainer.schema import Section

AUTO = "auto"
"""The prompt that stands for it."""

SURE = 0.5
"""Probability from which an effect is named."""
STANDARD = Path(__file__).parent / "clauses.yaml"


def asked_of(prompt: str) -> str:
    """A prompt as it is, or AUTO in whatever case. Raises ValueError where it says nothing."""
    if not prompt.strip():
        raise ValueError("nothing is asked; say in words what to put right, such as 'fuse the images', or auto")
    return AUTO if prompt.strip().lower() == AUTO else prompt


class Clauses(Section):
    """How effects are asked away; they stand in the weights folder, so that it says what the network was taught."""

    effects: dict[str, str]
    """By name, with {w} for where."""
    where: dict[str, str]
    """By image."""
    joined: tuple[str, ...] = Field(min_length=1)
    """One clause, two, three, …: as many are named at most."""
    wrapped: str
    """Around all of them, {work}."""
    clean: str
    """Where there is nothing to remove."""


class Found(NamedTuple):
    """An effect that was guessed."""

    effect: str
    images: tuple[str, ...]
    """In which: a, b or both."""
    probability: float
    """The larger one."""
    severity: float
    """Likewise, in [0, 1]."""


def standard_clauses() -> Clauses:
    return Clauses.model_validate(yaml.safe_load(STANDARD.read_text(encoding="utf-8")))


def found_in(guess: Tensor, effects: Sequence[str], images: Sequence[str] = ("a", "b")) -> list[Found]:
    """What a guess, (2, E, 2), is sure of, the surest first. effects: E names."""
    chances, severities = guess.sigmoid().unbind(-1)  # (2, E)
    found = []
    for number, effect in enumerate(effects):
        there = [i for i in range(len(images)) if chances[i, number] > SURE]
        if there:
            chance, severity = (float(max(of[i, number] for i in there)) for of in (chances, severities))
            found.append(Found(effect, tuple(images[i] for i in there), chance, severity))
    return sorted(found, key=lambda each: -each.probability)


def sentence(found: Sequence[Found], clauses: Clauses) -> str:
    """The surest of what was found; where, if it is in one image alone. What is asked away alike is one."""
    said: dict[str, set[str]] = {}
    for each in found:
        clause = clauses.effects.get(each.effect, f"remove the {each.effect.replace('_', ' ')}{{w}}")
        said.setdefault(clause, set()).update(each.images)
    named = [
        clause.format(w=f" {clauses.where[min(images)]}" if len(images) == 1 else "")
        for clause, images in list(said.items())[: len(clauses.joined)]
    ]
    if not named:
        return clauses.clean
    return clauses.wrapped.format(work=clauses.joined[len(named) - 1].format(*named))
