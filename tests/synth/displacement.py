"""By how much an effect moves a picture: what tests of effects measure with."""

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, luma

FAR = 10  # pixels: within these the peak is sought
BLACK = 20  # of `bump`


def texture(height: int, width: int, colour: bool = True) -> Bytes:
    """Blobs of two levels: whatever a tone curve makes of them is, up to its sign, the same picture."""
    rng = np.random.default_rng(height * width)
    blobs = cv2.GaussianBlur(rng.standard_normal((height + 20, width + 20)), (0, 0), 2.5)[10:-10, 10:-10]
    grey = np.where(blobs > 0, np.uint8(170), np.uint8(70))
    return cv2.merge([grey] * 3) if colour else grey


def displacement(before: Bytes, after: Bytes) -> float:
    """Pixels by which a picture has moved: the place of the peak of the correlation, between pixels by a parabola."""
    one, two = (_fine(picture) for picture in (before, after))
    spectrum = np.fft.rfft2(two) * np.conj(np.fft.rfft2(one))
    near = np.roll(np.fft.irfft2(spectrum, one.shape), (FAR, FAR), (0, 1))[: 2 * FAR + 1, : 2 * FAR + 1]
    near = near * np.sign(near.flat[np.abs(near).argmax()])  # a negative lies where its picture does
    y, x = np.unravel_index(near.argmax(), near.shape)
    if not (0 < y < 2 * FAR and 0 < x < 2 * FAR):
        return float(FAR)
    return float(np.hypot(y - FAR + _top(near[y - 1 : y + 2, x]), x - FAR + _top(near[y, x - 1 : x + 2])))


def _fine(picture: Bytes) -> NDArray[np.float64]:
    grey = luma(picture).astype(np.float64)
    height, width = grey.shape
    fine = cv2.GaussianBlur(grey, (0, 0), 1) - cv2.GaussianBlur(grey, (0, 0), 4)
    return fine * np.outer(np.hanning(height), np.hanning(width))


def _top(values: NDArray[np.float64]) -> float:
    left, middle, right = values
    bend = left - 2 * middle + right
    return float((left - right) / (2 * bend)) if bend else 0.0


def bump(height: int, width: int) -> Bytes:
    """A soft spot beside the middle of a dark picture in colour."""
    y, x = np.mgrid[:height, :width]
    squared = (y - 0.45 * (height - 1)) ** 2 + (x - 0.55 * (width - 1)) ** 2
    grey = np.rint(BLACK + 200 * np.exp(-squared / (2 * 9**2))).astype(np.uint8)
    return cv2.merge([grey] * 3)


def centre(picture: Bytes) -> NDArray[np.float64]:
    """The centre of gravity (y, x) of what is brighter than the ground of `bump`."""
    light = np.clip(picture.reshape(*picture.shape[:2], -1).mean(2) - BLACK, 0, None)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(y * light).sum(), (x * light).sum()]) / light.sum()
