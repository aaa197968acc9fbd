"""What rain and snow have in common: fields of drops and flakes, the light they carry, and the blend with the scene.

A field is not drawn anew for each image. Streaks and flakes are drawn once a process into a tile that repeats without
a seam; an affine map then gives each layer of distance its own size, slant and place in the tile. The tile holds the
size of what falls, not its opacity, so that one table of 256 entries turns it into any rate of fall: a higher rate
shows all that a lower one shows, and more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, Floats, luma, shrink
from synth.scene.scene import View

Table: TypeAlias = NDArray[np.float32]  # (256,), from an entry of the tile to the logarithm of transmission

TILE = 1024  # pixels a side of a tile at its finest
COARSEST = 6  # halvings of a tile: 16 px are left
POOLING = 5.0  # power mean by which a tile is halved: a picture then loses the same at 128, 256 and 512 px
LOOKED_AT = 128  # points across at which the surrounding light is looked at: a lamp is seldom smaller
LIGHT_GRID = 48  # and on the longer side on which it is spread
SURROUNDINGS = 0.16  # standard deviation of the light that a drop gathers, as a share of the width
GLOW = 0.03  # and of the glow that a veil leaves around lamps and sky
LEAST_WIDTH = 1.25  # pixels at which a particle may be sampled before it is enlarged
GLOW_GREYING = 0.5  # of its colour, what a glow loses: veiled, a blue sky is greyer
GLARE = 2.0  # radiance up to which light spreads in a veil: a bracket may hold the sun, a thousand times its white
TINY = 1e-6


def halved(tile: Bytes, across: int, along: int) -> Bytes:
    """The tile, `across` times half as wide and `along` times half as high.

    The power mean keeps the summed energy of what became thinner than a pixel: a small copy of a picture loses as
    much to the same rain as the large one (a plain mean would wash it out, a maximum would cover the picture).
    """
    powers = np.power(tile.astype(np.float32), POOLING)
    size = (TILE >> across, TILE >> along)
    return np.rint(np.power(cv2.resize(powers, size, interpolation=cv2.INTER_AREA), 1 / POOLING)).astype(np.uint8)


def halvings(step: float, finest_step: float) -> int:
    """How often to halve a tile so that one pixel of the image steps over about `finest_step` pixels of it at most."""
    return int(np.clip(math.ceil(math.log2(max(step / finest_step, 1.0)) - 0.3), 0, COARSEST))


@dataclass(frozen=True)
class Placement:
    """How a layer of particles lies in an image.

    slant: radians from the vertical, positive to the right. width: of a typical particle, in pixels. steps: pixels of
    the finest tile per pixel of the image, across and along the fall; a negative one mirrors. place: where in the tile,
    as a share of it.
    """

    slant: float
    width: float
    steps: tuple[float, float]
    place: tuple[float, float]


def sample(
    tile_at: Callable[[int, int, int, int], Bytes], size: tuple[int, int], lie: Placement, finest: tuple[float, float]
) -> Bytes:
    """A field of `size` (height, width) out of a repeating tile whose particles fall along its columns.

    tile_at: the tile by its halvings (across, along) the fall, repeated so many times (across, along). finest: pixels
    of the tile that one of the image may step over. Broad particles are sampled at a fraction of the resolution.
    """
    coarser = 1
    while lie.width >= 2 * coarser * LEAST_WIDTH:
        coarser *= 2
    height, width = (-(-side // coarser) for side in size)
    steps = [step * coarser for step in lie.steps]
    halved_by = [halvings(abs(step), limit) for step, limit in zip(steps, finest, strict=True)]
    x, y = (step / (1 << times) for step, times in zip(steps, halved_by, strict=True))
    sin, cos = math.sin(lie.slant), math.cos(lie.slant)
    matrix = np.array([[x * cos, -x * sin, 0], [y * sin, y * cos, 0]])
    corners = matrix[:, :2] @ np.array([[0, width, 0, width], [0, 0, height, height]])
    # cv2 is twenty times as slow where it has to wrap around, so the tile is repeated before.
    repeats = []
    for axis in (0, 1):
        side = TILE >> halved_by[axis]
        start = lie.place[axis] * side + 1
        matrix[axis, 2] = start - corners[axis].min()
        repeats.append(math.ceil((start + np.ptp(corners[axis]) + 2) / side))
    tile = tile_at(halved_by[0], halved_by[1], repeats[0], repeats[1])
    field = cv2.warpAffine(tile, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return field if coarser == 1 else cv2.resize(field, size[::-1], interpolation=cv2.INTER_LINEAR)


def hide_behind(field: Bytes, depth: Floats, distance: float) -> Bytes:
    """The field without what stands behind the scene: a layer at `distance` shows where the scene is farther."""
    return cv2.bitwise_and(field, cv2.compare(depth, distance, cv2.CMP_GT))


@dataclass(frozen=True)
class Shine:
    """How what falls takes on light. local: exponent of the surroundings against the airlight. colour: exponent of the
    surroundings' colour. albedo: radiance against what is around.
    """

    local: float
    colour: float
    albedo: float


def behind_particles(image: Floats, shine: Shine, extinction: float, particles: Floats, view: View) -> Floats:
    """The image behind a veil and single particles: I = J t + L (1 - t), t the product of their transmissions.

    extinction: of the veil, per metre. particles: their transmission as a logarithm, (H, W), not above 0.

    A drop shows a fish-eye picture of all that surrounds it (Garg and Nayar, "Vision and rain", IJCV 2007), a flake
    scatters it: so both have a smooth light L of their own place, between the airlight and the image blurred very
    wide. The two are mixed in the exponent, as light spreads over octaves, and L is no less than the blurred image: at
    night it is the light of the lamps nearby, and elsewhere nearly none. Veiled, the sky stays as bright as it is,
    since the light that drops take from it is the light that they scatter out of it: L is no less than the image
    blurred a little. Single particles only brighten: over what outshines them they are left out.
    """
    height, width = view.size
    light, glow = _light(image, shine, view)
    lit = cv2.resize(luma(light), (width, height), interpolation=cv2.INTER_LINEAR)
    darker = cv2.compare(luma(image), lit, cv2.CMP_LT)
    through = cv2.exp(cv2.scaleAdd(view.scene.depth, -extinction, cv2.copyTo(particles, darker)))
    target = cv2.resize(np.maximum(light, glow), (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.blendLinear(image, target, through, 1 - through)


def _light(image: Floats, shine: Shine, view: View) -> tuple[Floats, Floats]:
    """The light of particles and the image blurred a little, times the gain, on a coarse grid of the image."""
    step = max(1, view.size[1] // LOOKED_AT)
    grid = shrink(np.clip(image[::step, ::step], 0, GLARE * view.gain), LIGHT_GRID)
    across = grid.shape[1]
    wide = cv2.GaussianBlur(np.minimum(grid, view.gain), (0, 0), SURROUNDINGS * across, borderType=cv2.BORDER_REPLICATE)
    glow = cv2.GaussianBlur(grid, (0, 0), GLOW * across, borderType=cv2.BORDER_REPLICATE)
    grey = luma(wide)
    airlight = np.float32(view.gain) * np.asarray(view.scene.airlight, np.float32)
    level = float(airlight.mean())
    mixed = shine.albedo * level ** (1 - shine.local) * grey**shine.local
    light = np.maximum(np.minimum(mixed, level), grey)
    if image.ndim == 3:
        tint = np.power((wide + TINY) / (grey[:, :, None] + TINY), shine.colour)
        light = light[:, :, None] * tint * (airlight / max(level, TINY))
        glow = glow + np.float32(GLOW_GREYING) * (luma(glow)[:, :, None] - glow)
    return light.astype(np.float32), glow


def behind_particles_in_infrared(
    image: Floats, share: float, extinction: float, particles: Floats, view: View
) -> Floats:
    """The same for a thermal camera, to which drops and flakes are as warm as the mean of its scene.

    share: of the visible optical thickness, what its wavelengths see.
    """
    through = cv2.exp(share * cv2.scaleAdd(view.scene.depth, -extinction, particles))
    ambient = np.float32(view.ambient)
    return ambient + (image - ambient) * (through if image.ndim == 2 else through[:, :, None])
