"""Depth as a number of 24 bits that is spread over the three channels of a picture, as simulators save it.

CARLA: R + 256 G + 65536 B, over 2^24 - 1 of the farthest distance. Others have it the other way round. Such a picture
is known by its carries: where the high channel goes up by one, the middle one falls from 255 to 0.
"""

import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, Floats

WHITE = (1 << 24) - 1
SMALL = 96  # of 256 steps, between neighbours across a carry
CARRIED, FEWEST = 0.5, 24  # which share of the carries must be so small, of so many at least
WILD, TAME = 24, 6  # levels between neighbours, at the median, of a low channel beside the middle one of a near scene


def decode(image: Bytes) -> Floats | None:
    """Distances of a picture, (H, W, 3), as shares of the farthest that the code has; None where it is no code."""
    for channels in ((0, 1, 2), (2, 1, 0)):
        low, middle, high = (image[:, :, channel].astype(np.int32) for channel in channels)
        if _carries(high, middle) or (np.ptp(high) <= 1 and (_carries(middle, low) or _wild(middle, low))):
            return ((low + (middle << 8) + (high << 16)) / np.float64(WHITE)).astype(np.float32)
    return None


def _steps(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """From each pixel to its neighbours on the right and below."""
    return np.concatenate([np.diff(values, axis=1).ravel(), np.diff(values, axis=0).ravel()])


def _bends(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """The change of these steps: none on a plane, however steep."""
    return np.concatenate([np.diff(values, 2, axis=1).ravel(), np.diff(values, 2, axis=0).ravel()])


def _carries(high: NDArray[np.int32], low: NDArray[np.int32]) -> bool:
    for changes in (_steps, _bends):
        up, inside = changes(high), changes(low)
        there = np.abs(up) == 1
        small = np.abs(256 * up[there] + inside[there]) < SMALL
        if small.size >= FEWEST and float(small.mean()) >= CARRIED:
            return True
    return False


def _wild(high: NDArray[np.int32], low: NDArray[np.int32]) -> bool:
    """Whether the low channel changes as noise does, where the one above it is smooth but not even."""
    up, inside = np.abs(_steps(high)), np.abs(_steps(low))
    return up.size >= FEWEST and bool(np.ptp(high) > 1 and np.median(up) <= TAME and np.median(inside) >= WILD)
