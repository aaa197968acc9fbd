"""Visible and infrared: a colour image, and what is warm in it."""

import numpy as np

from synth.images.pixels import Bytes, Floats
from synth.scene.capture import INFRARED, Capture
from synth.targets.activity import SIGMA, blur, signal, unit_luma
from synth.targets.emphasis import Warmth
from synth.targets.gradient import SEAM, Choices, Lumas, Pictures, share
from synth.targets.thermal import lift, welcome
from synth.tasks.base import Task

TIE = 1e-9  # energy in favour of the visible image where neither shows anything


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

        Infrared adds to the intensity where it rises by more than its noise. Gradients fall short of a sum of 1 where
        the infrared that was chosen hardly rises above its noise, or the visible image is near white.
        """
        luma_a, luma_b = unit_luma(pictures["a"]), unit_luma(pictures["b"])
        signal_a, _ = signal(luma_a)
        signal_b, noise_b = signal(luma_b, thermal=True)
        visible = blur((signal_a + np.float32(TIE) >= signal_b).astype(np.float32), SEAM)
        trust = np.minimum(signal_b / (noise_b + np.float32(TIE)), 1)  # 1 from twice the noise on
        broad_a, broad_b = blur(luma_a, SIGMA), blur(luma_b, SIGMA)
        rises = lift(broad_a, broad_b) > np.sqrt(noise_b)
        lean = np.where(rises, np.float32(-1), np.float32(1))
        return Choices({"a": visible, "b": (1 - visible) * trust * welcome(broad_a)}, lean)

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """The visible image, and its luma with what infrared adds."""
        colours = pictures["a"].astype(np.float32) * np.float32(1 / 255)
        return colours, lumas["a"] + share(-lean) * lift(lumas["a"], lumas["b"])

    def colours(self, pictures: Pictures) -> Bytes:
        return pictures["a"]
