"""Gaussian noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox

from synth.degradations.base import Degradation, Domain, Quantity, Stage
from synth.pixels import Floats
from synth.scene import View
from synth.streams import field_seed

STRONGEST = 50.0  # grey levels at severity 1


@dataclass(frozen=True)
class NoiseParams:
    """sigma: standard deviation in sRGB grey levels. seed: of the field."""

    sigma: float
    seed: int


class Noise(Degradation[NoiseParams]):
    """White Gaussian noise as the field counts it: I = J + n, n ~ N(0, σ²) in sRGB grey levels, σ 15, 25, 50.

    It is added to the levels that the sensor recorded, after clipping, and so it ends the sensor stage.
    """

    name = "noise"
    stage = Stage.SENSOR
    order = 9
    quantities = {"sigma": Quantity(0.1, 100, "grey levels", strength=True)}

    @property
    def domain(self) -> Domain:
        return Domain.SRGB

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> NoiseParams:
        sigma = fixed["sigma"] if severity is None else STRONGEST * severity
        return NoiseParams(sigma, field_seed(rng))

    def apply(self, image: Floats, params: NoiseParams, view: View) -> Floats:
        field = Generator(Philox(key=params.seed)).standard_normal(image.shape, np.float32)
        field *= np.float32(params.sigma)
        field += image
        return field
