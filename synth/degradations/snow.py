"""Snow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator, Philox

from synth.degradations.base import Quantity
from synth.degradations.particles import (
    MOST,
    TILE,
    Falling,
    FallParams,
    Laid,
    Layer,
    Lens,
    entries,
    halved,
    scattered,
)
from synth.degradations.shine import Shine
from synth.images.pixels import Bytes, Floats
from synth.scene.scene import View

HEAVIEST = 5.0  # mm/h of water at severity 1; 2.5 mm/h is heavy snow, a hand deep in ten hours
BEND = 1.2  # of the severity: the first flakes are seen at once
WETTEST = 10.0  # mm/h of the snow that the tile holds
SMALLEST_MM = 2.0  # melted diameter; smaller flakes are seen as a veil alone
TYPICAL_MM = 2.0
FLUFF = 2.3  # diameter of a flake over that of the drop it melts to: a density of about 80 kg/m³
FALL_M_S = 1.0  # of flakes of any size (Gunn and Marshall, 1958: 0.9 to 1.2 m/s for aggregates)
SHELTER = 0.6  # of the wind: flakes drift with the slower air near the ground, where drops bring their speed with them
LONGEST_EXPOSURE_S = 1 / 120  # photographs that show flakes were taken with shutters that leave them flakes
FLUTTER_M_S = 0.35  # standard deviation of a flake's own motion in still air
GUSTS = 0.12  # and how much of the wind's speed adds to it
SEEN_VEIL = (0.25, 1.1)  # optical thickness at the 90th percentile of distance, at severity 1
INFRARED_SHARE = (0.3, 0.6)  # of the visible thickness: flakes are far larger than the wave, but as cold as the scene
THICKNESS = 3.3  # optical, of a typical flake in focus that stands still and covers its pixels

LENS = Lens(aperture_mm=5.0, focus_m=6.0)
FADING = 0.5  # exponent by which a flake that is drawn out loses opacity: 1 for a body of even thickness
NARROWEST = 1 / 390  # of the width: what lens and stored size leave of a far flake

FLAKE = 6.0  # pixels of the tile: diameter of a typical flake
DASHES = (0.5, 1.2, 2.8, 6.4)  # lengths of motion that tiles are drawn for, in diameters of a typical flake
SPREADS = (0.2, 0.4, 0.7)  # and flutter against the common motion
DEPTH_SPREAD = 0.5  # of the logarithm of distance within a layer
SHAPES = 128  # flakes drawn for a tile; each is used many times, in its own brightness
FAINT = 3e-3  # of a flake's thickness, where its window ends
SOFT = 2.0  # circles of confusion, in diameters of a flake, from which the shape is the lens's


@dataclass(frozen=True)
class SnowParams(FallParams):
    """dash_px: the common motion at 1 m while the shutter is open. flutter: a flake's own motion against it."""

    dash_px: float
    flutter: float


class Snow(Falling[SnowParams]):
    """Soft irregular flakes in layers of distance, and the far snow as a veil.

    Sizes as melted diameters: N(D) = 3800 R^-0.87 exp(-Λ D) per m³ and mm, Λ = 2.55 R^-0.48 (Gunn and Marshall, 1958),
    R in mm/h of water. A flake at distance d is f D / d pixels wide, widened by the lens, drawn out by the fall, the
    wind and its own flutter, and as opaque as the share of light that it still covers there. It is white (albedo 0.9)
    under the whole sky. The veil: 5.53 R^1.38 dB/km (dry snow at 0.55 µm, ITU-R P.1814).
    """

    name = "snow"
    version = 3
    order = 2
    measured = ("veil_gain",)
    quantities = {"rate": Quantity(0.1, 10, "mm/h of water", strength=True, words="{value}")}
    shine = Shine(local=0.05, colour=0.1, albedo=0.9)
    layers = (Layer(0.5, 200), Layer(2.3, 800), Layer(6.5, 5700))
    extent = 0.8
    slant_jitter = math.radians(6)
    spread = 1.3
    finest = (3.0, 3.0)

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> SnowParams:
        share, thickness = (float(rng.uniform(*span)) for span in (INFRARED_SHARE, SEEN_VEIL))
        scene = view.scene
        wind = SHELTER * scene.wind[0]
        speed = math.hypot(wind, FALL_M_S)
        return SnowParams(
            rate=fixed["rate"] if severity is None else HEAVIEST * severity**BEND,
            veil_gain=thickness / (self.extinction(HEAVIEST) * scene.far_m),
            thickness_share=share if view.infrared else 1.0,
            slant=math.degrees(math.atan2(wind, FALL_M_S)),
            seed=view.field_seed(rng),
            dash_px=scene.focal_px * speed * min(scene.exposure_s, LONGEST_EXPOSURE_S),
            flutter=(FLUTTER_M_S + GUSTS * math.hypot(*scene.wind)) / speed,
        )

    def extinction(self, rate: float) -> float:
        return 5.53 * rate**1.38 * math.log(10) / 10 / 1000

    def share(self, rate: float) -> float:
        return _number(rate) / _number(WETTEST)

    def laid(self, layer: Layer, distance: float, params: SnowParams, view: View) -> Laid:
        focal = view.scene.focal_px
        flake = focal * TYPICAL_MM * FLUFF / 1000 / distance
        circle = LENS.blur(distance, focal, view.focus_m)
        sharp = math.hypot(flake, NARROWEST * view.size[1])
        width = math.hypot(sharp, circle)
        dash = _nearest(DASHES, params.dash_px / distance / width)
        flakes = _Flakes(layer, dash, _nearest(SPREADS, params.flutter), circle > SOFT * flake)
        peak = THICKNESS * flake / sharp / (1 + dash) ** FADING  # below a pixel, it is seen better than it is
        return Laid(partial(_repeated, flakes), width, (FLAKE / width, FLAKE / width), peak, (sharp / width) ** 2)


class _Flakes(NamedTuple):
    """What a tile holds. dash: how far flakes move while the shutter is open, in widths. spread: of their ways. disc:
    they have the shape of the lens's aperture.
    """

    layer: Layer
    dash: float
    spread: float
    disc: bool


def _number(rate: float) -> float:
    """Of flakes beyond the smallest seen, per m³: Gunn and Marshall, integrated."""
    decay = 2.55 * rate**-0.48
    return 3800 * rate**-0.87 / decay * math.exp(-decay * SMALLEST_MM)


def _nearest(values: tuple[float, ...], wanted: float) -> float:
    return min(values, key=lambda value: abs(math.log(value / wanted)))


@lru_cache(maxsize=24)
def _repeated(flakes: _Flakes, across: int, along: int, columns: int, rows: int) -> Bytes:
    return np.tile(_tile(flakes, across, along), (rows, columns))


@cache  # of at most a tile a layer, dash and spread: some 70 MB
def _tile(flakes: _Flakes, across: int, along: int) -> Bytes:
    """Flakes of the heaviest snow, by halvings."""
    if across or along:
        return halved(_tile(flakes, 0, 0), across, along, Snow.spread)
    layer, dash, spread, disc = flakes
    rng = Generator(Philox(key=[layer.count, round(dash * 100) * 1000 + round(spread * 100) + disc]))
    shapes = [_shape(rng, dash, spread, disc) for _ in range(SHAPES)]
    reach = max(max(shape.shape) for shape in shapes)
    tile = np.full((TILE + reach, TILE + reach), -np.inf, np.float32)
    brightness = np.minimum(rng.standard_normal(layer.count), MOST)
    places = scattered(rng, layer.count).astype(int).T
    which = rng.integers(0, SHAPES, layer.count)
    for deviation, (row, column), number in zip(brightness, places, which, strict=True):
        shape = shapes[number]
        part = tile[row : row + shape.shape[0], column : column + shape.shape[1]]
        np.maximum(part, np.float32(deviation) + shape, out=part)
    np.maximum(tile[:reach], tile[TILE:], out=tile[:reach])  # what hangs over an edge comes in at the other
    np.maximum(tile[:, :reach], tile[:, TILE:], out=tile[:, :reach])
    return entries(tile[:TILE, :TILE])


def _shape(rng: Generator, dash: float, spread: float, disc: bool) -> Floats:
    """One flake: a clump of crystals, or a disc where it is far out of focus, smeared along its own way while the
    shutter is open. The logarithm of its thickness against that at its densest, in deviations.
    """
    diameter = FLAKE * math.exp(DEPTH_SPREAD * float(np.clip(rng.standard_normal(), -2, 2)))
    lumps = int(rng.integers(2, 6))
    offsets = rng.normal(0, 0.2 * diameter, (lumps, 2))
    sigmas = np.maximum(diameter * rng.uniform(0.16, 0.32, lumps), 0.9)
    weights = rng.uniform(0.5, 1.0, lumps)
    way = FLAKE * dash * (np.array([0.0, 1.0]) + spread * rng.standard_normal(2))
    reach = math.ceil(2.6 * diameter + np.abs(way).max() / 2) + 2
    grid = np.arange(-reach, reach + 1)
    shape = np.zeros((grid.size, grid.size), np.float32)
    for (x, y), sigma, weight in zip(offsets, sigmas, weights, strict=True):
        column, row = np.exp(-0.5 * ((grid - x) / sigma) ** 2), np.exp(-0.5 * ((grid - y) / sigma) ** 2)
        shape += (weight * row[:, None] * column).astype(np.float32)
    if disc:
        radius = np.hypot(grid[:, None], grid) / (0.6 * diameter)
        shape = cv2.GaussianBlur(np.exp(-(radius**6)).astype(np.float32), (0, 0), 0.12 * diameter)
    path = np.zeros_like(shape)
    for instant in np.linspace(-0.5, 0.5, 1 + 2 * math.ceil(float(np.hypot(*way)))):
        x, y = np.rint(reach + instant * way).astype(int)
        path[y, x] += 1
    shape = cv2.filter2D(shape, -1, path, borderType=cv2.BORDER_CONSTANT)
    shape /= shape.max()
    return np.where(shape > FAINT, np.log(np.maximum(shape, FAINT)) / Snow.spread, -np.inf).astype(np.float32)
