"""Visible and infrared: a colour image, and what is warm in it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.borders import content
from synth.images.pixels import Bytes, Floats
from synth.scene.capture import INFRARED, Capture
from synth.targets.activity import SIGMA, blur, signal, unit_luma
from synth.targets.emphasis import Warmth
from synth.targets.gradient import SEAM, Choices, Lumas, Pictures, filled
from synth.targets.thermal import lift, shade, sky, welcome, white
from synth.tasks.base import Task

TIE = 1e-9  # energy in favour of the visible image where neither shows anything
SEEN = 8  # pixels from which an edge is seen in the energy of gradients: that of a border decides nothing
RIM = 2  # pixels around a sky that are its rim


class VisibleInfrared(Task):
    """One shot of two cameras. The visible image gives light and colour, infrared what stands out by its warmth."""

    name = "vif"
    title = "visible and infrared"
    colour = (0, 114, 178)
    capture = Capture({"a": "visible", "b": INFRARED}, simultaneous=True)
    words = {
        "a": ("in the visible image", "in the RGB picture", "in the colour photo"),
        "b": ("in the infrared image", "in the thermal picture"),
    }
    screening = 0.015  # 1 / √λ: 8 pixels
    emphasis = Warmth()

    def choose(self, pictures: Pictures) -> Choices:
        """The image whose gradients have more energy above its noise.

        Gradients fall short of a sum of 1 where the infrared that was chosen hardly rises above its noise, or lies
        before a bright sky. The lean is 1 where the intensity is the visible image's, 0 where infrared adds to it, for
        it rises by more than its noise, and −1 where the visible image is white and no sky.
        """
        padding = ~content(pictures["b"])
        luma_a, luma_b = unit_luma(pictures["a"]), filled(unit_luma(pictures["b"]), padding)
        signal_a, _ = signal(luma_a)
        signal_b, noise_b = signal(luma_b, thermal=True)
        chosen = (signal_a + np.float32(TIE) >= signal_b) | _around(padding, SEEN)
        visible = blur(chosen.astype(np.float32), SEAM)
        trust = np.minimum(signal_b / (noise_b + np.float32(TIE)), 1)  # 1 from twice the noise on
        broad_a, broad_b = blur(luma_a, SIGMA), blur(luma_b, SIGMA)
        cold = _around(sky(broad_a, broad_b), RIM)
        lifted = (lift(broad_a, broad_b) > np.sqrt(noise_b)) & ~padding
        lean = np.where(lifted, np.float32(0), np.float32(1))
        lean -= (1 + lean) * np.where(padding, 0, white(pictures["a"]) * (1 - cold))
        shares: Lumas = {"a": visible, "b": (1 - visible) * trust * welcome(broad_a, cold)}
        return Choices(shares, lean, {"b": padding})

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """The visible image, and its luma with what infrared adds or takes."""
        colours = pictures["a"].astype(np.float32) * np.float32(1 / 255)
        a, b = lumas["a"], lumas["b"]
        added = np.clip(1 - lean, 0, 1) * lift(a, b)
        if (lean < 0).any():
            added -= np.clip(-lean, 0, 1) * shade(a, b)
        return colours, a + added

    def colours(self, pictures: Pictures) -> Bytes:
        return pictures["a"]


def _around(plane: NDArray, pixels: int) -> NDArray:
    """The largest within so many pixels of each of (H, W)."""
    if not plane.any():
        return plane
    size = 2 * pixels + 1
    return cv2.dilate(plane.astype(np.float32), np.ones((size, size), np.uint8)).astype(plane.dtype)
