"""On which grid the layers work: that of the latents, or one of half its resolution between convolutional blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.nafblock import NAFBlock
from trainer.model.recompute import Recomputing

Layers: TypeAlias = Callable[[Tensor, int], Tensor]
"""(B, N, D) and the height of its grid → the same shape."""


class Flat(nn.Module):
    """The layers at the latent grid, as in the paper."""

    def forward(self, x: Tensor, height: int, layers: Layers) -> Tensor:
        return layers(x, height)


class Hourglass(Recomputing):
    """NAF blocks at the latent grid, `depth` before and `depth` after, the layers at half its resolution between them.

    2x2 positions of `fine` channels become one of `width` by a linear map, and back; what was before is added.
    """

    def __init__(self, fine: int, width: int, depth: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(NAFBlock(fine) for _ in range(depth))
        self.merge = nn.Linear(4 * fine, width)
        self.split = nn.Linear(width, 4 * fine)
        self.after = nn.ModuleList(NAFBlock(fine) for _ in range(depth))

    def forward(self, x: Tensor, height: int, layers: Layers) -> Tensor:
        """x: (B, N, fine), N = height · width, any sides → the same shape."""
        for block in self.before:
            x = self.again(block, x, height)
        grid = x.mT.unflatten(-1, (height, -1))  # (B, fine, h, w)
        down, right = height % 2, grid.shape[-1] % 2
        even = F.pad(grid, (0, right, 0, down), mode="replicate") if down or right else grid
        merged = self.merge(F.pixel_unshuffle(even, 2).flatten(2).mT)  # (B, N / 4, width)
        half = even.shape[-2] // 2
        split = self.split(layers(merged, half)).mT.unflatten(-1, (half, -1))
        x = x + F.pixel_shuffle(split, 2)[..., :height, : grid.shape[-1]].flatten(2).mT
        for block in self.after:
            x = self.again(block, x, height)
        return x
