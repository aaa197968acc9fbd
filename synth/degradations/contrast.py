"""Too little or too much contrast."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from synth.degradations import words
from synth.degradations.base import Degradation, Quantity, Stage
from synth.images.pixels import Bytes
from synth.scene.scene import View

LOWEST_GAIN = 0.12  # at severity 1, flat: 30 of 256 levels are left
HIGHEST_GAIN = 3.0  # at severity 1, hard


@dataclass(frozen=True)
class ContrastParams:
    """gain: of the distance from the pivot. direction: -1 for too little contrast, 1 for too much. pivot: grey level
    that stays, None for the mean luma of the image that comes in.
    """

    gain: float
    direction: int
    pivot: float | None


class Contrast(Degradation[ContrastParams]):
    """A wrong tone curve, in sRGB grey levels: I = p + g (J - p), rounded and clipped, the same for each channel.

    The pivot p is the mean luma, so that the picture becomes neither darker nor brighter; as it comes in, since an
    exposure before it has moved it.
    """

    name = "contrast"
    stage = Stage.PROCESSING
    may_stay = "shared"
    quantities = {
        "gain": Quantity(0.02, 10, "gain", strength=True, neutral=1),
        "direction": Quantity(-1, 1, "low or high", choices=(-1, 1), words=None),
        "pivot": Quantity(0, 255, "grey level", words=None),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> ContrastParams:
        drawn = 1 if rng.random() < 0.5 else -1
        pivot = fixed.get("pivot")
        if severity is None:
            return ContrastParams(fixed["gain"], 1 if fixed["gain"] > 1 else -1, pivot)
        direction = int(fixed.get("direction", drawn))
        strongest = HIGHEST_GAIN if direction > 0 else LOWEST_GAIN
        return ContrastParams(1 + (strongest - 1) * severity, direction, pivot)

    @classmethod
    def in_words(cls, params: Mapping[str, Any]) -> str:
        gain = words.as_number(params.get("gain"))
        if gain is None:
            return cls.title
        return f"{'low' if gain < 1 else 'high'} contrast, at {words.number(100 * gain)}%"

    def way(self, params: ContrastParams) -> str:
        return "low" if params.gain < 1 else "high"

    def apply(self, image: Bytes, params: ContrastParams, view: View) -> Bytes:
        pivot = _mean_luma(image) if params.pivot is None else params.pivot
        levels = pivot + params.gain * (np.arange(256) - pivot)
        return cv2.LUT(image, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _mean_luma(image: Bytes) -> float:
    """Rec. 601, from the channels' means."""
    means = cv2.mean(image)
    return means[0] if image.ndim == 2 else float(np.dot((0.299, 0.587, 0.114), means[:3]))
