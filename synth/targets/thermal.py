"""What infrared adds to the light of the visible image, so that a night stays a night, and what it says of white."""

from functools import reduce

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats
from synth.targets.activity import SIGMA, SPARSE, blur

AROUND = 0.2  # σ of the surroundings, as a share of √(width × height)
STEPS = 3  # samples for each σ: the surroundings are found on a small picture
WARM = 0.75  # quantile of infrared from which on a body is warm: it stands out, and is nobody's surroundings
BRIGHT = 0.75  # visible luma from which on infrared's detail is held back before a cold sky: there is no room above it
HELD = 0.5  # of that detail, at white
WHITE = (0.8, 0.95)  # of the darkest channel, from which on it tells less, and from which on nothing
COLD = (0.5, 0.75)  # of the mean infrared where the visible image is not white: a sky below, no sky above
TOP = 0.25  # of the height: where a sky is looked for
SEEN = (0.02, 0.1)  # shares of the top, from which on there may be a sky, and from which on there is one
BODY = 0.05  # σ over which the warmest around is smoothed, as a share of √(width × height)
DEEPEST = 0.5  # how far infrared takes white down at most, roughly


def lift(visible: Floats, infrared: Floats) -> Floats:
    """Luma (H, W) ≥ 0 that infrared adds: its height above its own surroundings, and no more than up to itself.

    At night a warm street is grey in infrared all over, and the brighter of both images would be a grey day. What tells
    something is how a body stands out from what is around it; that comes on top of the light that there is, as a second
    projector's would (screen: 1 − (1 − v)(1 − x)), so that what is bright enough to be seen keeps its colour.
    """
    warm = _quantile(infrared, WARM)
    above = np.maximum(infrared - np.maximum(visible, surroundings(np.minimum(infrared, warm))), 0)
    return above * (1 - visible)


def shade(visible: Floats, infrared: Floats) -> Floats:
    """Luma (H, W) ≥ 0 that infrared takes from white: how far it lies below the warmest near it.

    A white visible image leaves no room for a warm body to be brighter, so what is around it gets darker. A lamp that
    is as warm as what is around it stays white. No pixel gets darker than it is in infrared.
    """
    below = np.maximum(_warmest(infrared) - infrared, 0)
    below /= 1 + below * np.float32(1 / DEEPEST)
    return np.minimum(below, np.maximum(visible - infrared, 0))


def white(visible: Bytes) -> Floats:
    """How little the visible image tells, (H, W) in [0, 1], for no channel has room: a red lamp is not white."""
    lowest = visible if visible.ndim == 2 else reduce(cv2.min, cv2.split(visible))
    if lowest.max() <= 255 * WHITE[0]:
        return np.zeros(lowest.shape, np.float32)
    return _ramp(blur(lowest.astype(np.float32) * np.float32(1 / 255), SIGMA), *WHITE)


def sky(visible: Floats, infrared: Floats) -> Floats:
    """How far each place is as cold as a bright sky, (H, W) in [0, 1]: beside what the visible image shows of ground.

    A sky reaches up. Where nothing at the top is bright and cold, a car behind headlights is not held for one.
    """
    bright, thermal = (plane[::SPARSE, ::SPARSE] for plane in (visible, infrared))
    ground = float(np.mean(thermal, where=bright < BRIGHT)) if (bright < BRIGHT).any() else 1.0
    low, high = COLD[0] * ground, COLD[1] * ground
    top = np.s_[: max(1, round(TOP * len(bright)))]
    seen = float(np.mean((bright[top] >= BRIGHT) & (thermal[top] < high)))
    if seen <= SEEN[0]:
        return np.zeros_like(infrared)
    return (1 - _ramp(infrared, low, high)) * np.float32(np.interp(seen, SEEN, (0, 1)))


def welcome(visible: Floats, cold: Floats) -> Floats:
    """The share of infrared's gradients, (H, W), that the visible luma leaves room for.

    A bright sky is cold: infrared has noise and stretched clouds there, and its rim runs against the visible one.
    """
    if not cold.any():
        return np.ones_like(visible)
    return 1 - np.float32(HELD) * cold * _ramp(visible, BRIGHT, 1.0)


def surroundings(plane: Floats) -> Floats:
    """The mean around each pixel of (H, W)."""
    small, sigma = _small(plane, AROUND)
    return _large(cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), plane)


def _warmest(plane: Floats) -> Floats:
    """The largest around each pixel of (H, W), smoothed."""
    small, sigma = _small(plane, BODY)
    side = 2 * round(2 * sigma) + 1
    largest = cv2.dilate(small, np.ones((side, side), np.uint8))
    return _large(cv2.GaussianBlur(largest, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), plane)


def _small(plane: Floats, share: float) -> tuple[Floats, float]:
    """(H, W) on a grid of `STEPS` samples for each σ, which is a share of √(H · W); and σ in samples."""
    height, width = plane.shape
    sigma = share * float(np.sqrt(height * width))
    step = max(1.0, sigma / STEPS)
    size = (max(1, round(width / step)), max(1, round(height / step)))
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA), sigma / step


def _large(small: Floats, like: Floats) -> Floats:
    return cv2.resize(small, like.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _ramp(plane: Floats, low: float, high: float) -> Floats:
    """From 0 at low to 1 at high."""
    return np.clip((plane - np.float32(low)) * np.float32(1 / max(high - low, 1e-6)), 0, 1)


def _quantile(plane: Floats, share: float) -> float:
    values = plane[::SPARSE, ::SPARSE].ravel()
    rank = int(share * (values.size - 1))
    return float(np.partition(values, rank)[rank])
