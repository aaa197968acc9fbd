"""A new luma under the colours of an image."""

import cv2
import numpy as np

from synth.pixels import Bytes, Floats, luma, round_to_bytes

TINY = 1e-6


def recolour(fused: Floats, picture: Floats) -> Bytes:
    """Luma (H, W) in [0, 1] with the colour differences of a picture (H, W, 3) or (H, W) in [0, 1].

    Where a difference would leave the range of bytes, all three channels give way in proportion: the saturation falls,
    the hue and the luma stay. A grey picture gives a grey image.
    """
    if picture.ndim == 2:
        return round_to_bytes(fused * 255)
    own = luma(picture)
    channels = [channel - own for channel in cv2.split(picture)]
    above = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    below = np.minimum(np.minimum(channels[0], channels[1]), channels[2])
    room = np.minimum((1 - fused) / (above + np.float32(TINY)), fused / (np.float32(TINY) - below))
    room = np.minimum(room, 1) * np.float32(255)
    level = fused * np.float32(255)
    return round_to_bytes(cv2.merge([level + room * channel for channel in channels]))
