"""Where the sky and the ground of a picture are: what gives a single picture its depth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, in_colour, luma, shrink

Mask = NDArray[np.bool_]

LOOKED_AT = 128  # pixels of the long side

SMOOTH = 5.0  # grey levels a pixel: a sky's gradients are weaker, but for wires and the rims of clouds
BRIGHTER = 12.0  # grey levels by which a sky is brighter than the middle of the land
BLUE = 30.0  # grey levels of blue over red by which a darker one is known
GREENEST, WARMEST = 6.0, 25.0  # grey levels: of green over the mean of red and blue; of red over blue
WIRES = 3  # pixels: what is thinner does not end a sky
RIM, LIKE_SKY = 2, 14.0  # pixels by which a sky is widened, where grey levels differ by no more from it
LEAST_SKY = 0.03  # of the picture: less is a gap between leaves
LOWEST_SKY = 0.85  # of the height: what reaches lower is a wall
SOLID = 0.8  # of its area, what is left of it without its thin parts: less is cloth or leaves
BRIGHT_RANK = 70  # percentile of the land's luma that the mean of a sky passes, unless it is blue

SEED_ROWS, SEED_COLUMNS = 0.12, 0.7  # the lowest middle part: what lies there is ground, where there is one
LIKE_GROUND = 2.4  # standard deviations of the colours of that part
LEAST_SPREAD = 7.0  # grey levels: of a road that is perfectly even
LEAST_GROUND = 0.1  # of the picture
HIGHEST, LOWEST = 0.2, 0.8  # of the height, from the top, between which a ground may end
NARROWING = 0.85  # of its width below, what a ground has left two thirds of its way up
LIT = 200.0  # grey level to which the brightest of a dark picture is lifted before its ground is looked for
LEVEL = 0.42  # of the height: the horizon of a camera that is held level, where a sky ends above it


@dataclass(frozen=True, eq=False)
class Land:
    """sky, ground: (h, w) bool, at most LOOKED_AT px a side; None where none is to be seen.
    horizon: the height, as a share from the top, at which a level ground would end; None where nothing tells.
    """

    sky: Mask | None
    ground: Mask | None
    horizon: float | None

    @property
    def low_sky(self) -> Mask:
        """The lower half of the sky: what lights the fog in front of the camera. Nothing where there is no sky."""
        if self.sky is None:
            return np.zeros((0, 0), bool)
        rows = np.cumsum(self.sky.sum(axis=1))
        return self.sky & (rows >= rows[-1] / 2)[:, None]


def look(image: Bytes) -> Land:
    """What is sky and ground in a picture (H, W) or (H, W, 3)."""
    small = in_colour(shrink(image, LOOKED_AT))
    sky = _sky(small)
    ground = _ground(small, sky)
    return Land(sky, ground, _horizon(sky, ground, len(small)))


def _sky(small: Bytes) -> Mask | None:
    """What is smooth, brighter than most or blue, neither green nor red, and hangs on the upper edge.

    White walls and ceilings of rooms are taken for sky as well.
    """
    grey = luma(small).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0, scale=1 / 4), cv2.Sobel(grey, -1, 0, 1, scale=1 / 4))
    red, green, blue = (channel.astype(np.float32) for channel in cv2.split(small))
    coloured = (green - (red + blue) / 2 > GREENEST) | (red - blue > WARMEST)
    is_blue = blue - red > BLUE
    bright = grey > float(np.median(grey[len(grey) // 2 :])) + BRIGHTER
    even = ((slope < SMOOTH) & (bright | is_blue) & ~coloured).astype(np.uint8)
    even = cv2.morphologyEx(even, cv2.MORPH_CLOSE, np.ones((WIRES, WIRES), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(even, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    hanging = [label for label in np.unique(labels[0]) if label and areas[label] >= LEAST_SKY / 4 * grey.size]
    sky = np.isin(labels, hanging)
    core = cv2.morphologyEx(sky.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    if sky.mean() < LEAST_SKY or core.sum() < SOLID * sky.sum() or sky.all() or _reach(sky) > LOWEST_SKY:
        return None
    if grey[sky].mean() < np.percentile(grey[~sky], BRIGHT_RANK) and is_blue[sky].mean() < 1 / 2:
        return None
    # Gradients reach over an edge by a pixel or two: the sky ends at it.
    rim = cv2.dilate(sky.astype(np.uint8), np.ones((2 * RIM + 1,) * 2, np.uint8)) > 0
    like = cv2.blur(grey * sky, (9, 9)) / np.maximum(cv2.blur(sky.astype(np.float32), (9, 9)), np.float32(1e-3))
    return sky | (rim & (np.abs(grey - like) < LIKE_SKY))


def _ground(small: Bytes, sky: Mask | None) -> Mask | None:
    """What has the colours of the lowest middle part, hangs together with it, and grows narrower upward."""
    height, width = small.shape[:2]
    lift = max(1.0, LIT / max(float(np.percentile(small, 98)), 1.0))
    colours = cv2.GaussianBlur(small.astype(np.float32) * np.float32(lift), (0, 0), 1.5)
    rows, side = max(1, round(SEED_ROWS * height)), round((1 - SEED_COLUMNS) / 2 * width)
    seed = colours[height - rows :, side : width - side].reshape(-1, 3)
    away = np.abs(colours - np.median(seed, axis=0)) / np.maximum(seed.std(axis=0), LEAST_SPREAD)
    like = (away.max(axis=2) < LIKE_GROUND).astype(np.uint8)
    if sky is not None:
        like[sky] = 0
    like = cv2.morphologyEx(like, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(like, connectivity=4)
    below = labels[height - rows :, side : width - side]
    below = below[below > 0]
    if below.size == 0:
        return None
    ground = labels == np.bincount(below).argmax()
    top = _top(ground)
    if ground.mean() < LEAST_GROUND or not HIGHEST <= top <= LOWEST:
        return None
    first, last = round(top * height), height
    upper = ground[first : first + max(1, (last - first) // 3)].sum(axis=1).mean()
    lower = ground[last - max(1, (last - first) // 3) :].sum(axis=1).mean()
    return ground if upper < NARROWING * lower or (sky is not None and top >= _reach(sky) - 0.1) else None


def _reach(sky: Mask) -> float:
    """The height above which nine tenths of a sky lie, as a share from the top."""
    return float(np.searchsorted(np.cumsum(sky.sum(axis=1)), 0.9 * sky.sum()) + 1) / len(sky)


def _top(ground: Mask) -> float:
    """The height below which all but a fiftieth of a ground lies, as a share from the top."""
    return float(np.searchsorted(np.cumsum(ground.sum(axis=1)), 0.02 * ground.sum())) / len(ground)


def _horizon(sky: Mask | None, ground: Mask | None, height: int) -> float | None:
    if ground is not None:
        return max(0.0, _top(ground) - 2 / height)
    return None if sky is None else min(max(_reach(sky), LEVEL), LOWEST_SKY)
