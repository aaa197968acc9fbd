"""What infrared adds to the light of the visible image, so that a night stays a night."""

import cv2
import numpy as np

from synth.images.pixels import Floats

AROUND = 0.2  # σ of the surroundings, as a share of √(width × height)
STEPS = 3  # samples for each σ: the surroundings are found on a small picture
BRIGHT = 0.75  # visible luma from which on infrared's detail is held back: there is no room above it
HELD = 0.5  # of that detail, at white


def lift(visible: Floats, infrared: Floats) -> Floats:
    """Luma (H, W) ≥ 0 that infrared adds: its height above its own surroundings, and no more than up to itself.

    At night a warm street is grey in infrared all over, and the brighter of both images would be a grey day. What tells
    something is how a body stands out from what is around it; that comes on top of the light that there is, as a second
    projector's would (screen: 1 − (1 − v)(1 − x)), so that what is bright enough to be seen keeps its colour.
    """
    above = np.maximum(infrared - np.maximum(visible, surroundings(infrared)), 0)
    return above * (1 - visible)


def welcome(visible: Floats) -> Floats:
    """The share of infrared's gradients, (H, W), that the visible luma leaves room for.

    A bright sky is cold: infrared has noise and stretched clouds there, and its rim runs against the visible one.
    """
    return 1 - np.float32(HELD / (1 - BRIGHT)) * np.clip(visible - np.float32(BRIGHT), 0, 1 - BRIGHT)


def surroundings(plane: Floats) -> Floats:
    """The mean around each pixel of (H, W)."""
    height, width = plane.shape
    sigma = AROUND * float(np.sqrt(height * width))
    step = max(1.0, sigma / STEPS)
    size = (max(1, round(width / step)), max(1, round(height / step)))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
