"""The window of a sample: where it is drawn, and cutting it out."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MOST_ENLARGED = 1.15  # a pair may fall short of the crop by this factor and is then enlarged; beyond it, left out

LINEAR_DOWN_TO = 0.5  # stored pixels per source pixel


@dataclass(frozen=True)
class Window:
    """x, y, w, h: of the window in source pixels. scale: stored pixels per source pixel. flip: left to right."""

    x: int
    y: int
    w: int
    h: int
    scale: float
    flip: bool


def draw_window(height: int, width: int, size: int, scale: tuple[float, float], flip: bool, rng: Generator) -> Window:
    """A square window of size / scale source pixels, at most the short side, anywhere in the picture."""
    side = min(round(size / rng.uniform(*scale)), height, width)
    x = int(rng.integers(width - side + 1))
    y = int(rng.integers(height - side + 1))
    mirrored = bool(rng.random() < 0.5) and flip
    return Window(x, y, side, side, size / side, mirrored)


def too_small(size: tuple[int, int], crop: int) -> str | None:
    """Why a pair of (height, width) pixels cannot be used for a crop; None where it can."""
    if min(size) * MOST_ENLARGED < crop:
        return f"its short side is {min(size)} px, the crop {crop}"
    return None


def cut(image: NDArray, window: Window, size: int) -> NDArray:
    """The window of an image, (size, size) or (size, size, 3): cubic up, linear down to a half, area averaging beyond.

    Down to a half, linear interpolation is as close to a Lanczos filter as area averaging, and seven times as fast.
    """
    part = image[window.y : window.y + window.h, window.x : window.x + window.w]
    if part.shape[:2] != (size, size):
        down = cv2.INTER_LINEAR if window.scale >= LINEAR_DOWN_TO else cv2.INTER_AREA
        how = down if window.scale < 1 else cv2.INTER_CUBIC
        part = cv2.resize(part, (size, size), interpolation=how)
    return cv2.flip(part, 1) if window.flip else np.ascontiguousarray(part)
