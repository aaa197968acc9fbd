"""Pictures of pictures: beside each other, under each other, at full size where they differ most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.images import Image

WINDOW = 256
"""Pixels of a cut, at full size."""
GAIN = 8
"""By which differences are amplified."""
GAP = 8
"""White pixels under each row of a sheet."""


def where_they_differ(reference: Image, image: Image) -> Image:
    """The window with the largest squared error: of the reference, of the image, and 8 times the difference around
    grey, beside each other, (256, 768, 3) at most. Both (H, W, 3) of one size.
    """
    import cv2

    height, width = (min(WINDOW, side) for side in reference.shape[:2])
    difference = reference.astype(np.float32) - image
    error = cv2.boxFilter((difference**2).mean(2), -1, (width, height), anchor=(0, 0))
    error = error[: reference.shape[0] - height + 1, : reference.shape[1] - width + 1]
    top, left = np.unravel_index(int(error.argmax()), error.shape)
    shown = np.clip(np.rint(128 + GAIN * difference), 0, 255).astype(np.uint8)
    return np.hstack([part[top : top + height, left : left + width] for part in (reference, image, shown)])


def sheet(rows: Sequence[Image]) -> Image:
    """Rows of any size under each other, on white."""
    page = np.full((sum(row.shape[0] + GAP for row in rows), max(row.shape[1] for row in rows), 3), 255, np.uint8)
    top = 0
    for row in rows:
        page[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + GAP
    return page
