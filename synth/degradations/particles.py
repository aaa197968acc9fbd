"""What rain and snow have in common: fields of drops and flakes in layers of distance, and their way into an image.

A field is not drawn anew for each image. Streaks and flakes are drawn once a process into a tile that repeats without
a seam; an affine map then gives each layer of distance its own size, slant and place in the tile. The tile holds the
logarithm of optical thickness, in standard deviations of it about its median among all particles. So a table of 256
entries turns it into any rate of fall: at a lower rate the median is that of the brightest particles of the tile, as
many as fall, and the others are faint to nothing. A higher rate shows all that a lower one shows.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from synth.degradations.base import Degradation, Images, Stage
from synth.degradations.shine import Shine, behind_particles, behind_particles_in_infrared
from synth.images.pixels import Bytes, Floats, shrink
from synth.scene.scene import View

Table: TypeAlias = NDArray[np.float32]  # (256,), from an entry of the tile to the logarithm of transmission

TILE = 1024  # pixels a side of a tile at its finest
COARSEST = 6  # halvings of a tile: 16 px are left
POOLING = 2.7  # power mean by which a tile is halved: a picture then loses the same at 128, 256 and 512 px
LEAST_WIDTH = 1.25  # pixels at which a particle may be sampled before it is enlarged
FAINTEST, MOST = -4.0, 2.8  # standard deviations that a tile holds; beyond opaque, a thread would be a brush stroke
STEP = (MOST - FAINTEST) / 254  # of them, from one entry of a tile to the next; entry 0 is nothing at all
DEVIATIONS = FAINTEST + STEP * (np.arange(256) - 1)
_FINE = np.linspace(-8.5, 6, 2901)
_BRIGHTER = np.array([NormalDist().cdf(-z) for z in _FINE])  # the share of particles brighter than that
OCCLUSION_AT = 192  # pixels of the long side at which is decided what the scene hides: its depth is no finer
TYPICAL_FOCAL = 1.1  # focal length in widths of the picture
WIDE_APERTURE_MM = 12.0  # of a lens that is known to focus: 50 mm at f/4
THICKEST = 3.0  # optical thickness of the brightest: a twentieth of what is behind still shows
SHEETS = 0.5  # depth to which the number of particles varies over a tile: rain falls in sheets, snow in flurries


@dataclass(frozen=True)
class Lens:
    """Of a lens that is not known to focus on a part of the scene. aperture_mm: its diameter."""

    aperture_mm: float
    focus_m: float

    def blur(self, distance_m: float, focal_px: float, focus_m: float | None) -> float:
        """Diameter in pixels of the circle of confusion of a point; focus_m: where the lens is known to focus."""
        aperture, focus = (self.aperture_mm, self.focus_m) if focus_m is None else (WIDE_APERTURE_MM, focus_m)
        return focal_px * aperture / 1000 * abs(1 / distance_m - 1 / focus)


def entries(deviations: NDArray[Any]) -> Bytes:
    """What a tile holds for deviations of the logarithm of thickness from its median."""
    return np.clip(np.rint((deviations - FAINTEST) / STEP + 1), 0, 255).astype(np.uint8)


def table(share: float, peak: float, spread: float, cover: float) -> Table:
    """From the entries of a tile to the logarithm of transmission.

    share: of the particles of the tile, those that fall. peak: median optical thickness of them in focus. spread:
    standard deviation of its logarithm. cover: of what they cover now, what they would cover in focus.
    """
    median = float(np.interp(share / 2, _BRIGHTER[::-1], _FINE[::-1]))  # half of what falls is brighter than that
    thickness = np.minimum(peak * np.exp(spread * (DEVIATIONS - median)), THICKEST)
    thickness[0] = 0
    return np.log1p(-cover * -np.expm1(-thickness)).astype(np.float32)


def halved(tile: Bytes, across: int, along: int, spread: float) -> Bytes:
    """The tile, `across` times half as wide and `along` times half as high.

    The power mean of thickness keeps the summed energy of what became thinner than a pixel: a small copy of a picture
    loses as much to the same rain as the large one (a plain mean would wash it out, a maximum would cover it).
    """
    powers = np.exp(POOLING * spread * DEVIATIONS)
    powers[0] = 0
    size = (TILE >> across, TILE >> along)
    mean = cv2.resize(cv2.LUT(tile, powers.astype(np.float32)), size, interpolation=cv2.INTER_AREA)
    return entries(np.log(np.maximum(mean, 1e-30)) / (POOLING * spread))


def halvings(step: float, finest_step: float) -> int:
    """How often to halve a tile so that one pixel of the image steps over about `finest_step` pixels of it at most."""
    return int(np.clip(math.ceil(math.log2(max(step / finest_step, 1.0)) - 0.3), 0, COARSEST))


def scattered(rng: Generator, count: int) -> NDArray[np.float64]:
    """Places (2, count) in a tile, closer to each other in some parts of it."""
    places = np.empty((2, 0))
    phases = rng.uniform(0, 2 * math.pi, 3)
    while places.shape[1] < count:
        x, y = rng.uniform(0, TILE, (2, count))
        turn = 2 * math.pi / TILE
        waves = np.sin(turn * x + phases[0]) + np.sin(turn * (2 * x + y) + phases[1]) + np.sin(turn * y + phases[2])
        kept = rng.uniform(0, 1, count) < 1 - SHEETS * (0.5 + waves / 6)
        places = np.hstack([places, np.stack([x, y])[:, kept]])
    return places[:, :count]


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


def hide_behind(field: Bytes, depth: Floats, distance: float, extent: float) -> Bytes:
    """The field without what stands behind the scene.

    distance: of the middle of the layer, in metres. extent: how far the layer reaches to either side, as a logarithm.
    Before a scene beyond all of it every particle shows; before a nearer one as many fewer as the layer is hidden.
    """
    small = shrink(depth, OCCLUSION_AT)
    shown = np.clip((np.log(small) - math.log(distance) + extent) / (2 * extent), 0, 1)
    # Half of the particles are brighter than the median, and few rates of fall show the others.
    sunk = np.interp(shown / 2, _BRIGHTER[::-1], _FINE[::-1]) / STEP
    sunk = np.where(shown > 0, np.maximum(sunk, 0), 255).astype(np.uint8)
    return cv2.subtract(field, cv2.resize(sunk, field.shape[::-1], interpolation=cv2.INTER_LINEAR))


@dataclass(frozen=True)
class Layer:
    """Particles around one distance. distance_m: in metres, before a lens of TYPICAL_FOCAL; what a longer one shows of
    them is farther away and looks the same. count: in a tile, in the heaviest fall.
    """

    distance_m: float
    count: int


@dataclass(frozen=True)
class Laid:
    """A layer as an image sees it. tile_at: see `sample`. width, steps: see `Placement`, the steps without a sign.
    peak: median optical thickness in focus. cover: of what particles cover, what they would cover in focus.
    """

    tile_at: Callable[[int, int, int, int], Bytes]
    width: float
    steps: tuple[float, float]
    peak: float
    cover: float


@dataclass(frozen=True)
class FallParams:
    """rate: mm/h of water, 0 for none. veil_gain: by how much the far fall takes more light than physics has it.
    thickness_share: of the visible optical thickness, what this image's wavelengths see. slant: degrees from the
    vertical to the right. seed: of the field.
    """

    rate: float
    veil_gain: float
    thickness_share: float
    slant: float
    seed: int


Params = TypeVar("Params", bound=FallParams)


class Falling(Degradation[Params], Generic[Params], register=False):
    """Particles in layers of distance, and what falls farther away as a veil.

    layers: from near to far. extent: how far each reaches to either side, as a logarithm of distance. slant_jitter:
    radians, standard deviation between layers. spread: standard deviation of the logarithm of optical thickness.
    finest: pixels of the tile that one of the image may step over, across and along the fall.
    """

    stage = Stage.SCENE
    may_stay = "always"
    outdoors = True
    images: ClassVar[Images] = "shared"
    shine: ClassVar[Shine]
    layers: ClassVar[tuple[Layer, ...]]
    extent: ClassVar[float]
    slant_jitter: ClassVar[float]
    spread: ClassVar[float]
    finest: ClassVar[tuple[float, float]]

    @abstractmethod
    def extinction(self, rate: float) -> float:
        """Of visible light, per metre."""

    @abstractmethod
    def share(self, rate: float) -> float:
        """Of the particles of a tile, those that fall at a rate."""

    @abstractmethod
    def laid(self, layer: Layer, distance: float, params: Params, view: View) -> Laid:
        """How a layer looks in an image, from a distance in metres."""

    def apply(self, image: Floats, params: Params, view: View) -> Floats:
        if params.rate == 0:
            return image.copy()
        falling = replace(params, thickness_share=1.0)
        particles = view.scene.once((falling, view.size, view.focus_m), lambda: self._fallen(falling, view))
        extinction = params.veil_gain * self.extinction(params.rate)
        if view.infrared:
            return behind_particles_in_infrared(image, params.thickness_share, extinction, particles, view)
        return behind_particles(image, self.shine, extinction, particles, view)

    def _fallen(self, params: Params, view: View) -> Floats:
        """Logarithm of the transmission of all particles, (H, W)."""
        depth = view.scene.depth
        rng = Generator(Philox(key=params.seed))
        nearest = math.log(cv2.minMaxLoc(depth)[0])
        share = self.share(params.rate)
        zoom = view.scene.focal_px / view.size[1] / TYPICAL_FOCAL
        total = np.zeros(view.size, np.float32)
        for layer in self.layers:
            x, y, mirror, gust = rng.random(4)
            distance = layer.distance_m * zoom
            laid = self.laid(layer, distance, params, view)
            slant = math.radians(params.slant) + self.slant_jitter * math.sqrt(12) * (gust - 0.5)
            steps = (math.copysign(laid.steps[0], mirror - 0.5), laid.steps[1])
            field = sample(laid.tile_at, view.size, Placement(slant, laid.width, steps, (x, y)), self.finest)
            if nearest < math.log(distance) + self.extent:
                field = hide_behind(field, depth, distance, self.extent)
            cv2.add(total, cv2.LUT(field, table(share, laid.peak, self.spread, laid.cover)), dst=total)
        return total
