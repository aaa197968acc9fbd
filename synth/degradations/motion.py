"""Blur by motion of the camera."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import SFC64, Generator
from numpy.typing import NDArray

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.degradations.filters import convolve, draw_lamps, in_pixels, with_lamps, without_faint
from synth.images.pixels import Floats
from synth.scene.scene import View
from synth.streams import field_seed

BEND = 0.9  # of the severity: a path of less than a pixel costs little
LONGEST = 0.06  # path at severity 1, as a share of the width at 256 px: 15 px there
SHAKE_CHANCE = 0.6
STEPS = 96  # in time, along a shaken path
TURNING = 1.3  # radians (standard deviation) that the heading wanders by over the exposure
INERTIA = 0.12  # of the exposure: how long a turn or a change of speed lasts
UNSTEADY = 0.45  # standard deviation of the logarithm of speed
JERKS = (0, 4)  # sudden changes of direction in an exposure: at least, fewer than
JERK_SPREAD = 0.7  # radians around turning back
STOP = 0.05  # of the exposure: the hand stands still around a jerk, which leaves a bright point
SAMPLES = 8  # of the path a pixel
STILL = 0.2  # pixels by which the centre of gravity may move; of a path of up to 30 px it never does


@dataclass(frozen=True)
class MotionParams:
    """length: of the path in pixels. shake: 1 for a shaken path, 0 for a straight one. angle: direction at the start,
    degrees from the right, counterclockwise. seed: of the shake. lamps: how many times white small saturated spots are.
    """

    length: float
    shake: int
    angle: float
    seed: int
    lamps: float = 1.0


class Motion(Degradation[MotionParams]):
    """The path of the camera during the exposure, drawn by every point of light: I = k ∗ J, in linear light.

    The path is straight, or shaken as by a hand: a walk with inertia, turns and sudden jerks, its brightness at a
    place the time spent there (Boracchi and Foi, "Modeling the performance of image restoration from motion blur",
    IEEE Trans. Image Processing 21(8), 2012). Its centre of gravity stands still, so that the pair stays aligned. In
    linear light lamps, far brighter than white, keep their brightness along it. The severity sets its length.

    Cameras on one rig turn as one, by one angle, and registered pictures show one field of view: so the images of one
    shot share the path, to the pixel. Two shots are shaken each by itself.
    """

    name = "motion"
    title = "motion blur"
    stage = Stage.OPTICS
    version = 3
    order = 2
    in_one_shot: ClassVar[Images | None] = "shared"
    quantities = {
        "length": Quantity(0.1, 200, "px", strength=True, words="{value}"),
        "shake": Quantity(0, 1, "straight or shaken", choices=(0, 1)),
        "angle": Quantity(0, 360, "degrees", words=None),
        "lamps": Quantity(1, 100, "times white", words=None),
    }

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> MotionParams:
        shake = int(rng.random() < SHAKE_CHANCE)
        angle = rng.uniform(0, 360)
        seed = field_seed(rng)
        lamps = fixed.get("lamps", draw_lamps(rng, view))
        length = fixed["length"] if severity is None else in_pixels(LONGEST, view.size[1]) * severity**BEND
        return MotionParams(length, int(fixed.get("shake", shake)), float(fixed.get("angle", angle)), seed, lamps)

    def apply(self, image: Floats, params: MotionParams, view: View) -> Floats:
        if params.length == 0:
            return image.copy()
        return convolve(with_lamps(image, params.lamps), _thinned(kernel(path(params))))


def _thinned(whole: Floats) -> Floats:
    """The kernel without its faintest elements, where its centre of gravity stands still without them."""
    thin = without_faint(whole)
    return thin if abs(_centre(thin) - _centre(whole)) <= STILL else whole


def _centre(spread: Floats) -> complex:
    """x + iy in pixels from the middle."""
    along = np.arange(len(spread)) - len(spread) // 2
    return complex(along @ spread.sum(0), along @ spread.sum(1))


def path(params: MotionParams) -> NDArray[np.complex128]:
    """Where a point of light is at even steps of time: x + iy in pixels, y downwards, around its centre of gravity."""
    step = np.exp(-1j * math.radians(params.angle)) * (_shake(params.seed) if params.shake else np.ones(1))
    places = np.concatenate([[0], np.cumsum(step)])
    places *= params.length / np.abs(step).sum()
    fine = math.ceil(SAMPLES * np.abs(np.diff(places)).max()) + 1
    time = (np.arange(fine * step.size) + 0.5) / fine
    return places - np.interp(time, np.arange(places.size), places).mean()


def _shake(seed: int) -> NDArray[np.complex128]:
    """Velocities of a hand that shakes, in even steps of time, the heading 0 at first."""
    rng = Generator(SFC64(seed))
    time = (np.arange(STEPS) + 0.5) / STEPS
    lag = np.exp(-np.arange(STEPS) / (INERTIA * STEPS))
    turns, speeds = (np.convolve(rng.standard_normal(STEPS), lag)[:STEPS] for _ in range(2))
    heading = np.cumsum(turns) * TURNING / (math.sqrt(STEPS) * lag.sum())
    speed = np.exp(speeds * UNSTEADY / math.sqrt((lag**2).sum()))
    for moment in rng.uniform(0.1, 0.9, rng.integers(*JERKS)):
        heading += np.where(time > moment, math.pi + rng.normal(0, JERK_SPREAD), 0)
        speed *= 1 - np.exp(-(((time - moment) / STOP) ** 2))
    return speed * np.exp(1j * (heading - heading[0]))


def kernel(places: NDArray[np.complex128]) -> Floats:
    """The point spread of a path: each stretch of time shared between the pixels around its place (bilinear)."""
    fine = math.ceil(SAMPLES * np.abs(np.diff(places)).max()) + 1
    time = (np.arange(fine * (places.size - 1)) + 0.5) / fine
    along = np.interp(time, np.arange(places.size), places)
    reach = math.ceil(max(np.abs(along.real).max(), np.abs(along.imag).max())) + 1
    side = 2 * reach + 1
    column, row = np.floor(along.real).astype(int), np.floor(along.imag).astype(int)
    right, down = along.real - column, along.imag - row
    corner = (row + reach) * side + column + reach
    total = np.zeros(side * side)
    for offset, weight in ((0, (1 - down) * (1 - right)), (1, (1 - down) * right), (side, down * (1 - right))):
        total += np.bincount(corner + offset, weight, side * side)
    total += np.bincount(corner + side + 1, down * right, side * side)
    return (total / along.size).astype(np.float32).reshape(side, side)
