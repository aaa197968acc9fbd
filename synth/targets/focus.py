"""Which of two images is in focus at each place."""

import cv2
import numpy as np

from synth.images.guided_filter import guided_filter
from synth.images.pixels import Floats
from synth.targets.activity import SIGMA, blur, energy

FLAT = 1e-6  # energy, luma in [0, 1], that decides nothing
BROAD_SIGMA = 8.0  # pixels over which a neighbourhood is asked
BROAD_SHARE = 0.1  # of its say: it decides where there is nothing to be sharp
BROAD_STEP = 4  # it is asked at a quarter of the size
MAJORITY = 7  # pixels of the window in which the majority decides: no islands
GUIDE_RADIUS = 5  # pixels; borders of focus are borders of things
GUIDE_EPSILON = 1e-3  # luma variance below which the guide says nothing


def focus(a: Floats, b: Floats) -> Floats:
    """From −1 (b is sharp) to 1 (a is sharp), (H, W), from both images' luma in [0, 1].

    First and second differences of a defocused image are weaker. What a pixel's own window says is joined by its
    neighbourhood, then by the majority around it, and its borders are laid along those of the picture by a guided
    filter (He, Sun, Tang, "Guided image filtering", TPAMI 2013). Swapping the images flips the sign, to the bit.
    """
    sharp_a, sharp_b = _sharpness(a), _sharpness(b)
    sure = np.abs(sharp_a - sharp_b) > np.float32(FLAT)
    votes = (np.sign(sharp_a - sharp_b) * sure + 1).astype(np.uint8)  # 0, 1, 2: b, neither, a
    lean = cv2.medianBlur(votes, MAJORITY).astype(np.float32) - np.float32(1)
    return np.clip(guided_filter((a + b) * np.float32(0.5), lean, GUIDE_RADIUS, GUIDE_EPSILON), -1, 1)


def _sharpness(plane: Floats) -> Floats:
    second = cv2.Laplacian(plane, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    near = blur(energy(plane) + np.square(second), SIGMA)
    height, width = plane.shape
    size = (max(1, width // BROAD_STEP), max(1, height // BROAD_STEP))
    small = blur(cv2.resize(near, size, interpolation=cv2.INTER_AREA), BROAD_SIGMA / BROAD_STEP)
    broad = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return near + np.float32(BROAD_SHARE) * broad
