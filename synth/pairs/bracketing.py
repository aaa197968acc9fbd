"""A bracket from one photograph: what a shorter and a longer shutter would have made of it.

The photograph's bytes go to light through a camera's curve (synth/images/curves.py), are multiplied, and come back
through the same curve. What it clipped is given light beyond white first, and what its bytes round is spread again.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from synth.degradations.noise import field
from synth.images import curves
from synth.images.curves import Curve
from synth.images.pixels import Bytes, Floats, luma
from synth.pairs.layers import per_channel
from synth.streams import field_seed

UNDER_STOPS, OVER_STOPS = (
    (-4.0, -0.7),
    (0.5, 2.5),
)  # around the photograph, whose shadows no more than that is hidden in
APART = (2.2, 5.0)  # stops between both frames at least; whole ones of 2 to 5 between the real ones of four cameras
DARK_TOP = (75.0, 250.0)  # grey level of the under-exposed frame's brightest hundredth, of real ones 65 to 252
BRIGHT_MIDDLE = (110.0, 240.0)  # and of the over-exposed frame's median, of real ones 102 to 245
SRGB_SHARE = 1 / 5  # of brackets that keep sRGB's curve

CLIPPED = 250  # luma from which a pixel counts as clipped
# What clips is given light beyond white.
EXPANDED = (225.0, 252.0)  # grey levels of luma between which light is taken for more than was recorded, the more so
BEYOND_STOPS = (0.5, 2.5)  # by so much at the upper end
EXPANDED_OVER = 0.05  # of the long side: what is surrounded by clipped pixels lies farther beyond white
ALONE = 0.4  # share of the stops that a clipped pixel gets by itself
GLARE, GLARE_OVER = 0.05, 0.06  # share of it that lenses scatter, and over how much of the long side
SMALLER = 8  # times, is what is blurred so widely

# The curve that made the photograph is not known, and a steep one would make gold of cream and poster paint of earth.
PLAIN = 0.6  # how far colours are those that sRGB's curve sees
UNKNOWN, PALE = (235.0, 255.0), (150.0, 210.0)  # grey levels of the highest channel, which clips, and the lowest,
GREYED = 0.85  # between which a pale colour goes to grey, so far

SMOOTHED = (5, 4.0, 2.0)  # pixels, grey levels and pixels of the bilateral filter that undoes rounding
ROUNDING = 0.5  # grey levels
ELECTRONS = (1e4, 2e5)  # that white stands for: of small sensors, and of files that were shrunk since
READ_NOISE = 3.0  # electrons


@dataclass(frozen=True)
class BracketParams:
    """curve: of the camera. under, over: stops of each frame from the photograph. beyond: stops that what it clipped
    gets over white. electrons: that a white pixel stands for. seed: of the noise."""

    curve: str
    under: float
    over: float
    beyond: float
    electrons: float
    seed: int


def draw_bracket(photograph: Bytes, rng: Generator) -> BracketParams:
    """Exposures as a photographer chooses them: one for what is bright, one for what is dark."""
    known = curves.names()
    place = int(rng.integers(1, len(known)))
    name = known[0] if rng.random() < SRGB_SHARE else known[place]
    curve = curves.curve(name)
    spans = (DARK_TOP, BRIGHT_MIDDLE, BEYOND_STOPS, APART)
    top, middle, beyond, apart = (float(rng.uniform(*span)) for span in spans)
    levels = luma(photograph)
    brightest, median = np.percentile(levels[::2, ::2], (99, 50))
    light = np.interp([top, brightest, middle, max(median, 1.0)], np.arange(256), curve.light)
    over = float(np.clip(np.log2(light[2] / light[3]), *OVER_STOPS))
    under = float(np.clip(min(np.log2(light[0] / light[1]), over - apart), *UNDER_STOPS))
    electrons = float(np.exp(rng.uniform(*np.log(ELECTRONS))))
    return BracketParams(name, under, over, beyond, electrons, field_seed(rng))


def bracket(photograph: Bytes, params: BracketParams) -> tuple[Bytes, Bytes]:
    """Under- and over-exposed frame of a photograph, each of its shape."""
    curve = curves.curve(params.curve)
    light = _light(photograph, curve, params.beyond)
    under, over = (
        _shot(light, stops, curve, params.electrons, params.seed + number)
        for number, stops in enumerate((params.under, params.over))
    )
    return under, over


def clipped_share(photograph: Bytes) -> float:
    """The share of pixels that are as good as white."""
    return float((luma(photograph) >= CLIPPED).mean())


def _light(photograph: Bytes, curve: Curve, beyond: float) -> Floats:
    """Linear light, above 1 where the photograph clips (after Banterle et al., "Inverse tone mapping", GRAPHITE 2006:
    a smooth map of how far bright pixels are among bright ones says how far beyond white they lie)."""
    levels = photograph.astype(np.float32)
    smooth = cv2.bilateralFilter(levels, *SMOOTHED)
    light = curve.light_of(cv2.min(cv2.max(smooth, levels - ROUNDING), levels + ROUNDING))
    share = np.square(_ramp(luma(levels), EXPANDED))
    around = _spread(share, EXPANDED_OVER)
    gain = np.exp2(np.float32(beyond) * share * (ALONE + (1 - ALONE) * around))
    if light.ndim == 3:
        light = _coloured(light, levels)
    expanded = light * per_channel(gain, light)
    return expanded + _spread((expanded - light) * np.float32(GLARE), GLARE_OVER)


def _coloured(light: Floats, levels: Floats) -> Floats:
    """The light of grey levels, (H, W, 3), with colours that are not overdone."""
    grey = luma(light)
    plain = curves.curve(curves.SRGB).light_of(levels)
    plain *= per_channel(grey / np.maximum(luma(plain), np.float32(1e-6)), plain)
    light = cv2.addWeighted(light, 1 - PLAIN, plain, PLAIN, 0)
    red, green, blue = cv2.split(levels)
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    unknown = np.float32(GREYED) * _ramp(highest, UNKNOWN) * _ramp(lowest, PALE)
    return light + per_channel(unknown, light) * (per_channel(grey, light) - light)


def _spread(image: Floats, over: float) -> Floats:
    """Blurred by a Gaussian of a share of the long side, at a low resolution."""
    height, width = image.shape[:2]
    size = (max(1, width // SMALLER), max(1, height // SMALLER))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(over * max(size), 0.5))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _ramp(values: Floats, span: tuple[float, float]) -> Floats:
    """0 up to the lower end of a span, 1 from the upper one on."""
    low, high = span
    return np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)


def _shot(light: Floats, stops: float, curve: Curve, electrons: float, seed: int) -> Bytes:
    """One exposure, with the noise of its photons and of the amplifier."""
    seen = light * np.float32(2.0**stops)
    variance = cv2.addWeighted(seen, 1 / electrons, seen, 0, (READ_NOISE / electrons) ** 2)
    return curve.to_bytes(seen + cv2.sqrt(variance) * field(light.shape, seed, 1.0))
