"""What goes into the network and into its blocks, and what they hand up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.frozen.text import Prompts

THUMBNAIL = 32
"""Pixels along a side of the thumbnails by which the tone head sees a whole picture."""


def in_range(pixels: Tensor) -> Tensor:
    """uint8 as float32 in [-1, 1]; what is that already, as it is."""
    return pixels.float().div_(127.5).sub_(1) if pixels.dtype == torch.uint8 else pixels


class Whole(NamedTuple):
    """The whole picture at a glance, also where the network works on a part of it."""

    thumbnails: Tensor
    """(B, 9, THUMBNAIL, THUMBNAIL) in [-1, 1]: a, b and base, three channels each, means over what a pixel covers."""
    window: Tensor
    """(B, 4): where in it the network works: top, left, bottom and right in [0, 1]."""

    @classmethod
    def of(cls, pixels: Tensor) -> Whole:
        """The glance of whole pictures, (B, 3, 3, H, W), in [-1, 1] or uint8: a, b and base."""
        small = [F.adaptive_avg_pool2d(in_range(picture), THUMBNAIL) for picture in pixels.unbind(1)]
        thumbnails = torch.cat(small, dim=1)
        return cls(thumbnails, thumbnails.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(pixels), 4))

    def seen_at(self, places: Tensor) -> Whole:
        """The same, of a part: places, (B, 2, h, w), are down and across in the whole of each position's centre."""
        first, last = places[..., 0, 0], places[..., -1, -1]  # (B, 2)
        half = (last - first) / (2 * first.new_tensor([max(side - 1, 1) for side in places.shape[-2:]]))
        return self._replace(window=torch.cat([first - half, last + half], dim=1))


class Inputs(NamedTuple):
    """What the network is given: normalised latents (B, C, h, w) and the encoded instructions."""

    z_a: Tensor
    z_b: Tensor
    base: Tensor
    prompts: Prompts
    pixels: Tensor | None = None
    """(B, 3, 3, f h, f w) in [-1, 1]: a, b and base, f pixels a position, for a network that looks at them."""
    whole: Whole | None = None
    """For a network with a tone head."""


class Context(NamedTuple):
    """What a block sees besides the N = h · w positions that it works on."""

    c: Tensor
    """(B, D): the instruction as a whole, and the time."""
    text: Tensor
    """(B, L, D): its tokens."""
    mask: Tensor
    """(B, L) bool: which of them are there."""
    rotary: Tensor | None
    """(N, D / heads / 2): the angles of the positions."""
    height: int
    """h."""
    values: Tensor | None = None
    """What the block before handed on, of the kind that it likes; None in the first."""


class Term(NamedTuple):
    """An auxiliary term that a block hands up to the loss, such as how evenly a router loads its experts."""

    value: Tensor
    """() or (B,), float32."""
    weight: float = 1.0
    """By which it counts in the loss; 0 for what the log alone shows."""


Terms: TypeAlias = Mapping[str, Term]
"""By the names that the log shows."""
NONE: Terms = {}


class Passed(NamedTuple):
    """What a block returns."""

    x: Tensor
    """(B, N, D)."""
    terms: Terms = NONE
    values: Tensor | None = None
    """For the block after, which sees them in its context."""


class Estimate(NamedTuple):
    """What the network returns."""

    z: Tensor
    """(B, C, h, w) float32: of the target's normalised latent."""
    terms: Terms = NONE
    hints: Tensor | None = None
    """(B, K, h, w): what a network with a detail stage tells that."""
    picture: Tensor | None = None
    """(B, 3, f h, f w): the decoded estimate, where a decoder was given."""
    guess: Tensor | None = None
    """(B, 2, E, 2): of a network with an effect head (model/guess.py)."""


Decode: TypeAlias = Callable[[Tensor], Tensor]
"""A normalised latent, (B, C, h, w), to its picture, (B, 3, f h, f w)."""


class Network(Protocol):
    """The network as an objective sees it; z_t and t where it was built with time (FusionDiT.forward)."""

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate: ...


def added(blocks: Iterable[Terms]) -> Terms:
    """The terms of several blocks as one each: what counts in the loss is summed, what is only shown is averaged."""
    found: dict[str, list[Term]] = {}
    for terms in blocks:
        for name, term in terms.items():
            found.setdefault(name, []).append(term)
    total = {}
    for name, each in found.items():
        values = torch.stack(torch.broadcast_tensors(*(term.value for term in each)))
        total[name] = Term(values.sum(0) if each[0].weight else values.mean(0), each[0].weight)
    return total
