"""Too little or too much exposure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from synth.degradations import words
from synth.degradations.base import Degradation, Quantity, Stage
from synth.images.pixels import Floats
from synth.scene.scene import View

FEWEST_STOPS = -4.5  # at severity 1, dark
MOST_STOPS = 3.0  # at severity 1, bright: fewer, since what is clipped is lost and what is dark is not


@dataclass(frozen=True)
class ExposureParams:
    """stops: the light is multiplied by 2 to that power. direction: -1 for too dark, 1 for too bright."""

    stops: float
    direction: int


class Exposure(Degradation[ExposureParams]):
    """A shutter that is open for too short or too long: I = 2^e J in linear light, e in stops.

    Nothing is clipped here but where the sensor stage ends, as in a camera: shot and read noise, which follow, are
    the sensor's own, and highlights that a bracket's other image knows come back when the exposure falls.
    """

    name = "exposure"
    stage = Stage.SENSOR
    may_stay = "shared"
    order = 0
    quantities = {
        "stops": Quantity(-8, 8, "stops", strength=True),
        "direction": Quantity(-1, 1, "dark or bright", choices=(-1, 1), words=None),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> ExposureParams:
        drawn = 1 if rng.random() < 0.5 else -1
        if severity is None:
            return ExposureParams(fixed["stops"], 1 if fixed["stops"] > 0 else -1)
        direction = int(fixed.get("direction", drawn))
        return ExposureParams(severity * (MOST_STOPS if direction > 0 else FEWEST_STOPS), direction)

    @classmethod
    def in_words(cls, params: Mapping[str, Any]) -> str:
        stops = words.as_number(params.get("stops"))
        if stops is None:
            return cls.title
        return f"{'under' if stops < 0 else 'over'}-exposed by {words.amount(abs(stops), 'stops')}"

    def way(self, params: ExposureParams) -> str:
        return "dark" if params.stops < 0 else "bright"

    def apply(self, image: Floats, params: ExposureParams, view: View) -> Floats:
        return image * np.float32(2**params.stops)
