"""Borders that a picture was padded with: a frame, a strip, or the wedges that a warp leaves at its sides."""

from collections.abc import Mapping
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, luma

Mask = NDArray[np.bool_]  # (H, W)
Name = TypeVar("Name", bound=str)

CONSTANT = 4  # levels that a border varies by: rounding, and JPEG
BLACK = 8  # level of a border's corner at most
WHITE = 247  # and at least: white borders have to be frames, since skies are white
SMALLEST = 0.5  # of the short side: pixels of a border at least
STRAIGHT = 0.95  # of a border lies outside the convex hull of the picture, which a dark sky behind trees does not
LARGEST = 0.35  # of the picture that a border may be
EXACT, EVEN = 1, 0.9  # levels within which so much of a border lies
NEAR, INSIDE, BEGINS = 8, 3, 0.5  # levels by which so much of what is seen, so many pixels inside, differs from it
SMEAR = 2  # pixels between padding and content that resampling and JPEG mixed
STEP = 1  # pixels by which the edge of a border strays from a straight line
RINGING = 5  # pixels to a side of the window in which specks of JPEG are a border's own


def content(image: Bytes) -> Mask:
    """Where an image, (H, W) or (H, W, 3), shows something, (H, W): not in a border of one level with straight edges.

    A border is black, reaches a corner, and leaves a convex picture; or it is a black or white frame. It is of one
    level nearly everywhere, and the picture begins all along it: a night or a sky in a bracket is less even, or ends at
    roofs and trees. A picture of one level is all content.
    """
    plane = np.ascontiguousarray(luma(image))
    seen = _seen(plane)
    return seen if seen.all() or _convinces(plane, seen) else np.ones(plane.shape, bool)


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


def _seen(plane: Bytes) -> Mask:
    """What lies inside of all that may be borders, (H, W)."""
    height, width = plane.shape
    framed = _framed(plane)
    found: list[Bytes] = []
    for x, y in dict.fromkeys([(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]):
        if plane[y, x] <= BLACK and not any(border[y, x] for border in found):
            found += _level(plane, (x, y))
    while found:
        borders = np.logical_or.reduce(found)
        inside = _hull(borders)
        kept = [border for border in found if _outside(border, inside) >= STRAIGHT]
        if len(kept) == len(found):
            rim = inside & (_eroded(inside.astype(np.uint8), STEP) == 0)  # a dark thing in the picture is no border
            return inside & ~(borders.astype(bool) & rim) & framed
        found = kept
    return framed


def _convinces(plane: Bytes, seen: Mask) -> bool:
    """Whether what lies outside of `seen` is a border and no night."""
    outside, inside = (~seen).astype(np.uint8), seen.astype(np.uint8)
    level = int(np.median(plane[~seen]))
    if outside.mean() > LARGEST or (np.abs(plane[~seen].astype(int) - level) <= EXACT).mean() < EVEN:
        return False
    along = (_eroded(inside, INSIDE) & ~_eroded(inside, INSIDE + 1)) > 0
    return bool(along.any()) and float((np.abs(plane[along].astype(int) - level) > NEAR).mean()) >= BEGINS


def _eroded(mask: Bytes, pixels: int) -> Bytes:
    """Ones less those within so many pixels of a zero; the picture's edge takes none."""
    square = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=1)


def _framed(plane: Bytes) -> Mask:
    """What lies within rows of one level at both ends, and within columns of one: of black, or of white."""
    inside = np.ones(plane.shape, bool)
    if BLACK < plane[0, 0] < WHITE:
        return inside
    for lines, part in ((plane, inside), (plane.T, inside.T)):
        if any(int(line.max()) - int(line.min()) > CONSTANT for line in (lines[0], lines[-1])):
            continue
        some = np.flatnonzero(np.ptp(lines, axis=1) > CONSTANT)
        if len(some):
            part[: some[0]] = part[some[-1] + 1 :] = False
    return inside


def _level(plane: Bytes, corner: tuple[int, int]) -> list[Bytes]:
    """What is joined to a corner (x, y) and of its level, 0 or 1: none where it is too small, or all that there is."""
    height, width = plane.shape
    reached = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY
    area = cv2.floodFill(plane, reached, corner, 0, CONSTANT, CONSTANT, flags)[0]
    if area < SMALLEST * min(height, width):
        return []
    closed = cv2.morphologyEx(reached[1:-1, 1:-1], cv2.MORPH_CLOSE, np.ones((RINGING, RINGING), np.uint8))
    return [] if closed.all() else [closed]


def _outside(border: Bytes, inside: Mask) -> float:
    """The share of a border outside a convex hull, but for the pixels that its edge runs through."""
    within = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8))
    return 1 - cv2.countNonZero(border & within) / cv2.countNonZero(border)


def _hull(border: Mask) -> Mask:
    """The convex hull of all that is not border."""
    rows = np.flatnonzero(~border.all(axis=1))
    first = np.argmin(border[rows], axis=1)
    last = border.shape[1] - 1 - np.argmin(border[rows, ::-1], axis=1)
    points = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    if not len(points):
        return np.ones(border.shape, bool)
    filled = np.zeros(border.shape, np.uint8)
    return cv2.fillConvexPoly(filled, cv2.convexHull(points.astype(np.int32)), 1).astype(bool)


def without_padding(pictures: Mapping[Name, Bytes], contents: Mapping[Name, Mask]) -> dict[Name, Bytes]:
    """Pictures by name as they were before padding was laid over them. contents: which pixels of those that have
    padding a camera saw."""
    return {
        name: beneath(picture, contents[name]) if name in contents else picture for name, picture in pictures.items()
    }
