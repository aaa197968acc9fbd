"""Convolution with point spread functions of any shape, in the way that OpenCV does fast."""

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from synth.images.pixels import Floats, luma, shrink
from synth.scene.scene import View

DIRECT = 128  # elements: from 130 on filter2D takes a Fourier transform, several times slower than sums of products
FOURIER = 400  # elements: from here on that transform is the faster way
FAINT = 0.02  # of the kernel's sum: the faintest elements that together weigh less are dropped; each costs the same
LAMPS = 30.0  # times white, at most where an effect draws how bright lamps are
SATURATED = (0.9, 0.99)  # luma in linear light from which a spot may be a lamp, and where it surely is one
SURROUNDINGS = 0.1  # of the width: the side of the square around a spot
DARK = 0.3  # mean luma of the surroundings from which on a spot is not a lamp but white paint, or a part of the sky
USUAL_WIDTH = 256  # pixels, where a length is what the severity says
GROWTH = 0.2  # lengths grow by width ** GROWTH: a larger picture of the same scene has finer detail to lose as well


def in_pixels(share: float, width: int) -> float:
    """A length that is a share of the width at 256 px, at another width: there it costs the picture as many decibels.

    In a photograph the same power lies in each octave of frequency (Field, 1987): what a blur costs follows from its
    pixels, almost whatever the width. In exact proportion to the width the same severity would cost a picture of 512 px
    several dB more than the same picture at 128 px; with this power it is within 1 dB (bench/severity.py, Kodak).
    """
    return share * USUAL_WIDTH * (width / USUAL_WIDTH) ** GROWTH


def convolve(image: Floats, kernel: Floats) -> Floats:
    """The image spread by a kernel of odd sides with its origin in the middle, mirrored at the border.

    I(x) = Σ k(d) J(x − d): a convolution, so that a lamp draws the kernel as it stands. A small kernel
    is cut into rectangles of at most `DIRECT` elements, cropped to what is not zero, and their results are added.
    """
    if np.count_nonzero(kernel) > FOURIER:
        return cv2.filter2D(image, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101)
    height, width = image.shape[:2]
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    parts = list(pieces(np.ascontiguousarray(kernel[::-1, ::-1]), 0, 0))  # flipped: filter2D correlates
    if len(parts) == 1:
        y, x, piece = parts[0]
        if 0 <= up - y < piece.shape[0] and 0 <= left - x < piece.shape[1]:
            return cv2.filter2D(image, -1, piece, anchor=(left - x, up - y), borderType=cv2.BORDER_REFLECT_101)
    padded = cv2.copyMakeBorder(image, up, up, left, left, cv2.BORDER_REFLECT_101)
    out = np.zeros_like(image)
    for y, x, piece in parts:
        window = padded[y : y + height + piece.shape[0] - 1, x : x + width + piece.shape[1] - 1]
        out += cv2.filter2D(window, -1, piece, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)[:height, :width]
    return out


def pieces(kernel: Floats, y: int, x: int) -> Iterator[tuple[int, int, Floats]]:
    """Rectangles of at most `DIRECT` elements that hold all of a kernel, with their places in it."""
    rows, columns = np.flatnonzero(kernel.any(1)), np.flatnonzero(kernel.any(0))
    if not rows.size:
        return
    y, x = y + int(rows[0]), x + int(columns[0])
    kernel = kernel[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = kernel.shape
    if kernel.size <= DIRECT:
        yield y, x, kernel
    elif height >= width:
        yield from pieces(kernel[: height // 2], y, x)
        yield from pieces(kernel[height // 2 :], y + height // 2, x)
    else:
        yield from pieces(kernel[:, : width // 2], y, x)
        yield from pieces(kernel[:, width // 2 :], y, x + width // 2)


def on_pixels(density: NDArray[np.float64], along: NDArray[np.float64]) -> Floats:
    """The kernel of a density sampled at the places `along` × `along` (pixels), summing to 1.

    Each sample is shared between the pixels around it (bilinear), so that a kernel of any size has an effect.
    """
    reach = math.ceil(float(np.abs(along).max()))
    share = np.maximum(0, 1 - np.abs(np.arange(-reach, reach + 1)[:, None] - along[None, :]))
    kernel = share @ density @ share.T
    return (kernel / kernel.sum()).astype(np.float32)


def without_faint(kernel: Floats) -> Floats:
    """The kernel without its faintest elements, summing to 1."""
    sizes = np.sort(np.abs(kernel), axis=None)
    share = np.cumsum(sizes) / sizes.sum()
    least = sizes[int(np.searchsorted(share, FAINT))]
    kept = np.where(np.abs(kernel) >= least, kernel, 0)
    return (kept / kept.sum()).astype(np.float32)


def draw_lamps(rng: Generator, view: View) -> float:
    """How many times white lamps are. Infrared has none: what is white there is warm, not beyond the range."""
    drawn = math.exp(rng.uniform(0, math.log(LAMPS)))
    return 1.0 if view.infrared else drawn


def with_lamps(image: Floats, brightness: float) -> Floats:
    """Small saturated spots made as many times as bright, since white is where the file ended, not the lamp.

    Spread light of a lamp stays white along its path in photographs; one that is no brighter than paper would fade.
    A spot counts as far as its surroundings are dark, so that sky, paint and paper stay what they are.
    """
    if brightness == 1:
        return image
    grey = luma(image)
    spots = np.flatnonzero(grey > SATURATED[0])
    if not spots.size:
        return image
    height, width = grey.shape
    coarse = shrink(grey, 128)
    side = 2 * round(SURROUNDINGS * coarse.shape[1] / 2) + 1
    rows, columns = spots // width * coarse.shape[0] // height, spots % width * coarse.shape[1] // width
    around = cv2.blur(coarse, (side, side), borderType=cv2.BORDER_REFLECT_101)[rows, columns]
    spots, around = spots[around < DARK], around[around < DARK]
    saturated = np.minimum((grey.ravel()[spots] - SATURATED[0]) / (SATURATED[1] - SATURATED[0]), 1)
    gain = 1 + np.float32(brightness - 1) * saturated * (1 - around / np.float32(DARK))
    out = image.copy()
    out.reshape(grey.size, -1)[spots] *= gain[:, None]
    return out


def half_size(image: Floats) -> Floats:
    """The image at half its size by area averaging; an odd side is mirrored by one pixel first."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REFLECT_101)
    return cv2.resize(image, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)


def double_size(image: Floats, height: int, width: int) -> Floats:
    """The way back from `half_size`, by linear interpolation."""
    size = (2 * image.shape[1], 2 * image.shape[0])
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)[:height, :width])
