"""From a clean pair to its ground truth, by the recipe's order of preference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from synth.errors import UserError
from synth.images.exposure_fusion import mertens
from synth.images.pixels import Bytes
from synth.pairs.base import CleanPair
from synth.scene.scene import Task
from synth.targets import gradient, network


class GivenTarget(TypedDict):
    """A target in the record (shards/FORMAT.md): the truth that came with the pair."""

    kind: Literal["given"]


class ExposureTarget(TypedDict):
    """Fused by the weights of `method`."""

    kind: Literal["exposure"]
    method: str


class NetworkTarget(TypedDict):
    """Made by a network of the user's own; sha256: of its file."""

    kind: Literal["network"]
    sha256: str


GradientTarget = TypedDict(
    "GradientTarget",
    {"kind": Literal["gradient"], "version": int, "lambda": float},  # a class cannot have a field `lambda`
)
TargetRecord: TypeAlias = GivenTarget | ExposureTarget | NetworkTarget | GradientTarget


def kind_for(kinds: Sequence[str], has_gt: bool) -> str | None:
    """The first of the recipe's kinds of target that a pair has; None where it has none of them."""
    return next((kind for kind in kinds if kind != "given" or has_gt), None)


def make_target(
    kind: str,
    task: Task,
    pair: CleanPair,
    *,
    onnx: Path | None = None,
) -> tuple[Bytes, TargetRecord]:
    """The ground truth of a clean pair at the size of its images, and what the record says of it.

    onnx: the file of a `network` target.
    """
    a, b = pair.a, pair.b
    if kind == "given" and pair.gt is not None:
        return pair.gt, {"kind": "given"}
    if kind == "exposure":
        return mertens(a, b), {"kind": "exposure", "method": "mertens"}
    if kind == "network":
        if onnx is None:
            raise UserError("target network: which file? `target_network: {onnx: FILE}` names it")
        return network.fuse(task, a, b, onnx), {"kind": "network", "sha256": network.fingerprint(onnx)}
    fused = gradient.fuse(task, a, b, gradient.choose(a, b, task))
    return fused, {"kind": "gradient", "version": gradient.VERSION, "lambda": gradient.LAMBDA[task]}
