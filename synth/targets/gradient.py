"""Gradient-domain fusion in closed form: the best gradient at each place, put together by a screened Poisson equation.

What is decided is decided on the clean pair (`choose`) and is a value of its own; `fuse` applies it to that pair, or to
the same pair with some effects on it. There noise, streaks and flakes would else win the choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, Floats, round_to_bytes
from synth.scene.capture import ImageName
from synth.targets.activity import unit_luma
from synth.targets.colour import recolour
from synth.targets.poisson import solve

VERSION = 5  # changes with the pixels, and stands in the record
DETAIL_MOST = 0.3  # how far, roughly, gradients may lift luma in [0, 1] over the intensity: beyond it they are halos
SEAM = 0.7  # pixels over which a choice of gradients goes from one image to the other

Pictures = Mapping[ImageName, Bytes]
Lumas = Mapping[ImageName, Floats]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Choices:
    """What is decided on the clean pair. Planes are (H, W) float32.

    gradients: in [0, 1], the share of each image's gradients; their sum may fall below 1, where those that were chosen
        hardly rise above their noise, or there is no room for them.
    lean: in [−1, 1], which image the intensity comes from: the last at −1, the first at 1.
    padding: by image, where its borders are none of the picture, (H, W) bool: what is there is not looked at.
    gains: what a picture's channels, (C,), are multiplied by before all else, where shots of one exposure differ in it.
    """

    gradients: Mapping[ImageName, Floats]
    lean: Floats
    padding: Mapping[ImageName, Mask] = field(default_factory=dict)
    gains: Mapping[ImageName, Floats] = field(default_factory=dict)


class Rules(Protocol):
    """How the pairs of a task are fused; each task has its own (synth/tasks/).

    screening: λ, the weight of the intensity against the gradients: what is broader than 1 / √λ pixels follows it.
    """

    @property
    def screening(self) -> float: ...

    def choose(self, pictures: Pictures) -> Choices:
        """The choices of a clean pair, each picture (H, W) or (H, W, 3) of one size."""

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        """The picture that gives its colours, (H, W) or (H, W, 3), and the intensity u, (H, W), about in [0, 1].

        lumas: of the pictures, (H, W) in [0, 1].
        """

    def in_range(self, fused: Floats, colours: Floats, pictures: Pictures, lumas: Lumas) -> Floats:
        """The fused luma, (H, W), brought into [0, 1]; colours: the picture that gives them."""

    def colours(self, pictures: Pictures) -> Bytes:
        """The picture whose colours a luma gets that was made elsewhere, (H, W) or (H, W, 3)."""


def share(lean: Floats) -> Floats:
    """From [−1, 1] to [0, 1]."""
    return (lean + np.float32(1)) * np.float32(0.5)


def fuse(rules: Rules, pictures: Pictures, choices: Choices) -> Bytes:
    """The fused image, (H, W, 3) where what gives its colours has any, else (H, W).

    Its luma F minimises ‖∇F − g‖² + λ‖F − u‖²: g are the chosen gradients, u is the intensity. It stays near u.
    """
    pictures = _of_one_exposure(pictures, choices.gains)
    lumas = {name: filled(unit_luma(picture), choices.padding.get(name)) for name, picture in pictures.items()}
    picture, intensity = rules.intensity(pictures, lumas, choices.lean)
    steps = {name: (np.diff(luma, axis=1), np.diff(luma, axis=0)) for name, luma in lumas.items()}
    dx = _chosen({name: step for name, (step, _) in steps.items()}, choices, np.s_[:, :-1], np.s_[:, 1:])
    dy = _chosen({name: step for name, (_, step) in steps.items()}, choices, np.s_[:-1, :], np.s_[1:, :])
    detail = solve(dx, dy, intensity, rules.screening) - intensity
    detail /= np.sqrt(1 + np.square(detail * np.float32(1 / DETAIL_MOST)))
    return recolour(rules.in_range(intensity + detail, picture, pictures, lumas), picture)


def filled(luma: Floats, padding: Mask | None) -> Floats:
    """A luma, (H, W), with its mean in its padding, so that nothing stands out from that."""
    if padding is None or not padding.any():
        return luma
    return np.where(padding, luma.mean(where=~padding), luma)


def _of_one_exposure(pictures: Pictures, gains: Mapping[ImageName, Floats]) -> Pictures:
    """The pictures times their gains, within the range that all of them have."""
    if all((gain == 1).all() for gain in gains.values()):
        return pictures
    low, high = min(int(x.min()) for x in pictures.values()), max(int(x.max()) for x in pictures.values())
    scaled = {name: picture.astype(np.float32) * gains[name].astype(np.float32) for name, picture in pictures.items()}
    return {name: np.clip(round_to_bytes(picture), low, high) for name, picture in scaled.items()}


def _chosen(steps: Mapping[ImageName, Floats], choices: Choices, here: tuple, there: tuple) -> Floats:
    """Differences between neighbours by the mean of both neighbours' choices."""
    taken = (
        (choices.gradients[name][here] + choices.gradients[name][there]) * np.float32(0.5) * step
        for name, step in steps.items()
    )
    return reduce(np.add, taken)


def clipped(fused: Floats, lumas: Sequence[Floats]) -> Floats:
    """To the darkest and the brightest luma of all sources."""
    return np.clip(fused, min(float(luma.min()) for luma in lumas), max(float(luma.max()) for luma in lumas))
