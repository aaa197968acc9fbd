"""Gaussian blur."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
from numpy.random import Generator

from synth.degradations.base import Degradation, Quantity, Stage
from synth.pixels import Floats
from synth.scene import View

WIDEST = 0.014  # standard deviation at severity 1, as a share of the width: 3.6 px at 256
BEND = 1.5  # of the severity: the first pixel of blur costs most


@dataclass(frozen=True)
class BlurParams:
    """sigma: standard deviation of the kernel in pixels."""

    sigma: float


class Blur(Degradation[BlurParams]):
    """An isotropic Gaussian point spread, in linear light: I = G_σ ∗ J, mirrored at the border.

    The severity sets σ in proportion to the width, so that one picture loses the same detail at every size.
    """

    name = "blur"
    stage = Stage.OPTICS
    order = 1
    quantities = {"sigma": Quantity(0.1, 20, "px", strength=True)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> BlurParams:
        if severity is None:
            return BlurParams(fixed["sigma"])
        return BlurParams(WIDEST * view.size[1] * severity**BEND)

    def apply(self, image: Floats, params: BlurParams, view: View) -> Floats:
        if params.sigma == 0:
            return image.copy()
        return cv2.GaussianBlur(image, (0, 0), params.sigma, borderType=cv2.BORDER_REFLECT_101)
