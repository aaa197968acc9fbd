"""Padding: the constant frame, strip or wedge that registration, or a frame grabber, left around what a camera saw."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes

Mask = NDArray[np.bool_]  # (H, W)

NEAR = 8  # levels in any channel by which a pixel of padding may stray from its constant: JPEG rings
EXACT, EVEN = (
    1,
    0.9,
)  # levels within which so many of them must lie: dark sky is not so even
LEAST_SIDE = 0.25  # of a side that must be constant from a corner on: padding touches a corner
LEAST, MOST = 0.003, 0.35  # of the picture
SMEAR = 2  # pixels between padding and content that resampling and JPEG mixed
WHITE = 250  # from this level of all channels on, padding is a frame on all four sides: else it is a bright sky
INSIDE = 3  # pixels from the padding inward where content must have begun
BEGINS = 0.7  # of the border of what is inside, where it must have


def content(image: Bytes) -> Mask | None:
    """Which pixels of a picture a camera saw, (H, W); None where that is all of them.

    A picture that was shifted, turned or laid in a frame fills a convex region, and around it all is of one value. So
    padding is what lies outside the convex hull of all that differs from the value in some corner. A black night or a
    white sky is of one value too, but it ends at roofs and trees: its hull has hardly any content along its border.
    White on one side alone is no padding: a horizon may be as straight as a ruler. Strips that are narrower than the
    blocks of a strongly compressed JPEG may be missed: there they are not of one value.
    """
    found: Mask | None = None
    for value in _corner_values(image):
        inside = _inside(image, value)
        if inside is not None and (found is None or inside.sum() < found.sum()):
            found = inside
    return found


def beneath(image: Bytes, seen: Mask) -> Bytes:
    """The picture with its content mirrored into its padding, as if the camera had seen on; `image` where it saw none.

    Each pixel of padding takes what stands as far behind the nearest content, or that content at the picture's end.
    What the two smeared into each other stays, but is no source.
    """
    clear = _eroded(seen.astype(np.uint8), SMEAR)
    if not clear.any():
        return image
    height, width = seen.shape
    _, labels = cv2.distanceTransformWithLabels(1 - clear, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.nonzero(clear)
    of_label = np.zeros(int(labels.max()) + 1, np.int64)
    of_label[labels[rows, columns]] = np.arange(rows.size)
    y, x = np.nonzero(~seen)
    nearest = of_label[labels[y, x]]
    near_y, near_x = rows[nearest], columns[nearest]
    far_y, far_x = 2 * near_y - y, 2 * near_x - x
    there = (far_y >= 0) & (far_y < height) & (far_x >= 0) & (far_x < width)
    there[there] = clear[far_y[there], far_x[there]] > 0
    out = image.copy()
    out[y, x] = image[np.where(there, far_y, near_y), np.where(there, far_x, near_x)]
    return out


def _corner_values(image: Bytes) -> list[NDArray[np.int16]]:
    """Per channel, of the corners from which on a good part of a side is constant; each once."""
    values: list[NDArray[np.int16]] = []
    for turned in (image, image[:, ::-1], image[::-1], image[::-1, ::-1]):
        corner = np.atleast_1d(turned[0, 0]).astype(np.int16)
        sides = (turned[0, : _share(turned.shape[1])], turned[: _share(turned.shape[0]), 0])
        constant = any(np.abs(side.reshape(len(side), -1) - corner).max() <= NEAR for side in sides)
        if constant and not any(np.abs(corner - value).max() <= NEAR for value in values):
            values.append(corner)
    return values


def _share(side: int) -> int:
    return max(2, round(LEAST_SIDE * side))


def _inside(image: Bytes, value: NDArray[np.int16]) -> Mask | None:
    """The convex region outside of which all is of one value; None where there is none."""
    of_value = _around(image, value, NEAR)
    differs = cv2.morphologyEx(cv2.bitwise_not(of_value), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    rows = np.flatnonzero(differs.any(1))
    if not rows.size:
        return None
    first, last = differs[rows].argmax(1), differs.shape[1] - 1 - differs[rows, ::-1].argmax(1)
    ends = np.concatenate([np.column_stack([first, rows]), np.column_stack([last, rows])]).astype(np.int32)
    hull = np.zeros(of_value.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(ends), 1)
    outside = 1 - hull
    if not LEAST <= outside.mean() <= MOST or (value.min() >= WHITE and not _frames(outside)):
        return None
    exactly = np.median(image[outside > 0].reshape(cv2.countNonZero(outside), -1), axis=0)
    if cv2.mean(_around(image, exactly, EXACT), mask=outside)[0] < EVEN * 255:
        return None
    border = _eroded(hull, INSIDE) & ~_eroded(hull, INSIDE + 1)
    if not border.any() or cv2.mean(of_value, mask=border)[0] > (1 - BEGINS) * 255:
        return None
    rim = hull & ~_eroded(hull, 1)  # a slanted edge has steps: what of them has the value is padding
    return (hull > 0) & ~((rim > 0) & (of_value > 0))


def _eroded(mask: Bytes, pixels: int) -> Bytes:
    """Ones less those within so many pixels of a zero; the picture's edge takes none."""
    square = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)


def _frames(outside: Bytes) -> bool:
    return all(bool(side.all()) for side in (outside[0], outside[-1], outside[:, 0], outside[:, -1]))


def _around(image: Bytes, value: NDArray[Any], levels: int) -> Bytes:
    """255 where every channel is within some levels of the value, else 0."""
    return cv2.inRange(image, *(np.clip(value + by, 0, 255).astype(np.uint8) for by in (-levels, levels)))
