"""Rain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import ClassVar

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

HEAVIEST = 100.0  # mm/h at severity 1: violent rain (the AMS calls 7.6 mm/h heavy, the WMO 50 mm/h violent)
BEND = 1.7  # of the severity: the first drops are seen at once
WETTEST = 200.0  # mm/h of the rain that the tile holds
SMALLEST_MM = 1.0  # drops below it are seen as a veil alone
LARGEST_MM = 6.0  # beyond it drops break up
TYPICAL_MM = 2.0
EXPOSURE_S = (1 / 150, 1 / 60)  # of photographs that show rain: faster shutters leave dust of it, slower ones threads
SEEN_THICKNESS = (0.45, 0.8)  # optical, of a typical drop nearby in photographs that show rain
SEEN_VEIL = (0.4, 1.2)  # optical thickness at the 90th percentile of distance, at severity 1
INFRARED_SHARE = (0.2, 0.5)  # of the visible thickness: drops near the temperature of the scene have little contrast
SHINE = Shine(local=0.4, colour=0.15, albedo=1.4)  # a drop shows more of the sky than of what stands behind it

APERTURE_MM = 2.5  # of the lens, focused on the distance: the blur of a near drop
NARROWEST = 1 / 420  # of the width: what lens, motion and stored size leave of a hairline
SLANT_JITTER = math.radians(1.2)  # standard deviation between layers; gusts

STREAK_LENGTH = 40.0  # pixels of the tile, of a typical drop
STREAK_WIDTH = 2.8  # full width at half maximum, pixels of the tile
FINEST_STEPS = (1.3, 1.3)  # pixels of the tile that one of the image may step over, across and along a streak
LEAN = 0.03  # standard deviation of a streak's own slant in the tile
DEPTH_SPREAD = 0.5  # of the logarithm of distance within a layer


@dataclass(frozen=True)
class _Layer:
    """Drops around one distance. covered: share of the tile under streaks in the wettest rain."""

    distance_m: float
    covered: float


LAYERS = (_Layer(0.7, 0.1), _Layer(1.9, 0.3), _Layer(5.0, 0.8))


@dataclass(frozen=True)
class RainParams:
    """rate: mm/h, 0 for none. visibility_gain: by how much the streaks are more opaque than physics has them.
    veil_gain: by how much the far rain takes more light than physics has it. thickness_share: of the visible optical
    thickness, what this image's wavelengths see. slant: degrees from the vertical to the right. streak_px: length of a
    typical drop's streak at 1 m. seed: of the field.
    """

    rate: float
    visibility_gain: float
    veil_gain: float
    thickness_share: float
    slant: float
    streak_px: float
    seed: int


class Rain(Degradation[RainParams]):
    """Streaks in layers of distance, and the far rain as a veil.

    Drop sizes: N(D) = 8000 exp(-Λ D) per m³ and mm, Λ = 4.1 R^-0.21 (Marshall and Palmer, 1948). Fall: v = 9.65 -
    10.3 exp(-0.6 D) m/s (Atlas, Srivastava and Sekhon, 1973). A drop at distance d leaves a streak of f v T / d pixels
    by f D / d, widened by the lens; it covers each point for D / (v T) of the exposure, and that is its opacity: two
    hundredths at 1/60 s. Photographs that show rain were taken where it shows (light from behind, a dark wood), so the
    streaks get a recorded `visibility_gain`. The veil is 1.076 R^0.67 dB/km (ITU-R P.1814), 1.6 km of visibility at
    30 mm/h, times a recorded gain that makes a yard and a valley equally rainy.
    """

    name = "rain"
    stage = Stage.SCENE
    may_stay = "always"
    outdoors = True
    version = 2
    order = 1
    images: ClassVar[Images] = "shared"
    quantities = {"rate": Quantity(1, 200, "mm/h", strength=True)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> RainParams:
        share, seen, veil = (float(rng.uniform(*span)) for span in (INFRARED_SHARE, SEEN_THICKNESS, SEEN_VEIL))
        scene = view.scene
        speed, exposure = float(fall_speed(TYPICAL_MM)), float(np.clip(scene.exposure_s, *EXPOSURE_S))
        return RainParams(
            rate=fixed["rate"] if severity is None else HEAVIEST * severity**BEND,
            visibility_gain=seen / _opacity(TYPICAL_MM, speed * exposure),
            veil_gain=veil / (extinction(HEAVIEST) * scene.far_m),
            thickness_share=share if view.infrared else 1.0,
            slant=math.degrees(math.atan2(scene.wind[0], speed)),
            streak_px=scene.focal_px * math.hypot(speed, scene.wind[0]) * exposure,
            seed=view.field_seed(rng),
        )

    def apply(self, image: Floats, params: RainParams, view: View) -> Floats:
        if params.rate == 0:
            return image.copy()
        falling = replace(params, thickness_share=1.0)
        particles = view.scene.once((falling, view.size), lambda: _streaks(falling, view))
        beta = params.veil_gain * extinction(params.rate)
        if view.infrared:
            return behind_particles_in_infrared(image, params.thickness_share, beta, particles, view)
        return behind_particles(image, SHINE, beta, particles, view)


def fall_speed(diameter_mm: float | Floats) -> Floats:
    """Terminal speed of a drop in m/s."""
    return np.maximum(9.65 - 10.3 * np.exp(-0.6 * np.asarray(diameter_mm, np.float64)), 0.5)


def extinction(rate: float) -> float:
    """Of visible light by rain, per metre."""
    return 1.076 * rate**0.67 * math.log(10) / 10 / 1000


def _decay(rate: float) -> float:
    """Λ of Marshall and Palmer, per mm."""
    return 4.1 * rate**-0.21


def _opacity(diameter_mm: float, path_m: float) -> float:
    """Of a drop in focus and wider than a pixel: the share of the exposure for which it covers a point."""
    return diameter_mm / 1000 / path_m


def _streaks(params: RainParams, view: View) -> Floats:
    """Logarithm of the transmission of all streaks, (H, W)."""
    scene = view.scene
    rng = Generator(Philox(key=params.seed))
    nearest = float(scene.depth.min())
    path = params.streak_px / scene.focal_px  # metres that a typical drop covers while the shutter is open
    total = np.zeros(view.size, np.float32)
    for layer in LAYERS:
        x, y, mirror, gust = rng.random(4)
        distance = layer.distance_m
        drop = scene.focal_px * TYPICAL_MM / 1000 / distance
        width = math.hypot(drop + scene.focal_px * APERTURE_MM / 1000 / distance, NARROWEST * view.size[1])
        length = max(params.streak_px / distance, 1.5 * width)
        slant = math.radians(params.slant) + SLANT_JITTER * math.sqrt(12) * (gust - 0.5)
        steps = (math.copysign(STREAK_WIDTH / width, mirror - 0.5), STREAK_LENGTH / length)
        lie = Placement(slant, width, steps, (x, y))
        field = sample(partial(_repeated, layer.covered), view.size, lie, FINEST_STEPS)
        if nearest < distance:
            field = hide_behind(field, scene.depth, distance)
        peak = params.visibility_gain * _opacity(TYPICAL_MM, path) * math.sqrt(drop / width)
        cv2.add(total, cv2.LUT(field, _table(params.rate, peak)), dst=total)
    return total


@lru_cache(maxsize=16)
def _table(rate: float, peak: float) -> Table:
    """From the diameters that the tile holds to the logarithm of transmission, at a rate.

    peak: optical thickness of a typical drop. The tile holds the drops of the wettest rain. Those that fall at a lower
    rate are its largest, as many as Marshall and Palmer count, each taken for the drop of the same rank in the lesser
    rain.
    """
    wettest, here = _decay(WETTEST), _decay(rate)
    fewer = math.log(here / wettest) + (here - wettest) * SMALLEST_MM  # logarithm of the ratio of their numbers
    held = np.arange(256) * (LARGEST_MM / 255)
    above = held - SMALLEST_MM - fewer / wettest
    diameter = np.where(above > 0, SMALLEST_MM + above * wettest / here, np.maximum(SMALLEST_MM + above, 0))
    relative = (diameter / TYPICAL_MM) ** 2 * fall_speed(TYPICAL_MM) / fall_speed(diameter)
    return (-peak * relative).astype(np.float32)


@lru_cache(maxsize=24)
def _repeated(covered: float, across: int, along: int, columns: int, rows: int) -> Bytes:
    return np.tile(_tile(covered, across, along), (rows, columns))


@cache
def _tile(covered: float, across: int, along: int) -> Bytes:
    """Streaks of the wettest rain, by halvings; entries are diameters, 255 the largest."""
    if across or along:
        return halved(_tile(covered, 0, 0), across, along)
    rng = Generator(Philox(key=round(covered * 1000)))
    count = round(covered * TILE * TILE / (STREAK_LENGTH * STREAK_WIDTH))
    diameter = np.minimum(SMALLEST_MM + rng.exponential(1 / _decay(WETTEST), count), LARGEST_MM)
    nearness = np.exp(rng.normal(0, DEPTH_SPREAD, count))
    length = STREAK_LENGTH * nearness * fall_speed(diameter) / fall_speed(TYPICAL_MM)
    sigma = STREAK_WIDTH / 2.355 * nearness**0.5 * rng.uniform(0.8, 1.2, count)
    size = diameter * nearness**0.5
    lean = rng.normal(0, LEAN, count)
    x, y = rng.uniform(0, TILE, (2, count))
    rhythm, phase = rng.uniform(0.1, 0.5, count), rng.uniform(0, 2 * math.pi, count)

    rows = np.ceil(length).astype(int) + 2
    owner = np.repeat(np.arange(count), rows)
    step = np.arange(owner.size) - np.repeat(np.cumsum(rows) - rows, rows) - 1.0
    along_it = step / length[owner]
    # Soft ends, and a body that is not even: a falling drop oscillates (Garg and Nayar, 2006).
    ends = np.clip(np.minimum(along_it, 1 - along_it) * 5, 0, 1) ** 0.5
    body = 1 + 0.1 * np.sin(rhythm[owner] * step + phase[owner])
    centre = x[owner] + lean[owner] * (step - length[owner] / 2)
    row = np.floor(y[owner] + step).astype(int) % TILE
    tile = np.zeros((TILE, TILE), np.float32)
    for offset in range(-6, 7):
        column = np.floor(centre).astype(int) + offset
        profile = np.exp(-0.5 * ((column - centre) / sigma[owner]) ** 2)
        np.maximum.at(tile, (row, column % TILE), (size[owner] * ends * body * profile).astype(np.float32))
    return np.rint(np.clip(tile / LARGEST_MM, 0, 1) * 255).astype(np.uint8)
