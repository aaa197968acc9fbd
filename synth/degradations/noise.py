"""Gaussian noise: white, or with the grain and the colours that a camera leaves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import SFC64, Generator
from scipy.special import ndtri

from synth.degradations.base import Degradation, Domain, Quantity, Stage
from synth.images.pixels import Floats
from synth.scene.scene import View
from synth.streams import field_seed

STRONGEST = 50.0  # grey levels at severity 1
CHROMA_COARSER = 2.5  # than luma: a Canon 80D at ISO 12800 leaves 0.53 at lag 3 in Cr and nothing there in luma
GREY_AXES = np.array([[2, 3, 1], [2, -3, 1], [2, 0, -2]]) / np.sqrt([12, 18, 6])  # columns: grey, two colours
SLICES = 1 << 16  # equally likely ones of the normal distribution, each told by its mean: the outermost is 4.39 σ


@dataclass(frozen=True)
class NoiseParams:
    """sigma: standard deviation in sRGB grey levels. correlation: between channels, 0 to 1. grain: standard deviation
    in pixels of the blur that luma noise has gone through, 0 for none. seed: of the field.
    """

    sigma: float
    seed: int
    correlation: float = 0.0
    grain: float = 0.0


class Noise(Degradation[NoiseParams]):
    """Gaussian noise as the field counts it: I = J + n, n ~ N(0, σ²) in sRGB grey levels, σ 15, 25, 50.

    White by default. As cameras leave it, after demosaicing and chroma subsampling, it is correlated between channels
    and coarse, colour more so than brightness: both options keep σ. It is added to the levels that the sensor
    recorded, after clipping, and so it ends the sensor stage.
    """

    name = "noise"
    stage = Stage.SENSOR
    version = 2
    order = 9
    quantities = {
        "sigma": Quantity(0.1, 100, "grey levels", strength=True, words="sigma {number}"),
        "correlation": Quantity(0, 1, "between channels", words="colours alike by {number}"),
        "grain": Quantity(0, 3, "px", words="grain of {value}"),
    }

    @property
    def domain(self) -> Domain:
        return Domain.SRGB

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> NoiseParams:
        sigma = fixed["sigma"] if severity is None else STRONGEST * severity
        return NoiseParams(sigma, field_seed(rng), fixed.get("correlation", 0.0), fixed.get("grain", 0.0))

    def apply(self, image: Floats, params: NoiseParams, view: View) -> Floats:
        return image + field(image.shape, params.seed, params.sigma, params.correlation, params.grain)


def field(shape: tuple[int, ...], seed: int, sigma: float, correlation: float = 0.0, grain: float = 0.0) -> Floats:
    """Gaussian noise of an image's shape, each value of standard deviation σ.

    Correlated channels are mixed from three independent ones: one along grey, of variance σ² (1 + 2ρ), and two across
    it, of variance σ² (1 - ρ): the axes and the eigenvalues of a covariance of σ² with ρ σ² off the diagonal.
    """
    bits = SFC64(seed)
    if correlation == 0 and grain == 0:
        return _white(shape, bits, sigma)
    if len(shape) == 2:
        return _coarse(shape, bits, sigma, grain)
    if grain == 0:
        parts = _white(shape, bits, sigma)
    else:
        grey = _coarse(shape[:2], bits, sigma, grain)
        parts = cv2.merge([grey, _coarse((*shape[:2], 2), bits, sigma, grain * CHROMA_COARSER)])
    deviations = np.sqrt([1 + 2 * correlation, 1 - correlation, 1 - correlation])
    return cv2.transform(parts, (GREY_AXES * deviations).astype(np.float32))


def _white(shape: tuple[int, ...], bits: SFC64, sigma: float) -> Floats:
    """White Gaussian noise from 16 random bits a value and the inverse of the distribution.

    Seven times as fast as numpy's normals. Variance and kurtosis are the Gaussian's to 1e-6 and 2e-4; what is cut off
    is how far the eleven values in a million beyond the outermost slice would lie beyond it.
    """
    count = math.prod(shape)
    index = bits.random_raw((count + 3) // 4).view(np.uint16)[:count].reshape(shape)
    return cv2.LUT(index, _slices() * np.float32(sigma))


@lru_cache(maxsize=1)
def _slices() -> Floats:
    """The mean of each slice: the difference of the density at its ends, over its probability."""
    ends = ndtri(np.arange(SLICES + 1) / SLICES)
    density = np.exp(-0.5 * ends**2) / math.sqrt(2 * math.pi)
    return ((density[:-1] - density[1:]) * SLICES).astype(np.float32)


def _coarse(shape: tuple[int, ...], bits: SFC64, sigma: float, grain: float) -> Floats:
    """Noise that a Gaussian has blurred, with the standard deviation that it had; without the mirror's border."""
    if grain == 0:
        return _white(shape, bits, sigma)
    line = cv2.getGaussianKernel(2 * math.ceil(3 * grain) + 1, grain, cv2.CV_32F)
    margin = len(line) // 2
    height, width = shape[0] + 2 * margin, shape[1] + 2 * margin
    white = _white((height, width, *shape[2:]), bits, sigma / float((line**2).sum()))
    blurred = cv2.sepFilter2D(white, -1, line, line)
    return np.ascontiguousarray(blurred[margin:-margin, margin:-margin])
