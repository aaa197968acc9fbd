"""The network on large pictures, in overlapping tiles of its grid: memory and time are bounded by the tile."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.frozen.tiles import tiled
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Decode, Estimate, Inputs, Network, in_range
from trainer.stopping import go_on

SIDE = 128
"""Positions along a tile's side; a grid of more than SIDE² positions is worked on in tiles."""
OVERLAP = 24
"""Positions by which neighbouring tiles overlap, at least."""
LEAST_SIDE = 8
"""Positions along a tile's side, at least."""
EVEN = 2
"""Tiles begin on a multiple of this: an hourglass joins positions by twos."""


class InTiles:
    """A network that sees a large grid tile by tile; what is blended is the estimate. Small grids go through whole.

    The base, the latents, the instruction and the glance are those of the whole picture. Its pixels may be uint8: they
    become numbers tile by tile. The guess is the mean of the tiles'; terms of the blocks are not handed on.
    """

    def __init__(self, network: Network, side: int = SIDE, overlap: int = OVERLAP) -> None:
        if side < LEAST_SIDE:
            raise ValueError(f"tiles of {side} positions: at least {LEAST_SIDE}, better {SIDE}")
        self.network, self.side, self.overlap = network, side, min(overlap, side // 2)

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        grid = inputs.base.shape[-2:]
        if grid[0] * grid[1] <= self.side**2:
            go_on()
            return self.network(_seen(inputs), z_t, t, decode)
        rows, columns = ((torch.arange(count, device=inputs.base.device) + 0.5) / count for count in grid)
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(inputs.base), -1, -1, -1)
        beside = {"pixels": inputs.pixels, "state": z_t}
        there = {name: x for name, x in beside.items() if x is not None}

        guesses: list[Tensor] = []

        def work(z_a: Tensor, z_b: Tensor, base: Tensor, at: Tensor, *parts: Tensor) -> Tensor:
            part = dict(zip(there, parts, strict=True))
            whole = inputs.whole and inputs.whole.seen_at(at)
            seen = _seen(Inputs(z_a, z_b, base, inputs.prompts, part.get("pixels"), whole))
            found = self.network(seen, part.get("state"), t)
            guesses.extend([] if found.guess is None else [found.guess])
            return found.z if found.hints is None else torch.cat([found.z, found.hints.to(found.z.dtype)], dim=1)

        given = (inputs.z_a, inputs.z_b, inputs.base, place, *there.values())
        made = tiled(work, given, self.side, self.overlap, EVEN, (1, 1))
        channels = inputs.base.shape[1]
        z, hints = made[:, :channels], made[:, channels:] if made.shape[1] > channels else None
        picture = decode and self._in_detail(decode(z), inputs.pixels, hints)
        return Estimate(z, {}, hints, picture, torch.stack(guesses).mean(0) if guesses else None)

    def _in_detail(self, picture: Tensor, pixels: Tensor | None, hints: Tensor | None) -> Tensor:
        """A decoded picture (B, 3, f h, f w) after the detail stage of a network that has one."""
        if hints is None:
            return picture
        assert pixels is not None
        assert isinstance(self.network, FusionDiT)
        detail = self.network.detail
        assert detail is not None

        def work(hints: Tensor, picture: Tensor, *seen: Tensor) -> Tensor:
            return detail(picture, torch.stack(seen, dim=1), hints)

        given, factor = (hints, picture, *pixels.unbind(1)), picture.shape[-1] // hints.shape[-1]
        return tiled(work, given, self.side, self.overlap, 1, (factor, 1))


def _seen(inputs: Inputs) -> Inputs:
    """With pixels in the range that the network knows."""
    return inputs if inputs.pixels is None else inputs._replace(pixels=in_range(inputs.pixels))
