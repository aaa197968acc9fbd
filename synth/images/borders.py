"""Borders that a picture was padded with: a frame, a strip, or the wedges that a warp leaves at its sides."""

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, luma

CONSTANT = 4  # levels that a border varies by: rounding, and JPEG
BLACK = 8  # level of a border's corner at most
WHITE = 247  # and at least: white borders have to be frames, since skies are white
SMALLEST = 0.5  # of the short side: pixels of a border at least
STRAIGHT = 0.95  # of a border lies outside the convex hull of the picture, which a dark sky behind trees does not
RINGING = 5  # pixels to a side of the window in which specks of JPEG are a border's own


def content(image: Bytes) -> NDArray[np.bool_]:
    """Where an image, (H, W) or (H, W, 3), shows something, (H, W): not in a border of one level with straight edges.

    A border is black, reaches a corner, and leaves a convex picture; or it is a black or white frame. A picture of one
    level is all content.
    """
    plane = luma(image)
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
            return inside & ~borders & framed
        found = kept
    return framed


def _framed(plane: Bytes) -> NDArray[np.bool_]:
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


def _outside(border: Bytes, inside: NDArray[np.bool_]) -> float:
    """The share of a border outside a convex hull, but for the pixels that its edge runs through."""
    within = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8))
    return 1 - cv2.countNonZero(border & within) / cv2.countNonZero(border)


def _hull(border: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The convex hull of all that is not border."""
    rows = np.flatnonzero(~border.all(axis=1))
    first = np.argmin(border[rows], axis=1)
    last = border.shape[1] - 1 - np.argmin(border[rows, ::-1], axis=1)
    points = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    if not len(points):
        return np.ones(border.shape, bool)
    filled = np.zeros(border.shape, np.uint8)
    return cv2.fillConvexPoly(filled, cv2.convexHull(points.astype(np.int32)), 1).astype(bool)
