"""From a clean pair to its ground truth, by the recipe's order of preference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypeAlias, TypedDict

from synth.errors import UserError
from synth.images.pixels import Bytes
from synth.targets import exposure, gradient, network
from synth.targets.gradient import Pictures, Rules

TargetKind: TypeAlias = Literal["given", "exposure", "gradient", "network"]


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
    {  # a class cannot have a field `lambda`
        "kind": Literal["gradient"],
        "version": int,
        "lambda": float,
        "emphasis": NotRequired[float],  # in [−1, 1], where it is not 0
    },
)
TargetRecord: TypeAlias = GivenTarget | ExposureTarget | NetworkTarget | GradientTarget


def kind_for(kinds: Sequence[TargetKind], has_gt: bool) -> TargetKind | None:
    """The first of the recipe's kinds of target that a pair has; None where it has none of them."""
    return next((kind for kind in kinds if kind != "given" or has_gt), None)


def make_target(
    kind: TargetKind, rules: Rules, pictures: Pictures, gt: Bytes | None, onnx: Path | None = None, emphasis: float = 0
) -> tuple[Bytes, TargetRecord]:
    """The ground truth of a clean pair at the size of its pictures, and what the record says of it.

    gt: the truth that a `given` target is. onnx: the file of a `network` target. emphasis: of the rules, as the record
    of a gradient target has it where it is not 0.
    """
    if kind == "given" and gt is not None:
        return gt, {"kind": "given"}
    if kind == "exposure":
        return exposure.fuse(*pictures.values()), {"kind": "exposure", "method": exposure.METHOD}
    if kind == "network":
        if onnx is None:
            raise UserError("target network: which file? `target_network: {onnx: FILE}` names it")
        return network.fuse(rules, pictures, onnx), {"kind": "network", "sha256": network.fingerprint(onnx)}
    fused = gradient.fuse(rules, pictures, rules.choose(pictures))
    record: GradientTarget = {"kind": "gradient", "version": gradient.VERSION, "lambda": rules.screening}
    return fused, record if emphasis == 0 else {**record, "emphasis": emphasis}
