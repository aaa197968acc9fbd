"""The guided filter: He, Sun, Tang, "Guided image filtering", TPAMI 2013, for a grey guide."""

import cv2
import numpy as np

from synth.images.pixels import Floats


def guided_filter(guide: Floats, image: Floats, radius: int, eps: float) -> Floats:
    """The image (H, W) as a linear function of the guide (H, W) in each window of 2 · radius + 1 pixels.

    eps: variance of the guide, in its own units squared, below which it says nothing and the result is smooth.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(x: Floats) -> Floats:
        return cv2.blur(x, size, borderType=cv2.BORDER_REFLECT_101)

    mean_guide, mean_image = mean(guide), mean(image)
    variance: Floats = mean(guide * guide) - mean_guide * mean_guide
    slope: Floats = (mean(guide * image) - mean_guide * mean_image) / (variance + np.float32(eps))
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)
