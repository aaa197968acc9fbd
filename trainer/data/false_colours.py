"""Whether a picture is in false colours: painted with a colour map, as thermal cameras and viewers of depth do."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from trainer.data.images import Image

CLOSE, ON, MOST_OFF = 7.0, 24.0, 0.12  # levels of RGB from a map at the median, and of all but this share
STRONG, MOST_STRONG = 64, 0.4  # levels between channels of a strong colour, which so much of the picture has
GRID, SPAN = 96, 24  # pixels a side that are looked at, and steps of 256 that they take of their map at least
IRON = "0:000000 32:1f0076 66:740188 94:b5078d 102:c2107f 131:e03931 161:ee6d0c 195:f7ab0d 225:ffe01e 255:fffdeb"
"""Of thermal cameras: INDEX:RRGGBB, with straight lines between."""


@cache
def _maps() -> dict[str, NDArray[np.float64]]:
    """(256, 3) RGB of OpenCV's maps and iron, those with strong colours alone."""
    steps = np.arange(256, dtype=np.uint8)[:, None]
    names = sorted(name for name in dir(cv2) if name.startswith("COLORMAP_"))
    known = {
        name.removeprefix("COLORMAP_").lower(): cv2.applyColorMap(steps, getattr(cv2, name))[:, 0, ::-1].astype(float)
        for name in names
    }
    stops = [(int(at), bytes.fromhex(colour)) for at, _, colour in (stop.partition(":") for stop in IRON.split())]
    places = [at for at, _ in stops]
    iron = [np.interp(np.arange(256), places, [colour[channel] for _, colour in stops]) for channel in range(3)]
    known["iron"] = np.stack(iron, 1)
    return {name: colours for name, colours in known.items() if np.median(np.ptp(colours, axis=1)) > STRONG}


def map_of(image: Image) -> str | None:
    """The colour map that a picture, (H, W, 3), is painted with, as far as its even places tell; None for others."""
    step = -(-max(image.shape[:2]) // GRID)
    strong = np.ptp(image[::step, ::step].astype(int), axis=2) > STRONG
    if strong.mean() < MOST_STRONG:
        return None
    rough = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2)[::step, ::step]
    order = np.argsort(rough, axis=None, kind="stable")[: -(-rough.size // 2)]
    pixels = image[::step, ::step].reshape(-1, 3)[order].astype(float)
    best, least = None, np.inf
    for name, colours in _maps().items():
        distance, index = cKDTree(colours).query(pixels)
        close, span = float(distance.mean()), np.ptp(np.percentile(index, (2, 98)))
        if np.median(distance) <= CLOSE and (distance > ON).mean() <= MOST_OFF and span >= SPAN and close < least:
            best, least = name, close
    return best
