"""Large pictures in overlapping tiles: bounded memory, and no seam where they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainer.stopping import go_on

DEAD = 0.25
"""Share of an overlap, at each of its ends, in which the tile that ends there has no say: it knows least there."""


def tiled(
    work: Callable[..., Tensor], given: Sequence[Tensor], tile: int, overlap: int, grid: int, scale: tuple[int, int]
) -> Tensor:
    """`work` on tiles of what is given, put together by weights that sum to one at every place.

    given: (…, H, W) each; all but the first may be so many times as fine, such as the pixels of latent positions, and
    their tiles are too. tile, overlap: sides in units of the first; tiles begin on multiples of `grid`, as tile is.
    scale: (p, q) where `work` brings a side of n to ⌈n p / q⌉, such as (1, 8) of an encoder and (8, 1) of a decoder.
    The result lies on the CPU or the device where work's does, and is the largest thing held beside one tile.
    Raises Stopped between tiles where the work is to end (stopping.unless).
    """
    first = given[0]
    rows = list(spans(first.shape[-2], tile, overlap, grid))
    columns = list(spans(first.shape[-1], tile, overlap, grid))
    finer = [x.shape[-1] // first.shape[-1] for x in given]
    out: Tensor | None = None
    for (top, bottom), down in zip(rows, _weights(rows, scale), strict=True):
        for (left, right), across in zip(columns, _weights(columns, scale), strict=True):
            go_on()
            cut = (x[..., top * n : bottom * n, left * n : right * n] for x, n in zip(given, finer, strict=True))
            part = work(*cut)
            if out is None:
                height, width = (-(-side * scale[0] // scale[1]) for side in first.shape[-2:])
                out = part.new_zeros((*part.shape[:2], height, width))
            y, z = top * scale[0] // scale[1], left * scale[0] // scale[1]
            weight = down.to(part)[:, None] * across.to(part)
            out[..., y : y + part.shape[-2], z : z + part.shape[-1]] += part * weight
    assert out is not None
    return out


def spans(side: int, tile: int, overlap: int, grid: int) -> list[tuple[int, int]]:
    """Where tiles begin and end along a side: as few as cover it, of one length of at most `tile`, spread evenly."""
    if side <= tile:
        return [(0, side)]
    tile -= (tile - side) % grid  # so that the last one begins on the grid too
    overlap += (side - overlap) % grid
    count = -(-(side - overlap) // (tile - overlap))
    length = -(-(side + (count - 1) * overlap) // count)
    length += (side - length) % grid  # at most the tile
    last = side - length
    starts = [i * last // (count - 1) // grid * grid for i in range(count)]
    return [(start, start + length) for start in starts]


def _weights(spans: list[tuple[int, int]], scale: tuple[int, int]) -> list[Tensor]:
    """One weight a place of each span, in units of the result: ramps across the overlaps, which sum to one."""
    p, q = scale
    weights = []
    for i, (start, end) in enumerate(spans):
        place = torch.arange(start * p // q, -(-end * p // q), dtype=torch.float64) + 0.5
        weight = torch.ones_like(place)
        if i:
            weight *= _ramp(place, start * p / q, spans[i - 1][1] * p / q)
        if i + 1 < len(spans):
            weight *= 1 - _ramp(place, spans[i + 1][0] * p / q, end * p / q)
        weights.append(weight)
    return weights


def _ramp(place: Tensor, start: float, end: float) -> Tensor:
    """0 before the overlap (start, end), 1 after it, linear in its inner part."""
    length = end - start
    return ((place - start - DEAD * length) / ((1 - 2 * DEAD) * length)).clamp(0, 1)
