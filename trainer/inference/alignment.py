"""Images that are off by a few pixels, laid onto the first before they are fused."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import Image
from trainer.errors import UserError

How: TypeAlias = Literal["mtb", "ecc"]
"""mtb: whole pixels, for exposures that differ (Ward, 2003: bitmaps thresholded at the median). ecc: an affine motion,
for small turns and scales too, and for images of two kinds (Evangelidis and Psarakis, PAMI 2008, on edges)."""

BITS, SMALLEST = 6, 8
"""Of the search of mtb: moves up to 63 pixels, fewer where so many halvings leave a picture under 8 pixels."""
STEPS, ENOUGH = 100, 1e-5
"""Iterations of ecc, and the gain of correlation at which it ends."""
BLURRED = 9
"""Pixels: side of the Gaussian through which ecc looks."""
LEAST = 0.25
"""Correlation of the edges below which ecc has not found what the images share."""
FARTHEST = 0.1
"""Of a side: what moves a corner by more is more likely a mistake than a hand."""


class Aligned(NamedTuple):
    """An image laid onto another, and the largest move of a corner in pixels."""

    image: Image
    moved: float


def aligned(first: Image, other: Image, how: How, name: str) -> Aligned:
    """`other` moved onto `first`, its border repeated; both (H, W, 3) uint8 of one size. Raises UserError that calls it
    `name`, where no motion is found.
    """
    motion = _whole_pixels(first, other) if how == "mtb" else _affine(first, other, name)
    height, width = first.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    moved = float(np.hypot(*(corners @ motion.T - corners[:, :2]).T).max())
    if moved > FARTHEST * max(height, width):
        raise UserError(f"--align {how}: {name} would move by {moved:.0f} px; register the images before")
    if moved < 1e-3:
        return Aligned(other, 0.0)
    how_read = cv2.INTER_NEAREST if how == "mtb" else cv2.INTER_CUBIC
    flags = how_read | cv2.WARP_INVERSE_MAP
    return Aligned(cv2.warpAffine(other, motion, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE), moved)


def _whole_pixels(first: Image, other: Image) -> NDArray[np.float32]:
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, other)]
    bits = min(BITS, max(1, math.ceil(math.log2(min(first.shape[:2]) / SMALLEST))))
    right, down = cv2.createAlignMTB(max_bits=bits, exclude_range=4, cut=False).calculateShift(*grey)
    return np.array([[1, 0, -right], [0, 1, -down]], np.float32)


def _affine(first: Image, other: Image, name: str) -> NDArray[np.float32]:
    """Where a point of `first` lies in `other`."""
    motion = np.eye(2, 3, dtype=np.float32)
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, ENOUGH)
    try:
        found, motion = cv2.findTransformECC(
            _edges(first), _edges(other), motion, cv2.MOTION_AFFINE, ends, None, BLURRED
        )
    except cv2.error:
        found = 0.0
    if found < LEAST:
        raise UserError(
            f"--align ecc: no motion found that lays {name} onto the first image; register the images before"
        )
    return np.asarray(motion, np.float32)


def _edges(image: Image) -> NDArray[np.float32]:
    """The strength of the luma's gradient, which images of two kinds share."""
    plane = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.5)
    return np.asarray(np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1)), np.float32)
