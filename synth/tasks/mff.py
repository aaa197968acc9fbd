"""Multi-focus: one scene, sharp near the camera and sharp far away."""

import cv2
import numpy as np

from synth.images.pixels import Floats, in_colour, luma
from synth.scene.capture import Capture
from synth.targets.activity import unit_luma
from synth.targets.focus import focus, gains
from synth.targets.gradient import Choices, Lumas, Pictures, share
from synth.tasks.base import Task


class MultiFocus(Task):
    """Two shots, one after the other, of equal exposure."""

    name = "mff"
    title = "multi-focus (near and far)"
    colour = (0, 158, 115)
    capture = Capture({"a": "near", "b": "far"}, simultaneous=False, focus={"a": "near", "b": "far"})
    words = {
        "a": ("in the near-focused shot", "in the shot focused on the foreground"),
        "b": ("in the far-focused shot", "in the shot focused on the background"),
    }
    screening = 0.05  # 1 / √λ: 4.5 pixels

    def choose(self, pictures: Pictures) -> Choices:
        """The image in focus, and what brings both to one exposure."""
        lean = focus(unit_luma(pictures["a"]), unit_luma(pictures["b"]))
        both = (pictures["a"], pictures["b"])
        gain_a, gain_b = gains(*(both if both[0].ndim == both[1].ndim else map(luma, both)))
        return Choices({"a": share(lean), "b": share(-lean)}, lean, gains={"a": gain_a, "b": gain_b})

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """The image in focus and its luma."""
        a, b = pictures["a"], pictures["b"]
        if a.ndim != b.ndim:
            a, b = in_colour(a), in_colour(b)
        by_channel = lean if a.ndim == 2 else cv2.merge([lean] * 3)
        levels = _mixed(a.astype(np.float32), b.astype(np.float32), by_channel)
        colours = np.clip(levels * np.float32(1 / 255), 0, 1)
        return colours, luma(colours)


def _mixed(x: Floats, y: Floats, lean: Floats) -> Floats:
    """x at a lean of 1, y at −1; with x and y swapped and the sign turned it is the same to the bit."""
    return (x + y) * np.float32(0.5) + lean * ((x - y) * np.float32(0.5))
