"""Exposure fusion: Mertens, Kautz, Van Reeth, "Exposure Fusion", Pacific Graphics 2007, for two images.

A weight lies between −1 (all of b) and 1 (all of a). With the weight w, the mean m and half the difference d of both
images, the fusion is m plus the Laplacian pyramid of d, weighed by the Gaussian pyramid of w: one pyramid instead of
two, and equal images give themselves back.
"""

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats, in_colour, luma, round_to_bytes

CONTRAST_FLOOR = 1e-3  # the measures are multiplied: without floors a grey or even place would have no say at all
SATURATION_FLOOR = 1e-2
EXPOSED_SHARE = 1e-4  # what decides where both images are flat and grey: which is the nearer to mid-grey
EXPOSED_SPREAD = 0.2  # of that nearness, as in the paper


def choose(a: Bytes, b: Bytes) -> Floats:
    """The weight of a against b, (H, W) in [−1, 1], by contrast and saturation (the paper's exponents 1, 1, 0)."""
    weight_a, weight_b = _weight(a), _weight(b)
    return (weight_a - weight_b) / (weight_a + weight_b)


def _weight(image: Bytes) -> Floats:
    """Contrast × saturation, (H, W) above 0; contrast alone of a grey image."""
    unit = image.astype(np.float32) * np.float32(1 / 255)
    plane = luma(unit)
    contrast = np.abs(cv2.Laplacian(plane, cv2.CV_32F)) + np.float32(CONTRAST_FLOOR)
    exposed = np.exp(np.square(plane - np.float32(0.5)) * np.float32(-0.5 / EXPOSED_SPREAD**2))
    if image.ndim == 3:
        red, green, blue = cv2.split(unit)
        mean = (red + green + blue) * np.float32(1 / 3)
        squares = np.square(red - mean) + np.square(green - mean) + np.square(blue - mean)
        contrast *= np.sqrt(squares) + np.float32(SATURATION_FLOOR)
    return contrast + np.float32(EXPOSED_SHARE) * exposed


def blend(a: Bytes, b: Bytes, weight: Floats) -> Floats:
    """Both images blended scale by scale, in grey levels, unclipped: (H, W, 3) where either has colour, else (H, W)."""
    if a.ndim != b.ndim:
        a, b = in_colour(a), in_colour(b)
    first, second = a.astype(np.float32), b.astype(np.float32)
    middle, half = (first + second) * np.float32(0.5), (first - second) * np.float32(0.5)
    return middle + _weighed(half, weight)


def _weighed(difference: Floats, weight: Floats) -> Floats:
    """The Laplacian pyramid of a difference times the Gaussian pyramid of its weight, put together again."""
    if min(weight.shape) < 2:
        return difference * _spread(weight, difference)
    smaller = cv2.pyrDown(difference)
    size = difference.shape[1::-1]
    detail = difference - cv2.pyrUp(smaller, dstsize=size)
    rest = _weighed(smaller, cv2.pyrDown(weight))
    return detail * _spread(weight, detail) + cv2.pyrUp(rest, dstsize=size)


def _spread(weight: Floats, image: Floats) -> Floats:
    return cv2.merge([weight] * 3) if image.ndim == 3 else weight


def mertens(a: Bytes, b: Bytes) -> Bytes:
    """The exposure fusion of two images: (H, W, 3) where either has colour, else (H, W)."""
    return round_to_bytes(blend(a, b, choose(a, b)))
