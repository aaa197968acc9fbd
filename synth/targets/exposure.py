"""Exposure fusion: Mertens, Kautz, Van Reeth, "Exposure Fusion", Pacific Graphics 2007."""

import cv2
import numpy as np

from synth.pixels import Bytes, in_colour, luma, round_to_bytes


def mertens(a: Bytes, b: Bytes) -> Bytes:
    """OpenCV's Mertens fusion with its default weights (contrast 1, saturation 1, exposure 0).

    (H, W, 3) where either image has colour, else (H, W).
    """
    fused = cv2.createMergeMertens().process([in_colour(a), in_colour(b)])
    image = round_to_bytes(np.nan_to_num(fused) * 255)
    return image if a.ndim == 3 or b.ndim == 3 else luma(image)
