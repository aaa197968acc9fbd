"""From a clean pair to its ground truth, by the recipe's order of preference."""

from collections.abc import Sequence
from typing import Any

from synth.pairs.base import CleanPair
from synth.pixels import Bytes
from synth.scene import Task
from synth.targets import gradient
from synth.targets.exposure import mertens


def kind_for(kinds: Sequence[str], has_gt: bool) -> str | None:
    """The first of the recipe's kinds of target that a pair has; None where it has none of them."""
    return next((kind for kind in kinds if kind != "given" or has_gt), None)


def make_target(kind: str, task: Task, pair: CleanPair) -> tuple[Bytes, dict[str, Any]]:
    """The ground truth of a clean pair at the size of its images, and what the record says of it."""
    if kind == "given" and pair.gt is not None:
        return pair.gt, {"kind": "given"}
    if kind == "exposure":
        return mertens(pair.a, pair.b), {"kind": "exposure", "method": "mertens"}
    choices = gradient.choose(pair.a, pair.b)
    fused = gradient.fuse(task, pair.a, pair.b, choices)
    return fused, {"kind": "gradient", "lambda": gradient.LAMBDA, "sigma": gradient.SIGMA}
