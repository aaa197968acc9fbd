"""A new luma under the colours of an image."""

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats, luma, round_to_bytes

TINY = 1e-6
DARK = 0.1  # luma below which colour is mostly noise, and is not made stronger by the full ratio
GAIN = (0.5, 1.25)  # of colour differences at most: what is lit by infrared keeps its paint, but noise no neon


def recolour(fused: Floats, picture: Floats) -> Bytes:
    """Luma (H, W) in [0, 1] with the colours of a picture (H, W, 3) or (H, W) in [0, 1].

    Colour differences grow and shrink with the luma, so that the saturation stays; where one would leave the range of
    bytes, all three give way in proportion. The hue stays, and so does the fused luma. A grey picture gives a grey
    image.
    """
    if picture.ndim == 2:
        return round_to_bytes(fused * 255)
    own = luma(picture)
    gain = np.clip((fused + np.float32(DARK)) / (np.maximum(own, 0) + np.float32(DARK)), *GAIN)
    channels = [channel - own for channel in cv2.split(picture)]
    above = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    below = np.minimum(np.minimum(channels[0], channels[1]), channels[2])
    room = np.minimum((1 - fused) / (above + np.float32(TINY)), fused / (np.float32(TINY) - below))
    scale = np.minimum(room, gain) * np.float32(255)
    level = fused * np.float32(255)
    return round_to_bytes(cv2.merge([level + scale * channel for channel in channels]))
