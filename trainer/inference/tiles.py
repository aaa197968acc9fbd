"""The network on large pictures, in overlapping tiles of its grid: memory and time are bounded by the tile."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.frozen.tiles import tiled
from trainer.model.inputs import Estimate, Inputs, Network

SIDE = 128
"""Positions along a tile's side; a grid of more than SIDE² positions is worked on in tiles."""
OVERLAP = 24
"""Positions by which neighbouring tiles overlap, at least."""
EVEN = 2
"""Tiles begin on a multiple of this: an hourglass joins positions by twos."""


class InTiles:
    """A network that sees a large grid tile by tile; what is blended is the estimate. Small grids go through whole.

    The base, the latents and the instruction are those of the whole picture. Terms of the blocks are not handed on.
    """

    def __init__(self, network: Network, side: int = SIDE, overlap: int = OVERLAP) -> None:
        self.network, self.side, self.overlap = network, side, overlap

    def __call__(self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None) -> Estimate:
        height, width = inputs.base.shape[-2:]
        if height * width <= self.side**2:
            return self.network(inputs, z_t, t)
        pixels, factor = inputs.pixels, 1
        grids = [inputs.z_a, inputs.z_b, inputs.base, *([] if z_t is None else [z_t])]
        if pixels is not None:
            factor = pixels.shape[-1] // width
            grids.append(F.pixel_unshuffle(pixels.flatten(1, 2), factor))  # (B, 9 f², h, w)
        channels = [grid.shape[1] for grid in grids]
        rows, columns = ((torch.arange(count, device=inputs.base.device) + 0.5) / count for count in (height, width))
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(inputs.base), -1, -1, -1)

        def work(part: Tensor) -> Tensor:
            *cut, at = part.split([*channels, 2], dim=1)
            whole = inputs.whole and inputs.whole.seen_at(at)
            seen = None if pixels is None else F.pixel_shuffle(cut.pop(), factor).unflatten(1, (3, 3))
            state = cut.pop() if z_t is not None else None
            z_a, z_b, base = cut
            return self.network(Inputs(z_a, z_b, base, inputs.prompts, seen, whole), state, t).z

        down, right = height % EVEN, width % EVEN
        x = F.pad(torch.cat([*grids, place], dim=1), (0, right, 0, down), mode="replicate")
        return Estimate(tiled(work, x, self.side, self.overlap, EVEN, (1, 1))[..., :height, :width])
