"""Whether a picture was taken by the light of lamps."""

from collections.abc import Mapping

import cv2
import numpy as np

from synth.images.pixels import Floats

DARKEST = -9.0  # log2 of radiance: what is darker counts as that
UPPER = 0.4  # of the height, from the top: where a sky would be
DAY_SKY = 0.4  # radiance of a sky above which it is day
LAMP, AROUND = 0.006, 0.05  # of the long side: standard deviations of a lamp, and of what surrounds it
PEAK = 9  # pixels of the window in which a lamp is the brightest
BRIGHT = -1.5  # log2 of the radiance of a lamp, at least
LAMPS = 3  # the most striking ones count
SURE = 0.5  # logarithm of the odds at which it is fully night; it is day up to odds of one

SINGLE: Mapping[str, float] = {
    "bias": 0.09,
    "upper 75": -1.03,
    "spread": -7.6,
    "rank 97": 1.19,
    "upper 50": -0.98,
    "lamps": 0.6,
    "rank 90": 0.71,
    "upper 25": -0.61,
}
BRACKET: Mapping[str, float] = {
    "bias": -3.43,
    "upper 75": -2.4,
    "upper 25": 0.04,
    "lamps": -0.14,
}
"""Weights in the logarithm of the odds, by sign; `bias` besides (python -m bench.nights --fit)."""


def night_of(radiance: Floats, bracketed: bool = False) -> float:
    """How far a scene is lit by lamps in it, in [0, 1], from what a picture recorded, (H, W), some 256 px a side.

    bracketed: the picture is the brighter shot of a bracket. A logistic regression on a few signs.
    """
    found, weights = signs(radiance), BRACKET if bracketed else SINGLE
    odds = weights["bias"] + sum(weight * found[name] for name, weight in weights.items() if name != "bias")
    return float(np.clip(odds / SURE, 0, 1))


def signs(radiance: Floats) -> dict[str, float]:
    """What tells a night from a day, by name; in stops below white.

    `upper NN`, `rank NN`: percentiles of the upper part and of all. `spread`: their standard deviation. `lamps`: by how
    much the most striking small and bright things outshine what surrounds them.
    """
    stops = np.log2(np.maximum(radiance, np.float32(2**DARKEST)))
    height, width = stops.shape
    side = max(height, width)
    upper = np.percentile(stops[: max(1, round(UPPER * height))], (25, 50, 75))
    ranks = np.percentile(stops, (75, 90, 97))
    small, broad = (cv2.GaussianBlur(stops, (0, 0), share * side) for share in (LAMP, AROUND))
    brightest = cv2.dilate(small, np.ones((PEAK, PEAK), np.uint8))
    over = np.sort((small - broad)[(small == brightest) & (small > BRIGHT)])[-LAMPS:]
    return {
        "upper 25": float(upper[0]),
        "upper 50": float(upper[1]),
        "upper 75": float(upper[2]),
        "rank 75": float(ranks[0]),
        "rank 90": float(ranks[1]),
        "rank 97": float(ranks[2]),
        "spread": float(stops.std()),
        "lamps": float(over.mean()) if over.size == LAMPS else 0.0,
    }
