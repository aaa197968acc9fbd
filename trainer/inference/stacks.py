"""More than two images of one scene: brackets of several exposures, stacks of several focus planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import cv2
import numpy as np

from trainer.data.images import Image

By: TypeAlias = Literal["auto", "exposure", "sharpness", "given"]
"""In which order images are folded: from dark to bright, from the sharpest on, or as they were given."""

STOPS = 1.0
"""Between the darkest and the brightest image, from which on a stack is a bracket of exposures."""


def order(images: Sequence[Image], by: By = "auto") -> list[int]:
    """The numbers of images, (H, W, 3) uint8, in the order in which they are folded; equal ones stay as given.

    auto: as given where they are two; by exposure where their mean light differs by `STOPS`, else by sharpness.
    """
    numbers = list(range(len(images)))
    if by == "given" or (by == "auto" and len(images) == 2):
        return numbers
    stops = [_stops(image) for image in images]
    if by == "exposure" or (by == "auto" and max(stops) - min(stops) >= STOPS):
        return sorted(numbers, key=lambda number: stops[number])
    return sorted(numbers, key=lambda number: -_sharpness(images[number]))


def _stops(image: Image) -> float:
    """The mean of linear light (gamma 2.2), in stops."""
    return float(np.log2(((image / 255.0) ** 2.2).mean() + 1e-6))


def _sharpness(image: Image) -> float:
    """The variance of the luma's Laplacian, in squared grey levels."""
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())
