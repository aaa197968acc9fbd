"""The dataset tool of MMAIF: from clean pairs and a recipe to WebDataset shards.

`degrade` lets effects fall on a pair of arrays; `effects` lists them; `describe` says in one sentence what the pictures
of a record show. They are imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth.degradations import effects
    from synth.instructions.describing import describe
    from synth.sample.degrade import degrade

__all__ = ["degrade", "describe", "effects"]


def __getattr__(name: str) -> Any:
    if name == "degrade":
        from synth.sample.degrade import degrade

        return degrade
    if name == "effects":
        from synth.degradations import effects

        return effects
    if name == "describe":
        from synth.instructions.describing import describe

        return describe
    raise AttributeError(f"module 'synth' has no attribute {name!r}")
