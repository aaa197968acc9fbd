"""Windows of samples, turned and mirrored: what a visit sees of a picture that is larger than that."""

from __future__ import annotations

from typing import NamedTuple

import torch
from numpy.random import Generator
from torch import Tensor

from trainer.model.inputs import Whole

SYMMETRIES = 8
"""Of a square; the first is to leave it as it is, and the last four swap rows and columns."""


class Windows(NamedTuple):
    """One window each of B pictures of one size, and how it is turned."""

    down: Tensor
    """(B, h): the rows, in falling order where it is mirrored."""
    across: Tensor
    """(B, w): the columns."""
    turns: Tensor
    """(B, 1): 0 … 7. Bits: 1 mirrors the rows, 2 the columns, 4 then swaps both."""
    size: tuple[int, int]
    """Height and width of the pictures."""

    @classmethod
    def draw(
        cls,
        generator: Generator,
        count: int,
        size: tuple[int, int],
        window: tuple[int, int],
        symmetries: bool,
        again: bool = True,
    ) -> Windows:
        """window: its height and width at most. Rows and columns are swapped of square windows alone. again: whether a
        symmetry may come twice before all have come. (Six arguments: what is drawn, and of what.)
        """

        def number(high: int) -> Tensor:
            return torch.from_numpy(generator.integers(high, size=count))

        height, width = (min(side, most) for side, most in zip(window, size, strict=True))
        down = number(size[0] - height + 1)[:, None] + torch.arange(height)
        across = number(size[1] - width + 1)[:, None] + torch.arange(width)
        ways = 1 if not symmetries else SYMMETRIES if height == width else SYMMETRIES // 2
        turns = (number(ways) if again else torch.from_numpy(generator.permutation(ways)).repeat(-(-count // ways)))[
            :count, None
        ]
        down = torch.where(turns % 2 == 1, down.flip(1), down)
        across = torch.where(turns // 2 % 2 == 1, across.flip(1), across)
        return cls(down, across, turns, size)

    def twice(self) -> Windows:
        """Each for two pictures, one after the other."""
        down, across, turns = (part.repeat_interleave(2, dim=0) for part in self[:3])
        return Windows(down, across, turns, self.size)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the pictures is left out."""
        return (self.down.shape[1], self.across.shape[1]) == self.size

    def to(self, device: torch.device) -> Windows:
        return Windows(self.down.to(device), self.across.to(device), self.turns.to(device), self.size)

    def cut(self, images: Tensor) -> Tensor:
        """(B, H, W, …) → (B, h, w, …)."""
        each = torch.arange(len(images), device=images.device)[:, None, None]
        found = images[each, self.down[:, :, None], self.across[:, None, :]]
        if found.shape[1] != found.shape[2]:
            return found
        swapped = self.turns.view(-1, *(1,) * (found.ndim - 1)) // 4 == 1
        return torch.where(swapped, found.transpose(1, 2), found)

    def glance(self, whole: Whole) -> Whole:
        """The glance of whole pictures as their windows are turned, and where in that the windows lie."""
        thumbnails, turns = whole.thumbnails, self.turns
        for axis, bit in ((2, 1), (3, 2), (None, 4)):
            changed = thumbnails.transpose(2, 3) if axis is None else thumbnails.flip(axis)
            thumbnails = torch.where((turns[..., None, None] & bit) > 0, changed, thumbnails)
        edges = []
        for places, bit, length in ((self.down, 1, self.size[0]), (self.across, 2, self.size[1])):
            low, high = places.amin(1).float() / length, (places.amax(1) + 1).float() / length
            mirrored = (turns[:, 0] & bit) > 0
            edges.append((torch.where(mirrored, 1 - high, low), torch.where(mirrored, 1 - low, high)))
        (top, bottom), (left, right) = edges
        window = torch.stack([top, left, bottom, right], dim=1)
        window = torch.where((turns & 4) > 0, window[:, [1, 0, 3, 2]], window)
        return Whole(thumbnails, window)
