"""Defocus."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.degradations.filters import convolve, double_size, draw_lamps, half_size, in_pixels, on_pixels, with_lamps
from synth.images.pixels import Floats
from synth.scene.scene import View

WIDEST = 0.02  # radius at severity 1, as a share of the width at 256 px: 5 px there
BEND = 0.85  # of the severity: a disc of less than a pixel costs little
HALVE = 5.0  # pixels: from this radius on the disc is laid at half size, at a sixteenth of the cost
HALVING_SPREAD = 1.1  # px²: variance along an axis that halving and doubling add, taken off the disc
SAMPLES = 8  # of the disc across a pixel
FEWEST = 64  # samples across the disc
INFRARED_SPREAD = 1.25  # by which the disc of an infrared lens is larger at most, or smaller


@dataclass(frozen=True)
class DefocusParams:
    """radius: of the circle of confusion, in pixels. lamps: how many times white small saturated spots are."""

    radius: float
    lamps: float = 1.0


class Defocus(Degradation[DefocusParams]):
    """The circle of confusion of a lens out of focus: the picture convolved with a disc, in linear light.

    Geometric optics with a round aperture: each point of light becomes a disc of even brightness (Potmesil and
    Chakravarty, "A lens and aperture camera model", SIGGRAPH 1981), so lamps become discs with a sharp rim. The
    severity sets the radius.

    The cameras of one shot are at one distance from a thing and, as they are focused together, from what is sharp: the
    angle of the disc is then D |1/z - 1/z₀|, D the aperture. Apertures differ: germanium lenses are as fast as f/1,
    on a coarser sensor. So the disc of infrared, where the severity sets it, is drawn a little larger or smaller.
    """

    name = "defocus"
    stage = Stage.OPTICS
    version = 2
    order = 0
    in_one_shot: ClassVar[Images | None] = "shared"
    quantities = {
        "radius": Quantity(0.1, 60, "px", strength=True),
        "lamps": Quantity(1, 100, "times white", words=None),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> DefocusParams:
        lamps = fixed.get("lamps", draw_lamps(rng, view))
        lens = INFRARED_SPREAD ** rng.uniform(-1, 1) if view.infrared else 1.0
        radius = fixed["radius"] if severity is None else lens * in_pixels(WIDEST, view.size[1]) * severity**BEND
        return DefocusParams(radius, lamps)

    def apply(self, image: Floats, params: DefocusParams, view: View) -> Floats:
        if params.radius == 0:
            return image.copy()
        return spread_disc(with_lamps(image, params.lamps), params.radius)


def spread_disc(image: Floats, radius: float, halve: float = HALVE) -> Floats:
    """The image convolved with a disc. From a radius of `halve` on, at half size: 0.2 to 0.4 of a grey level off."""
    height, width = image.shape[:2]
    if radius < halve or min(height, width) < 2 * halve:
        return convolve(image, disc(radius))
    # A disc of radius r has the variance r²/4 along each axis.
    smaller = math.sqrt(radius**2 - 4 * HALVING_SPREAD) / 2
    return double_size(spread_disc(half_size(image), smaller, 2 * halve), height, width)


def disc(radius: float) -> Floats:
    """The kernel of a disc of even brightness."""
    samples = max(FEWEST, math.ceil(2 * radius * SAMPLES))
    along = ((np.arange(samples) + 0.5) / samples * 2 - 1) * radius
    cell = 2 * radius / samples
    inside = np.clip((radius - np.hypot(along[:, None], along[None, :])) / cell + 0.5, 0, 1)
    return on_pixels(inside, along)
