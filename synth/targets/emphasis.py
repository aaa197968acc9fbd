"""What an instruction may ask of a gradient target besides: more of one image or of another look, by one number."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from synth.images.pixels import Bytes, Floats
from synth.scene.capture import ImageName
from synth.targets.gradient import Choices, Lumas, Pictures, Rules

WARMER, HELD = 1.5, 0.75  # of what infrared adds: how much more of it there is at 1, how much less at −1
DETAILED = 0.4  # how much more of infrared's gradients there is at 1
ROOM = 0.9  # of the way to white or black that may be taken
BRIGHTER = 0.7  # of the exponent of levels, in powers of 2, at 1


class Emphasis(ABC):
    """names: of what is stressed by an amount below 0 and above it, as phrases.yaml has them. An amount lies in [−1, 1]
    and is 0 where no instruction speaks of it; then nothing here is called.
    """

    names: ClassVar[tuple[str, str]]

    def choices(self, choices: Choices, amount: float) -> Choices:
        """What was decided on the clean pair, moved by an amount."""
        return choices

    @abstractmethod
    def intensity(self, intensity: Floats, lumas: Lumas, amount: float) -> Floats:
        """The intensity, (H, W), about in [0, 1], moved by an amount. lumas: of the pictures."""


class Warmth(Emphasis):
    """Of a visible and an infrared image: the look of the visible one, or what is warm."""

    names = ("visible", "warm")

    def choices(self, choices: Choices, amount: float) -> Choices:
        shares = choices.gradients
        thermal = shares["b"] * np.float32(1 + (DETAILED if amount > 0 else HELD) * amount)
        visible = shares["a"] + np.maximum(shares["b"] - thermal, 0)
        gradients: Mapping[ImageName, Floats] = {"a": visible, "b": thermal}
        return replace(choices, gradients=gradients)

    def intensity(self, intensity: Floats, lumas: Lumas, amount: float) -> Floats:
        """What the intensity has over the visible luma, times a gain, within the room that there is."""
        visible = lumas["a"]
        added = (intensity - visible) * np.float32(1 + (WARMER if amount > 0 else HELD) * amount)
        most = np.maximum(np.float32(ROOM) * (1 - visible), intensity - visible)
        return visible + np.clip(added, np.minimum(-np.float32(ROOM) * visible, intensity - visible), most)


class Brightness(Emphasis):
    """Of two exposures: a darker, calmer picture, or a brighter one."""

    names = ("dark", "bright")

    def intensity(self, intensity: Floats, lumas: Lumas, amount: float) -> Floats:
        """u^γ between black and white, which stay, with γ = 2^(−0.7 amount)."""
        inside = np.clip(intensity, 0, 1)
        return np.power(inside, np.float32(2 ** (-BRIGHTER * amount))) + (intensity - inside)


@dataclass(frozen=True)
class Stressed:
    """The rules of a task with some emphasis."""

    rules: Rules
    emphasis: Emphasis
    amount: float

    @property
    def screening(self) -> float:
        return self.rules.screening

    def choose(self, pictures: Pictures) -> Choices:
        return self.emphasis.choices(self.rules.choose(pictures), self.amount)

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        picture, intensity = self.rules.intensity(pictures, lumas, lean)
        return picture, self.emphasis.intensity(intensity, lumas, self.amount)

    def in_range(self, fused: Floats, colours: Floats, pictures: Pictures, lumas: Lumas) -> Floats:
        return self.rules.in_range(fused, colours, pictures, lumas)

    def colours(self, pictures: Pictures) -> Bytes:
        return self.rules.colours(pictures)
