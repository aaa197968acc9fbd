"""Rain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial

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

HEAVIEST = 100.0  # mm/h at severity 1: violent rain (the AMS calls 7.6 mm/h heavy, the WMO 50 mm/h violent)
BEND = 1.9  # of the severity: the first drops are seen at once
WETTEST = 200.0  # mm/h of the rain that the tile holds
SMALLEST_MM = 1.5  # drops below it are seen as a veil alone
TYPICAL_MM = 2.0
EXPOSURE_S = (1 / 120, 1 / 60)  # of photographs that show rain: faster shutters leave dust of it, slower ones threads
SEEN_THICKNESS = (0.2, 0.55)  # optical, of a typical drop nearby in photographs that show rain
SEEN_VEIL = (0.2, 0.8)  # optical thickness at the 90th percentile of distance, at severity 1
INFRARED_SHARE = (0.2, 0.5)  # of the visible thickness: drops near the temperature of the scene have little contrast

NARROWEST = 1 / 480  # of the width: what lens, motion and stored size leave of a hairline
LENS = Lens(aperture_mm=2.5, focus_m=10.0)

STREAK_LENGTH = 40.0  # pixels of the tile, of a typical drop
STREAK_WIDTH = 2.0  # full width at half maximum, pixels of the tile
LEAN = 0.03  # standard deviation of a streak's own slant in the tile
DEPTH_SPREAD = 0.5  # of the logarithm of distance within a layer
OWN_LENGTH = 0.35  # of the logarithm of length, among drops of one distance
LONGEST = 3.5  # of the length of a typical drop's: one outlier in a tile would be seen in every picture
NEARER_IS_BRIGHTER = 0.4  # correlation of thickness with nearness: nearer drops cover more of a pixel
REACH = 5  # pixels to either side of its middle that a streak may cover in the tile


@dataclass(frozen=True)
class RainParams(FallParams):
    """visibility: optical thickness of a typical drop nearby. streak_px: length of its streak at 1 m."""

    visibility: float
    streak_px: float


class Rain(Falling[RainParams]):
    """Streaks in layers of distance, and the far rain as a veil.

    Drop sizes: N(D) = 8000 exp(-Λ D) per m³ and mm, Λ = 4.1 R^-0.21 (Marshall and Palmer, 1948). Fall: v = 9.65 -
    10.3 exp(-0.6 D) m/s (Atlas, Srivastava and Sekhon, 1973). A drop at distance d leaves a streak of f v T / d pixels
    by f D / d, widened by the lens; it covers each point for D / (v T) of the exposure, and that would be its opacity:
    two hundredths at 1/60 s. Photographs that show rain were taken where it shows (light from behind, a dark wood), so
    a typical drop has a recorded `visibility`, and others one that is log-normal about it: most are faint, some as
    bright as the sky. The veil is 1.076 R^0.67 dB/km (ITU-R P.1814), 1.6 km of visibility at 30 mm/h, times a recorded
    gain that makes a yard and a valley equally rainy.
    """

    name = "rain"
    version = 3
    order = 1
    measured = ("veil_gain",)
    quantities = {"rate": Quantity(1, 200, "mm/h", strength=True, words="{value}")}
    shine = Shine(local=0.2, colour=0.15, albedo=1.1)
    layers = (Layer(1.3, 200), Layer(3.0, 1500), Layer(6.0, 11500))
    extent = 0.8
    slant_jitter = math.radians(1.2)
    spread = 1.25
    finest = (1.6, 1.6)

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> RainParams:
        share, seen, veil = (float(rng.uniform(*span)) for span in (INFRARED_SHARE, SEEN_THICKNESS, SEEN_VEIL))
        scene = view.scene
        speed, exposure = float(fall_speed(TYPICAL_MM)), float(np.clip(scene.exposure_s, *EXPOSURE_S))
        return RainParams(
            rate=fixed["rate"] if severity is None else HEAVIEST * severity**BEND,
            veil_gain=veil / (self.extinction(HEAVIEST) * scene.far_m),
            thickness_share=share if view.infrared else 1.0,
            slant=math.degrees(math.atan2(scene.wind[0], speed)),
            seed=view.field_seed(rng),
            visibility=seen,
            streak_px=scene.focal_px * math.hypot(speed, scene.wind[0]) * exposure,
        )

    def extinction(self, rate: float) -> float:
        return 1.076 * rate**0.67 * math.log(10) / 10 / 1000

    def share(self, rate: float) -> float:
        return _number(rate) / _number(WETTEST)

    def laid(self, layer: Layer, distance: float, params: RainParams, view: View) -> Laid:
        focal = view.scene.focal_px
        drop = focal * TYPICAL_MM / 1000 / distance
        sharp = math.hypot(drop, NARROWEST * view.size[1])
        width = math.hypot(sharp, LENS.blur(distance, focal, view.focus_m))
        length = math.hypot(params.streak_px / distance, 1.5 * width)
        peak = params.visibility * math.sqrt(drop / sharp)  # thinner than a hairline, it is seen better than it is
        steps = (STREAK_WIDTH / width, STREAK_LENGTH / length)
        return Laid(partial(_repeated, layer.count), width, steps, peak, sharp / width)


def fall_speed(diameter_mm: float | Floats) -> Floats:
    """Terminal speed of a drop in m/s."""
    return np.maximum(9.65 - 10.3 * np.exp(-0.6 * np.asarray(diameter_mm, np.float64)), 0.5)


def _number(rate: float) -> float:
    """Of drops beyond the smallest seen, per m³: Marshall and Palmer, integrated."""
    decay = 4.1 * rate**-0.21
    return 8000 / decay * math.exp(-decay * SMALLEST_MM)


@lru_cache(maxsize=24)
def _repeated(count: int, across: int, along: int, columns: int, rows: int) -> Bytes:
    return np.tile(_tile(count, across, along), (rows, columns))


@cache
def _tile(count: int, across: int, along: int) -> Bytes:
    """Streaks of the wettest rain, by halvings."""
    if across or along:
        return halved(_tile(count, 0, 0), across, along, Rain.spread)
    rng = Generator(Philox(key=count))
    nearness, own = rng.standard_normal((2, count))
    brightness = np.minimum(NEARER_IS_BRIGHTER * nearness + math.sqrt(1 - NEARER_IS_BRIGHTER**2) * own, MOST)
    scale = np.exp(DEPTH_SPREAD * np.minimum(nearness, 2))
    length = STREAK_LENGTH * np.minimum(scale * np.exp(rng.normal(0, OWN_LENGTH, count)), LONGEST)
    sigma = STREAK_WIDTH / 2.355 * scale**0.3 * rng.uniform(0.85, 1.15, count)
    lean = rng.normal(0, LEAN, count)
    x, y = scattered(rng, count)
    rhythm, phase = rng.uniform(0.1, 0.5, count), rng.uniform(0, 2 * math.pi, count)

    rows = np.ceil(length).astype(int) + 2
    owner = np.repeat(np.arange(count), rows)
    step = np.arange(owner.size) - np.repeat(np.cumsum(rows) - rows, rows) - 1.0
    along_it = np.clip(step / length[owner], 0, 1)
    # Soft ends, and a body that is not even: a falling drop oscillates (Garg and Nayar, 2006).
    body = np.sin(math.pi * along_it) ** 0.6 * (1 + 0.25 * np.sin(rhythm[owner] * step + phase[owner]))
    thickness = Rain.spread * brightness[owner] + np.log(np.maximum(body, 1e-6))
    centre = x[owner] + lean[owner] * (step - length[owner] / 2)
    row = np.floor(y[owner] + step).astype(int) % TILE
    tile = np.zeros((TILE, TILE), np.uint8)
    for offset in range(-REACH, REACH + 1):
        column = np.floor(centre).astype(int) + offset
        profile = -0.5 * ((column - centre) / sigma[owner]) ** 2
        np.maximum.at(tile, (row, column % TILE), entries((thickness + profile) / Rain.spread))
    return tile
