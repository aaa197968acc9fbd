"""Stripes of an infrared sensor."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import SFC64, Generator

from synth.degradations.base import Degradation, Domain, Quantity, Stage
from synth.images.pixels import Floats
from synth.scene.scene import View
from synth.streams import field_seed

STRONGEST = 25.0  # grey levels at severity 1
GAIN_SHARE = (0.0, 0.6)  # of a bright pixel's stripe that is the columns' gain, not their offset
DRIFT = (0.0, 0.6)
BANDS = 0.5  # share of the offset's variance in bands a few columns wide, as several share an amplifier
BAND_WIDTH = 3.0  # columns (standard deviation)
KNOTS = 4  # of the drift down a picture: slow
DARKNESS = (2.0, 5.0)  # a dark stripe, in standard deviations of the others


@dataclass(frozen=True)
class StripesParams:
    """sigma: standard deviation of the columns' offset in grey levels. gain: of their gain, in sigma at white.
    drift: of their change down the picture, in sigma. dark: share of columns that are dark. seed: of the columns.
    """

    sigma: float
    gain: float
    drift: float
    dark: float
    seed: int


class Stripes(Degradation[StripesParams]):
    """Fixed-pattern noise of the columns of an uncooled infrared sensor: I(y, x) = J (1 + g(x)) + o(x) + d(y, x).

    Each column has an amplifier of its own; o is its offset, g its gain, and d the slow drift of the offset while
    the rows are read out (Tendero, Landeau and Gilles, "Non-uniformity correction of infrared images by midway
    equalization", IPOL 2, 2012). In sRGB grey levels, since a thermal picture shows the sensor's signal as it is,
    without the curve of a camera for light.
    """

    name = "stripes"
    stage = Stage.SENSOR
    infrared_first = True
    order = 2
    quantities = {
        "sigma": Quantity(0.1, 80, "grey levels", strength=True, words="sigma {number}"),
        "gain": Quantity(0, 2, "sigma at white", words=None),
        "drift": Quantity(0, 2, "sigma", words=None),
        "dark": Quantity(0, 0.3, "share of columns", words="{value} dark"),
    }

    @property
    def domain(self) -> Domain:
        return Domain.SRGB

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> StripesParams:
        sigma = fixed["sigma"] if severity is None else STRONGEST * severity
        gain, drift = (rng.uniform(*span) for span in (GAIN_SHARE, DRIFT))
        return StripesParams(
            sigma, fixed.get("gain", gain), fixed.get("drift", drift), fixed.get("dark", 0.0), field_seed(rng)
        )

    def apply(self, image: Floats, params: StripesParams, view: View) -> Floats:
        height, width = image.shape[:2]
        offset, gain = columns(params, height, width)
        added, factor = offset * np.float32(params.sigma), 1 + gain * np.float32(params.sigma / 255)
        if image.ndim == 3:
            added, factor = cv2.merge([added] * 3), np.repeat(factor[:, None], 3, 1)
        added += image * factor
        return added


def columns(params: StripesParams, height: int, width: int) -> tuple[Floats, Floats]:
    """The offset with its drift, (H, W), and the gain, (W,), both for a σ of 1."""
    rng = Generator(SFC64(params.seed))
    margin = 2 * round(3 * BAND_WIDTH)
    line = cv2.getGaussianKernel(margin + 1, BAND_WIDTH)[:, 0]
    bands = np.convolve(rng.standard_normal(width + margin), line / np.sqrt((line**2).sum()), "valid")
    offset = np.sqrt(1 - BANDS) * rng.standard_normal(width) + np.sqrt(BANDS) * bands
    gain = params.gain * rng.standard_normal(width)
    drift = params.drift * rng.standard_normal((KNOTS, width))
    dark = rng.random(width) < params.dark
    offset -= dark * rng.uniform(*DARKNESS, width)
    rows = cv2.resize(drift - drift.mean(0), (width, height), interpolation=cv2.INTER_LINEAR)
    return (offset + rows).astype(np.float32), gain.astype(np.float32)
