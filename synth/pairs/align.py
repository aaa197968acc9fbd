"""Brackets that are off by a few pixels, as from a hand, laid over each other."""

import cv2
import numpy as np

from synth.images.pixels import Bytes, in_colour

MAX_BITS = 4  # of the search: shifts up to 2⁴ − 1 pixels
FARTHEST = 8  # pixels: a shift beyond it is more likely a mistake than a hand, and nothing is moved


def align(a: Bytes, b: Bytes) -> tuple[Bytes, tuple[int, int]]:
    """b moved by whole pixels to lie on a, its border repeated, and the move (right, down).

    Ward, "Fast, robust image registration for compositing high dynamic range photographs from hand-held exposures",
    Journal of Graphics Tools 2003 (OpenCV's AlignMTB): bitmaps thresholded at the median do not see the exposure.
    """
    aligner = cv2.createAlignMTB(max_bits=MAX_BITS, exclude_range=4, cut=False)
    right, down = aligner.calculateShift(*(cv2.cvtColor(in_colour(image), cv2.COLOR_RGB2GRAY) for image in (a, b)))
    if max(abs(right), abs(down)) > FARTHEST or (right, down) == (0, 0):
        return b, (0, 0)
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = b.shape[1::-1]
    moved = cv2.warpAffine(b, move, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return moved, (int(right), int(down))
