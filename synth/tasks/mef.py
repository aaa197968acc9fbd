"""Multi-exposure: one scene too dark and too bright."""

import numpy as np

from synth.images import exposure_fusion
from synth.images.pixels import Floats
from synth.scene.capture import Capture
from synth.targets import exposure
from synth.targets.activity import blur, signal, unit_luma
from synth.targets.emphasis import Brightness
from synth.targets.gradient import SEAM, Choices, Lumas, Pictures, share
from synth.tasks.base import Task


class MultiExposure(Task):
    """Two shots, one after the other, stops apart."""

    name = "mef"
    title = "multi-exposure (under and over)"
    colour = (230, 159, 0)
    capture = Capture({"a": "under", "b": "over"}, simultaneous=False, bracketed=True)
    words = {
        "a": ("in the under-exposed shot", "in the dark exposure"),
        "b": ("in the over-exposed shot", "in the bright exposure"),
    }
    targets = ("given", "gradient", "exposure", "network")
    screening = 0.05  # 1 / √λ: 4.5 pixels
    emphasis = Brightness()

    def choose(self, pictures: Pictures) -> Choices:
        """The image whose gradients have more energy above its noise, and the weights of exposure fusion."""
        a, b = pictures["a"], pictures["b"]
        signal_a, _ = signal(unit_luma(a))
        signal_b, _ = signal(unit_luma(b))
        stronger = blur(np.sign(signal_a - signal_b), SEAM)
        return Choices({"a": share(stronger), "b": share(-stronger)}, exposure_fusion.choose(a, b))

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """Exposure fusion and its luma; both leave the range."""
        return exposure.blended(pictures["a"], pictures["b"], lean)

    def in_range(self, fused: Floats, colours: Floats, pictures: Pictures, lumas: Lumas) -> Floats:
        """Drawn into it by a toe and a shoulder."""
        return exposure_fusion.into_range(fused, colours, pictures["a"], pictures["b"])
