"""A small dataset that `synth verify` finds sound, and what it finds of others."""

from pathlib import Path
from typing import Any

from synth.audit.verify import Verdict, find_faults
from synth.recipe.schema import Recipe
from synth.sample.plan import Plan, make_plan
from synth.storage import Folder

DATA: dict[str, Any] = {
    "name": "t",
    "seed": 5,
    "samples": 22,
    "samples_per_shard": 8,
    "tasks": {
        "mef": {
            "sources": [{"builtin": "bracketed"}],
            "target": ["gradient"],
            "degradations": {
                "indoor": "as_outdoor",
                "always": [{"haze": {"severity": [0.1, 0.9]}}, {"noise": {"sigma": [5, 30], "images": "any"}}],
                "some": {"count": {0: 0.5, 1: 0.5}, "of": [{"jpeg": {"severity": [0.2, 0.9]}}]},
            },
        }
    },
    "crop": {"size": 48},
    "instructions": {"kinds": {"full": 0.4, "partial": 0.4, "keep": 0.1, "general": 0.1}, "per_pair": 2},
    "store": ["clean"],
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


def falling(**degradations) -> dict[str, Any]:
    """The one task of the recipe, with other degradations."""
    return {"mef": {**DATA["tasks"]["mef"], "degradations": degradations}}


def verdict_of(folder: Path, decode: int | None = None, workers: int = 1) -> Verdict:
    return find_faults(Folder(folder), decode, workers)


def faults(folder: Path) -> list[str]:
    return [str(fault) for fault in verdict_of(folder).faults]


def only(folder: Path, *words: str) -> str:
    """The one fault of a folder, which says all of these."""
    found = faults(folder)
    assert len(found) == 1, found
    for word in words:
        assert word in found[0]
    return found[0]
