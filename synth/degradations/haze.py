"""Haze, mist and fog."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.pixels import Floats
from synth.scene import Scene, View

FAR_PERCENTILE = 90  # of the crop's distances: what the severity counts for
OPTICAL_DEPTH = 3.0  # there, at severity 1: a twentieth of the light comes through
BEND = 1.3  # of the severity, so that equal steps look like equal steps
CONTRAST_LIMIT = 3.912  # -ln 0.02: an object is visible until 2% of its contrast is left (Koschmieder)
INFRARED_SHARE = (0.15, 0.5)  # of the visible optical depth: long waves pass small drops


@dataclass(frozen=True)
class HazeParams:
    """visibility_m: metres, None for clear air. airlight: radiance per channel of the image.
    optical_depth_share: of the visible optical depth, what this image's wavelengths see: 1, less for infrared.
    """

    visibility_m: float | None
    airlight: tuple[float, ...]
    optical_depth_share: float


class Haze(Degradation[HazeParams]):
    """Light scattered out of and into the path between scene and lens (Koschmieder, 1924).

    Per channel, in linear light:  I = g (J t + A (1 - t)),  t = exp(-β d),  β = 3.912 / V.

    J is the scene's radiance, g the exposure of the image, A the airlight, d the distance, V the visibility. The
    severity sets the optical depth τ = β d at the 90th percentile of the crop's distance, so a room and a mountain
    are equally hazy, and V = 3.912 d / τ follows. Infrared sees a recorded share of τ, toward its own mean.
    """

    name = "haze"
    stage = Stage.SCENE
    images: ClassVar[Images] = "shared"
    quantities = {"visibility_m": Quantity(5, 50_000, "m", strength=True)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> HazeParams:
        share = float(rng.uniform(*INFRARED_SHARE))
        infrared = view.modality == "infrared"
        if severity is None:
            visibility: float | None = fixed["visibility_m"]
        elif severity == 0:
            visibility = None
        else:
            far = float(np.percentile(view.scene.depth, FAR_PERCENTILE))
            visibility = CONTRAST_LIMIT * far / (OPTICAL_DEPTH * severity**BEND)
        return HazeParams(visibility, _airlight(view.scene, view), share if infrared else 1.0)

    def apply(self, image: Floats, params: HazeParams, view: View) -> Floats:
        if params.visibility_m is None:
            return image.copy()
        extinction = CONTRAST_LIMIT / params.visibility_m * params.optical_depth_share
        transmission = np.exp(view.scene.depth * np.float32(-extinction))
        airlight = np.float32(view.gain) * np.asarray(params.airlight, np.float32)
        if image.ndim == 3:
            transmission = transmission[:, :, None]
        return airlight + (image - airlight) * transmission


def _airlight(scene: Scene, view: View) -> tuple[float, ...]:
    """As radiance: of the scene, per channel in colour; infrared glows with the mean of its own scene."""
    if view.modality == "infrared":
        return (view.ambient,)
    if view.colour:
        return scene.airlight
    return (math.fsum(scene.airlight) / 3,)
