"""Which of two images is in focus at each place, and how much brighter one is than the other."""

import cv2
import numpy as np

from synth.images.guided_filter import guided_filter
from synth.images.pixels import Bytes, Floats
from synth.targets.activity import NOISE_QUANTILE, SIGMA, SPARSE, blur, energy

ROUNDING = 1e-6  # energy, luma in [0, 1], that rounding to bytes makes of a slope
SURE = 4.0  # times the noise: what the energies of two flat windows may differ by
BROAD_SIGMA = 8.0  # pixels over which a neighbourhood is asked
BROAD_SHARE = 0.1  # of its say: it decides where there is nothing to be sharp
BROAD_STEP = 4  # it is asked at a quarter of the size
MAJORITY = 7  # pixels of the window in which the majority decides: no islands
HELD = 0.05  # of votes in a window of the pyramid, from which on they decide and not those of coarser ones
GUIDE_RADIUS = 5  # pixels; borders of focus are borders of things
GUIDE_EPSILON = 1e-3  # luma variance below which the guide says nothing
EVEN = 16  # pixels to a side of the patches whose means tell of exposure
EQUAL = 0.006  # of their sum: what patches of equal exposures differ by, from rounding and from blur in sRGB
UNEQUAL = 0.1  # and what two shots of one exposure differ by at most


def focus(a: Floats, b: Floats) -> Floats:
    """From −1 (b is sharp) to 1 (a is sharp), (H, W), from both images' luma in [0, 1].

    First and second differences of a defocused image are weaker. What a pixel's own window says is joined by its
    neighbourhood, then by the majority around it; what differs by no more than noise inherits from what is around it,
    and borders are laid along those of the picture by a guided filter (He, Sun, Tang, "Guided image filtering", TPAMI
    2013). Swapping the images flips the sign, to the bit.
    """
    sharp_a, sharp_b = _sharpness(a), _sharpness(b)
    sure = np.abs(sharp_a - sharp_b) > np.float32(max(SURE * _noise(np.minimum(sharp_a, sharp_b)), ROUNDING))
    votes = (np.sign(sharp_a - sharp_b) * sure + 1).astype(np.uint8)  # 0, 1, 2: b, neither, a
    lean = _inherited(cv2.medianBlur(votes, MAJORITY).astype(np.float32) - np.float32(1))
    return np.clip(guided_filter((a + b) * np.float32(0.5), lean, GUIDE_RADIUS, GUIDE_EPSILON), -1, 1)


def _noise(energies: Floats) -> float:
    """Of the flattest places."""
    sparse = energies[::SPARSE, ::SPARSE].ravel()
    rank = int(NOISE_QUANTILE * (sparse.size - 1))
    return float(np.partition(sparse, rank)[rank])


def _inherited(votes: Floats) -> Floats:
    """Votes of −1, 0 and 1, (H, W), with each 0 decided by the nearest others: a pyramid pulls them up and pushes down.

    Gortler et al., "The lumigraph", SIGGRAPH 1996.
    """
    weight = np.abs(votes)
    if weight.all() or min(votes.shape) < 2:
        return votes
    size = votes.shape[1::-1]
    coarse = cv2.resize(_inherited_from(*(cv2.pyrDown(x) for x in (votes, weight))), size)
    inherited = np.sign(coarse)
    return np.where(weight > 0, votes, inherited)


def _inherited_from(votes: Floats, weight: Floats) -> Floats:
    held: Floats = np.clip(weight, HELD, 1)
    mean = votes / held
    if min(votes.shape) < 2 or weight.min() >= HELD:
        return mean
    coarse = _inherited_from(cv2.pyrDown(votes), cv2.pyrDown(weight))
    own: Floats = np.clip(weight * np.float32(1 / HELD), 0, 1)
    return mean + (1 - own) * cv2.resize(coarse, votes.shape[1::-1])


def _sharpness(plane: Floats) -> Floats:
    second = cv2.Laplacian(plane, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    near = blur(energy(plane) + np.square(second), SIGMA)
    height, width = plane.shape
    size = (max(1, width // BROAD_STEP), max(1, height // BROAD_STEP))
    small = blur(cv2.resize(near, size, interpolation=cv2.INTER_AREA), BROAD_SIGMA / BROAD_STEP)
    broad = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return near + np.float32(BROAD_SHARE) * broad


def gains(a: Bytes, b: Bytes) -> tuple[Floats, Floats]:
    """What each picture, (H, W) or (H, W, 3), is multiplied by, (C,) each, so that both are of one exposure.

    The median over patches of what they differ by tells it, for few patches lie at borders of focus, and within the
    others the mean is what it would be in focus. Equal exposures give 1; swapping the images swaps both, to the bit.
    """
    height, width = a.shape[:2]
    size = (max(1, width // EVEN), max(1, height // EVEN))
    x, y = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (a, b))
    off = np.median(((x - y) / (x + y + np.float32(1))).reshape(size[0] * size[1], -1), axis=0)
    if np.abs(off).max() < EQUAL:
        off = np.zeros_like(off)
    off = np.clip(off, -UNEQUAL, UNEQUAL)
    return 1 - off, 1 + off
