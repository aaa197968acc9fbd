"""Shot and read noise of a sensor."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from synth.degradations.base import Degradation, Quantity, Stage
from synth.degradations.noise import field
from synth.images.pixels import Floats
from synth.scene.scene import View
from synth.streams import field_seed

FEWEST = 60.0  # electrons at white at severity 1: a full-frame sensor (60,000 at ISO 100) at ISO 100,000
READ_NOISE = (1.5, 4.0)  # electrons: of the sensors of the last decade
CORRELATION = (0.3, 0.9)  # between channels, as after demosaicing in photographs
GRAIN = (0.35, 0.8)  # pixels: neighbours correlate by 0.3 to 0.8 in green, as in photographs


@dataclass(frozen=True)
class SensorNoiseParams:
    """electrons: that white stands for, None for no noise. read_noise: standard deviation in electrons.
    correlation, grain, seed: of the field, as in `noise`.
    """

    electrons: float | None
    read_noise: float
    correlation: float
    grain: float
    seed: int


class SensorNoise(Degradation[SensorNoiseParams]):
    """The counting of electrons, in linear light: I = J + n, n ~ N(0, σ²), σ² = a J + b, a = 1/N, b = (r/N)².

    N is the number of electrons that white stands for and r the noise of reading them out: the Poissonian-Gaussian
    model in its Gaussian approximation (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
    single-image raw-data", IEEE Trans. Image Processing 17(10), 2008). The severity is the noise of white: N = N₁ / s²,
    as raising the ISO does.
    """

    name = "sensor_noise"
    said_as = "noise"
    stage = Stage.SENSOR
    order = 1
    quantities = {
        "electrons": Quantity(10, 100_000, "electrons at white", strength=True, words="{value}"),
        "read_noise": Quantity(0, 30, "electrons", words=None),
        "correlation": Quantity(0, 1, "between channels", words=None),
        "grain": Quantity(0, 3, "px", words=None),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> SensorNoiseParams:
        read_noise = fixed.get("read_noise", rng.uniform(*READ_NOISE))
        if severity is None:
            electrons: float | None = fixed["electrons"]
        else:
            electrons = FEWEST / severity**2 if severity else None
        correlation = fixed.get("correlation", rng.uniform(*CORRELATION))
        grain = fixed.get("grain", rng.uniform(*GRAIN))
        return SensorNoiseParams(electrons, float(read_noise), correlation, grain, field_seed(rng))

    def apply(self, image: Floats, params: SensorNoiseParams, view: View) -> Floats:
        if params.electrons is None:
            return image.copy()
        deviation = np.maximum(image, 0)
        deviation *= np.float32(1 / params.electrons)
        deviation += np.float32((params.read_noise / params.electrons) ** 2)
        cv2.sqrt(deviation, deviation)
        deviation *= field(image.shape, params.seed, 1.0, params.correlation, params.grain)
        deviation += image
        return deviation
