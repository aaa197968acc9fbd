"""Low resolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import cv2
from numpy.random import Generator

from synth.degradations.base import Degradation, Quantity, Stage
from synth.images.pixels import Bytes
from synth.scene.scene import View

LARGEST = 4.0  # factor at severity 1

Down: TypeAlias = Literal["area", "linear", "cubic"]
Up: TypeAlias = Literal["linear", "cubic"]
KERNELS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@dataclass(frozen=True)
class ResolutionParams:
    """factor: by which each side is divided. down, up: the kernels of the way there and back."""

    factor: float
    down: Down
    up: Up


class Resolution(Degradation[ResolutionParams]):
    """The image stored smaller and enlarged again to its size, on sRGB bytes, as programs do.

    The kernels are drawn as in Real-ESRGAN (Wang et al., ICCVW 2021). On the way down `area` averages; `linear` and
    `cubic` look at the nearest pixels alone and leave jagged edges, as cheap scalers do.
    """

    name = "resolution"
    title = "low resolution"
    stage = Stage.CODEC
    order = 0
    quantities = {"factor": Quantity(1, 8, "times", strength=True, words="{number} times smaller")}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> ResolutionParams:
        down: Down = get_args(Down)[int(rng.integers(len(get_args(Down))))]
        up: Up = get_args(Up)[int(rng.integers(len(get_args(Up))))]
        factor = fixed["factor"] if severity is None else 1 + (LARGEST - 1) * severity
        return ResolutionParams(factor, down, up)

    def apply(self, image: Bytes, params: ResolutionParams, view: View) -> Bytes:
        height, width = image.shape[:2]
        size = max(1, round(width / params.factor)), max(1, round(height / params.factor))
        if size == (width, height):
            return image.copy()
        small = cv2.resize(image, size, interpolation=KERNELS[params.down])
        return cv2.resize(small, (width, height), interpolation=KERNELS[params.up])
