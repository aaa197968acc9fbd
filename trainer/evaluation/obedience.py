"""Does it obey? Within a group, which shows one degraded pair under several sentences, outputs against targets.

Two answers. *Nearest*: among the targets of its group and the closed form of the untouched inputs, is an output nearest
(by squared error) to its own target? Only what differs counts: candidates within `SAME` dB of a sample's own target are
no candidates. *Control*: of two samples of a group with outputs O and targets T, the slope ⟨Oᵢ−Oⱼ, Tᵢ−Tⱼ⟩ / ‖Tᵢ−Tⱼ‖²: 1
where the output changes with the sentence as the target does, 0 where it does not, with the cosine between both
changes. An error that both outputs share cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from trainer.data.images import Image
from trainer.evaluation.cases import Case
from trainer.evaluation.metrics import PEAK
from trainer.evaluation.scoring import Row

Asked: TypeAlias = tuple[str, float | None]
"""remove, keep or lessen, and of lessen to which factor."""

SAME = 35.0
"""dB between two targets from which on they ask for the same picture."""
NOTHING, EVERYTHING = "does nothing", "restores everything"
"""Two dummies: the closed form of the untouched inputs, and the target of the group's first sentence, which asks for
all damage to go, whatever the sentence."""


def nearest(group: Sequence[Case], outputs: Sequence[Image], untouched: Image) -> list[Row]:
    """For each sample that has something to be taken for: `key`, `obeys` (1 or 0) and `chance`."""
    rows = []
    targets = targets_of(group)
    for sample, target, output in zip(group, targets, outputs, strict=True):
        others = [other for other in targets if _error(other, target) > LEAST]
        if not others:
            continue
        if _error(untouched, target) > LEAST:
            others.append(untouched)
        own = _error(output, target)
        obeys = all(own < _error(output, other) for other in others)
        rows.append({"key": sample.key, "obeys": float(obeys), "chance": 1 / (1 + len(others))})
    return rows


def control(group: Sequence[Case], outputs: Sequence[Image]) -> list[Row]:
    """For each two samples of a group whose targets differ: `keys`, `kind` (of the later), `effects` (those of which
    they ask for something else), `along` ⟨ΔO, ΔT⟩, `asked` ‖ΔT‖² and `done` ‖ΔO‖², as means over values in squared grey
    levels; and, of one that lessens beside one that removes the same, `factor`.
    """
    rows, targets = [], targets_of(group)
    for i, first in enumerate(group):
        for j, second in enumerate(group[i + 1 :], i + 1):
            asked = _difference(targets[i], targets[j])
            if np.mean(asked**2) <= LEAST:
                continue
            done = _difference(outputs[i], outputs[j])
            row: Row = {"keys": (first.key, second.key), "kind": second.kind}
            row |= {"effects": unlike(first.record, second.record), "factor": _factor(first.record, second.record)}
            row |= {"along": float(np.mean(done * asked))}
            rows.append(row | {"asked": float(np.mean(asked**2)), "done": float(np.mean(done**2))})
    return rows


def targets_of(group: Sequence[Case]) -> list[Image]:
    """Raises ValueError where a case has none."""
    targets = [case.target for case in group if case.target is not None]
    if len(targets) < len(group):
        raise ValueError(f"group {group[0].group}: a case without a target")
    return targets


def unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The effects of which two records of a group ask for something else; `emphasis` where targets differ in it."""
    effects = list(dict.fromkeys(effect for effect, _ in _differing(first, second)))
    emphasis = [record.get("target", {}).get("emphasis", 0) for record in (first, second)]
    return effects + (["emphasis"] if emphasis[0] != emphasis[1] else [])


def _factor(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    """To which one of two lessens what the other removes, all else being asked alike."""
    if "emphasis" in unlike(first, second):
        return None
    factors = set()
    for here, there in _differing(first, second).values():
        if {here[0], there[0]} != {"remove", "lessen"}:
            return None
        factors.add(here[1] if here[0] == "lessen" else there[1])
    return factors.pop() if len(factors) == 1 else None


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Asked, Asked]]:
    """By effect and image, what either asks for, where that is not the same."""
    here, there = _asked(first), _asked(second)
    both = {key: (here.get(key, ("", None)), there.get(key, ("", None))) for key in here | there}
    return {key: pair for key, pair in both.items() if pair[0] != pair[1]}


def _asked(record: Mapping[str, Any]) -> dict[tuple[str, str], Asked]:
    entries = record.get("degradations", ())
    return {(each["effect"], each["image"]): (each["asked"], each.get("factor")) for each in entries}


LEAST = PEAK**2 / 10 ** (SAME / 10)
"""`SAME` as a mean squared error."""


def _difference(x: Image, y: Image) -> np.ndarray:
    return x.astype(np.float32) - y.astype(np.float32)


def _error(x: Image, y: Image) -> float:
    return float(np.mean(_difference(x, y) ** 2))
