"""Gaussian blur: isotropic, and where a recipe asks for it anisotropic, generalised or with ringing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from scipy.special import j1, ndtr

from synth.degradations.base import Degradation, Quantity, Stage
from synth.degradations.filters import convolve, double_size, half_size, in_pixels, on_pixels, without_faint
from synth.images.pixels import Floats
from synth.scene.scene import View

WIDEST = 0.014  # standard deviation at severity 1, as a share of the width at 256 px: 3.6 px there
REACH = 3.3  # standard deviations that the isotropic kernel extends to
FAINTEST = 0.003  # of its peak, where a generalised one ends
SAMPLES, FEWEST = 4, 64  # of it: across a pixel, and at least
HALVE = 2.0  # pixels: from this deviation on, blur at half size
HALVE_RINGS = 4.0  # the same where there are rings, which halving would blunt
HALVING_VARIANCE = 1.5  # px² along an axis that halving and doubling add, taken off the kernel's
HALF_POWER = math.sqrt(2 * math.log(2))  # / σ: the frequency at which a Gaussian lets half of the amplitude through
LOBES = 7.0156  # second zero of the Bessel function J1: how far the rings go


@dataclass(frozen=True)
class BlurParams:
    """sigma: standard deviation of the kernel in pixels, the geometric mean of both axes. ratio: of the long axis to
    the short one. angle: of the long axis, degrees from the right, counterclockwise. shape: exponent β of the
    generalised Gaussian, 1 for the Gaussian. ringing: share of the sinc filter, 0 to 1.
    """

    sigma: float
    ratio: float = 1.0
    angle: float = 0.0
    shape: float = 1.0
    ringing: float = 0.0


class Blur(Degradation[BlurParams]):
    """A Gaussian point spread, in linear light: I = k ∗ J, mirrored at the border.

    Isotropic by default. Else k ∝ exp(-½ (xᵀ Σ⁻¹ x)^β), with axes of different length and an exponent
    that makes it pointed (β < 1) or flat (β > 1), and a share of an ideal low-pass filter of the same half-power
    frequency ω, k ∝ J1(ω r) / r, which leaves rings at edges (both as in Real-ESRGAN, Wang et al., ICCVW 2021).
    """

    name = "blur"
    stage = Stage.OPTICS
    version = 2
    order = 1
    quantities = {
        "sigma": Quantity(0.1, 20, "px", strength=True),
        "ratio": Quantity(1, 6, "long axis / short axis", neutral=1, words="{number} times as long as wide"),
        "angle": Quantity(0, 180, "degrees", words=None),
        "shape": Quantity(0.5, 4, "exponent", neutral=1, words="exponent {number}"),
        "ringing": Quantity(0, 1, "share of a sinc filter", words="with rings"),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> BlurParams:
        angle = rng.uniform(0, 180)
        sigma = fixed["sigma"] if severity is None else in_pixels(WIDEST, view.size[1]) * severity
        ratio, shape, ringing = fixed.get("ratio", 1.0), fixed.get("shape", 1.0), fixed.get("ringing", 0.0)
        return BlurParams(sigma, ratio, float(fixed.get("angle", angle if ratio > 1 else 0.0)), shape, ringing)

    def apply(self, image: Floats, params: BlurParams, view: View) -> Floats:
        sigma, ratio = params.sigma, params.ratio
        if sigma == 0:
            return image.copy()
        height, width = image.shape[:2]
        narrow = sigma / math.sqrt(ratio) * min(1.0, params.shape)  # what halving must not blunt
        if narrow >= (HALVE_RINGS if params.ringing else HALVE) and min(height, width) > 4 * sigma:
            smaller = replace(params, sigma=math.sqrt(sigma**2 - HALVING_VARIANCE) / 2)
            return double_size(self.apply(half_size(image), smaller, view), height, width)
        if ratio == params.shape == 1 and not params.ringing:
            line = gaussian(sigma)
            return cv2.sepFilter2D(image, -1, line, line, borderType=cv2.BORDER_REFLECT_101)
        kernel = generalised_gaussian(sigma, ratio, params.angle, params.shape)
        if params.ringing:
            ringing = params.ringing * min(1.0, sigma * math.pi / HALF_POWER)  # none where all frequencies pass
            rings = sinc(min(math.pi, HALF_POWER / sigma))
            kernel = _add((1 - ringing) * kernel, ringing * rings)
        return convolve(image, without_faint(kernel))


def gaussian(sigma: float) -> Floats:
    """One axis of the isotropic kernel: N(0, σ²), each of its points shared between the two pixels around it.

    That is a Gaussian convolved with a triangle one pixel high and two wide, so the second difference of twice the
    integral of the Gaussian: F(x) = x Φ(x/σ) + σ φ(x/σ).
    """
    reach = math.ceil(REACH * sigma)
    x = np.arange(-reach - 1, reach + 2) / sigma
    integral = sigma * (x * ndtr(x) + np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi))
    line = np.diff(integral, 2)
    return (line / line.sum()).astype(np.float32)


def generalised_gaussian(sigma: float, ratio: float, angle: float, shape: float) -> Floats:
    """exp(-½ (xᵀ Σ⁻¹ x)^β), scaled to the standard deviations σ √ratio and σ / √ratio along its axes."""
    variance = 2 ** (1 / shape) * math.gamma(2 / shape) / math.gamma(1 / shape) / 2  # of exp(-½ r^2β) along an axis
    radius = (-2 * math.log(FAINTEST)) ** (1 / (2 * shape)) / math.sqrt(variance)
    reach = radius * sigma * math.sqrt(ratio)
    samples = max(FEWEST, math.ceil(2 * reach * SAMPLES))
    along = ((np.arange(samples) + 0.5) / samples * 2 - 1) * reach
    turn = np.exp(1j * math.radians(angle))
    place = (along[None, :] + 1j * along[:, None]) * turn / (sigma / math.sqrt(variance))  # rows go down
    squared = place.real**2 / ratio + place.imag**2 * ratio
    return on_pixels(np.exp(-0.5 * squared**shape), along)


def sinc(cutoff: float) -> Floats:
    """The ideal round low-pass filter, cutoff in radians a pixel."""
    reach = math.ceil(LOBES / cutoff)
    along = np.arange(-reach, reach + 1)
    radius = np.hypot(along[:, None], along[None, :])
    radius[reach, reach] = 1
    kernel = np.where(radius * cutoff <= LOBES, j1(cutoff * radius) / radius, 0)
    kernel[reach, reach] = cutoff / 2
    return (kernel / kernel.sum()).astype(np.float32)


def _add(kernel: Floats, other: Floats) -> Floats:
    """The sum of two kernels of odd sides around their common middle."""
    small, large = sorted((kernel, other), key=len)
    margin = (len(large) - len(small)) // 2
    return large + np.pad(small, margin)
