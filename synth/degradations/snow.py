"""Snow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator, Philox

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.degradations.particles import (
    TILE,
    Placement,
    Shine,
    Table,
    behind_particles,
    behind_particles_in_infrared,
    halved,
    hide_behind,
    sample,
)
from synth.images.pixels import Bytes, Floats
from synth.scene.scene import View

HEAVIEST = 5.0  # mm/h of water at severity 1; 2.5 mm/h is heavy snow, a hand deep in ten hours
BEND = 1.0  # of the severity: the first flakes are seen at once
WETTEST = 10.0  # mm/h of the snow that the tile holds
SMALLEST_MM = 1.0  # melted diameter; smaller flakes are seen as a veil alone
LARGEST_MM = 5.0
TYPICAL_MM = 1.5
FLUFF = 3.5  # diameter of a flake over that of the drop it melts to: a density of about 25 kg/m³
FALL_M_S = 1.0  # of flakes of any size (Gunn and Marshall, 1958: 0.9 to 1.2 m/s for aggregates)
SHELTER = 0.6  # of the wind: flakes drift with the slower air near the ground, where drops bring their speed with them
LONGEST_EXPOSURE_S = 1 / 90  # photographs that show flakes were taken with shutters that leave them flakes
FLUTTER_M_S = 0.35  # standard deviation of a flake's own motion in still air
GUSTS = 0.12  # and how much of the wind's speed adds to it
SEEN_VEIL = (0.6, 2.0)  # optical thickness at the 90th percentile of distance, at severity 1
INFRARED_SHARE = (0.3, 0.6)  # of the visible thickness: flakes are far larger than the wave, but as cold as the scene
SHINE = Shine(local=0.3, colour=0.1, albedo=1.4)  # flakes scatter the light of the whole sky
THICKNESS = 1.3  # optical, of a typical flake in focus that stands still
THICKENING = 1.5  # exponent by which it grows with the melted diameter

APERTURE_MM = 6.0  # of the lens: the blur of a near flake
FOCUS_M = 4.0
FADING = 0.3  # exponent by which a flake that is drawn out loses opacity: 1 for a body of even thickness
NARROWEST = 1 / 330  # of the width: what lens and stored size leave of a far flake
SLANT_JITTER = math.radians(6)  # standard deviation between layers; gusts

FLAKE = 6.0  # pixels of the tile: diameter of a typical flake
FINEST_STEPS = (2.2, 2.2)  # pixels of the tile that one of the image may step over
DASHES = (0.5, 1.2, 2.8, 6.4)  # lengths of motion that tiles are drawn for, in diameters of a typical flake
SPREADS = (0.2, 0.4, 0.7)  # and flutter against the common motion
DEPTH_SPREAD = 0.4  # of the logarithm of distance within a layer
SHAPES = 96  # flakes drawn for a tile; each is used many times, mirrored and in its own brightness


@dataclass(frozen=True)
class _Layer:
    """Flakes around one distance. covered: share of the tile under flakes in the wettest snow, were they at rest."""

    distance_m: float
    covered: float
    soft: bool = False


LAYERS = (_Layer(0.5, 0.04, soft=True), _Layer(1.6, 0.1), _Layer(5.0, 0.19))


@dataclass(frozen=True)
class SnowParams:
    """rate: mm/h of water, 0 for none. veil_gain: by how much more the veil takes than physics has it.
    thickness_share: of the visible optical thickness, what this image's wavelengths see. slant: degrees from the
    vertical to the right. dash_px: the common motion at 1 m while the shutter is open. flutter: a flake's own motion
    against the common one. seed: of the field.
    """

    rate: float
    veil_gain: float
    thickness_share: float
    slant: float
    dash_px: float
    flutter: float
    seed: int


class Snow(Degradation[SnowParams]):
    """Soft irregular flakes in layers of distance, and the far snow as a veil.

    Sizes as melted diameters: N(D) = 3800 R^-0.87 exp(-Λ D) per m³ and mm, Λ = 2.55 R^-0.48 (Gunn and Marshall, 1958),
    R in mm/h of water. A flake at distance d is f D / d pixels wide, widened by the lens, drawn out by the fall, the
    wind and its own flutter, and as opaque as the share of light that it still covers there. It takes on the light of
    its place. The veil: 5.53 R^1.38 dB/km (dry snow at 0.55 µm, ITU-R P.1814).
    """

    name = "snow"
    stage = Stage.SCENE
    may_stay = "always"
    outdoors = True
    version = 2
    order = 2
    images: ClassVar[Images] = "shared"
    quantities = {"rate": Quantity(0.1, 10, "mm/h of water", strength=True)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> SnowParams:
        share, thickness = (float(rng.uniform(*span)) for span in (INFRARED_SHARE, SEEN_VEIL))
        scene = view.scene
        wind = SHELTER * scene.wind[0]
        speed = math.hypot(wind, FALL_M_S)
        return SnowParams(
            rate=fixed["rate"] if severity is None else HEAVIEST * severity**BEND,
            veil_gain=thickness / (extinction(HEAVIEST) * scene.far_m),
            thickness_share=share if view.infrared else 1.0,
            slant=math.degrees(math.atan2(wind, FALL_M_S)),
            dash_px=scene.focal_px * speed * min(scene.exposure_s, LONGEST_EXPOSURE_S),
            flutter=(FLUTTER_M_S + GUSTS * math.hypot(*scene.wind)) / speed,
            seed=view.field_seed(rng),
        )

    def apply(self, image: Floats, params: SnowParams, view: View) -> Floats:
        if params.rate == 0:
            return image.copy()
        falling = replace(params, thickness_share=1.0)
        particles = view.scene.once((falling, view.size), lambda: _flakes(falling, view))
        beta = params.veil_gain * extinction(params.rate)
        if view.infrared:
            return behind_particles_in_infrared(image, params.thickness_share, beta, particles, view)
        return behind_particles(image, SHINE, beta, particles, view)


class _Flakes(NamedTuple):
    """What a tile holds. dash: how far flakes move while the shutter is open, in widths. spread: of their ways."""

    layer: _Layer
    dash: float
    spread: float


def extinction(rate: float) -> float:
    """Of visible light by dry snow, per metre."""
    return 5.53 * rate**1.38 * math.log(10) / 10 / 1000


def _decay(rate: float) -> float:
    """Λ of Gunn and Marshall, per mm."""
    return 2.55 * rate**-0.48


def _log_number(rate: float) -> float:
    """Logarithm of the number of flakes beyond the smallest seen, per m³."""
    return math.log(3800 * rate**-0.87 / _decay(rate)) - _decay(rate) * SMALLEST_MM


def _nearest(values: tuple[float, ...], wanted: float) -> float:
    return min(values, key=lambda value: abs(math.log(value / wanted)))


def _flakes(params: SnowParams, view: View) -> Floats:
    """Logarithm of the transmission of all flakes, (H, W)."""
    scene = view.scene
    rng = Generator(Philox(key=params.seed))
    nearest = float(scene.depth.min())
    flake_m = TYPICAL_MM * FLUFF / 1000
    spread = _nearest(SPREADS, params.flutter)
    total = np.zeros(view.size, np.float32)
    for layer in LAYERS:
        x, y, mirror, gust = rng.random(4)
        distance = layer.distance_m
        sharp = scene.focal_px * flake_m / distance
        blurred = math.hypot(sharp, scene.focal_px * APERTURE_MM / 1000 * (1 / distance - 1 / FOCUS_M))
        width = math.hypot(blurred, NARROWEST * view.size[1])
        dash = _nearest(DASHES, params.dash_px / distance / width)
        slant = math.radians(params.slant) + SLANT_JITTER * math.sqrt(12) * (gust - 0.5)
        steps = (math.copysign(FLAKE / width, mirror - 0.5), FLAKE / width)
        lie = Placement(slant, width, steps, (x, y))
        field = sample(partial(_repeated, _Flakes(layer, dash, spread)), view.size, lie, FINEST_STEPS)
        if nearest < distance:
            field = hide_behind(field, scene.depth, distance)
        # Out of focus, a flake spreads what it covers over a disc; below a pixel it keeps its energy.
        peak = THICKNESS * (sharp / blurred) ** 2 * math.sqrt(blurred / width) / (1 + dash) ** FADING
        cv2.add(total, cv2.LUT(field, _table(params.rate, peak)), dst=total)
    return total


@lru_cache(maxsize=16)
def _table(rate: float, peak: float) -> Table:
    """From the melted diameters that the tile holds to the logarithm of transmission, at a rate.

    peak: optical thickness of a typical flake. The tile holds the flakes of the wettest snow. Those that fall at a
    lower rate are its largest, as many as Gunn and Marshall count, each taken for the flake of the same rank in the
    lesser snow.
    """
    wettest, here = _decay(WETTEST), _decay(rate)
    held = np.arange(256) * (LARGEST_MM / 255)
    above = held - SMALLEST_MM - (_log_number(WETTEST) - _log_number(rate)) / wettest
    diameter = np.where(above > 0, SMALLEST_MM + above * wettest / here, np.maximum(SMALLEST_MM + above, 0))
    return (-peak * (diameter / TYPICAL_MM) ** THICKENING).astype(np.float32)


@lru_cache(maxsize=24)
def _repeated(flakes: _Flakes, across: int, along: int, columns: int, rows: int) -> Bytes:
    return np.tile(_tile(flakes, across, along), (rows, columns))


@cache  # of at most a tile a layer, dash and spread: some 50 MB
def _tile(flakes: _Flakes, across: int, along: int) -> Bytes:
    """Flakes of the wettest snow, by halvings; entries are melted diameters, 255 the largest."""
    if across or along:
        return halved(_tile(flakes, 0, 0), across, along)
    layer, dash, spread = flakes
    rng = Generator(Philox(key=[round(layer.distance_m * 100), round(dash * 100) * 1000 + round(spread * 100)]))
    shapes = [_shape(rng, dash, spread, layer.soft) for _ in range(SHAPES)]
    reach = max(max(shape.shape) for shape in shapes)
    tile = np.zeros((TILE + reach, TILE + reach), np.float32)
    count = round(layer.covered * TILE * TILE / FLAKE**2 / math.sqrt(1 + dash))
    melted = np.minimum(SMALLEST_MM + rng.exponential(1 / _decay(WETTEST), count), LARGEST_MM)
    places = rng.integers(0, TILE, (count, 2))
    which = rng.integers(0, SHAPES, count)
    for size, (row, column), number in zip(melted, places, which, strict=True):
        shape = shapes[number]
        part = tile[row : row + shape.shape[0], column : column + shape.shape[1]]
        np.maximum(part, np.float32(size) * shape, out=part)
    np.maximum(tile[:reach], tile[TILE:], out=tile[:reach])  # what hangs over an edge comes in at the other
    np.maximum(tile[:, :reach], tile[:, TILE:], out=tile[:, :reach])
    return np.rint(np.clip(tile[:TILE, :TILE] / LARGEST_MM, 0, 1) * 255).astype(np.uint8)


def _shape(rng: Generator, dash: float, spread: float, soft: bool) -> Floats:
    """One flake: a clump of crystals, smeared along its own way while the shutter is open; 1 at its densest."""
    diameter = FLAKE * math.exp(rng.normal(0, DEPTH_SPREAD))
    lumps = int(rng.integers(3, 7))
    offsets = rng.normal(0, 0.24 * diameter, (lumps, 2))
    sigmas = np.maximum(diameter * rng.uniform(0.14, 0.3, lumps), 0.9)
    weights = rng.uniform(0.5, 1.0, lumps)
    way = FLAKE * dash * (np.array([0.0, 1.0]) + spread * rng.standard_normal(2))
    reach = math.ceil(1.2 * diameter + np.abs(way).max() / 2) + 2
    grid = np.arange(-reach, reach + 1)
    shape = np.zeros((grid.size, grid.size), np.float32)
    for (x, y), sigma, weight in zip(offsets, sigmas, weights, strict=True):
        column, row = np.exp(-0.5 * ((grid - x) / sigma) ** 2), np.exp(-0.5 * ((grid - y) / sigma) ** 2)
        shape += (weight * row[:, None] * column).astype(np.float32)
    if soft:
        shape = cv2.GaussianBlur(shape, (0, 0), 0.25 * diameter)
    path = np.zeros_like(shape)
    for instant in np.linspace(-0.5, 0.5, 1 + 2 * math.ceil(float(np.hypot(*way)))):
        x, y = np.rint(reach + instant * way).astype(int)
        path[y, x] += 1
    shape = cv2.filter2D(shape, -1, path, borderType=cv2.BORDER_CONSTANT)
    return shape / shape.max()
