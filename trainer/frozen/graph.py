"""The closed-form start and the glance at a picture as one graph of plain operations for pictures of any size.

What `fusion` does by FFTs, complex numbers and a pyramid whose height follows the picture, other programs than torch
do not all have. Here the same sums are products with matrices that the graph makes of the picture's size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainer.frozen.fusion import LAMBDA, divergence, fused_about, larger, lumas_of, smaller, worth

LEVELS = 10
"""Of the pyramid, which `fusion.blended` builds until a side is under 4: enough for a shorter side of 3,072 pixels."""


def fuse_base(a: Tensor, b: Tensor) -> Tensor:
    """`fusion.fuse_base` of a picture in one piece: (B, 3, H, W) in [-1, 1] each → the same."""
    lumas = lumas_of(a, b)
    return fused_about(a, b, _blended(lumas, worth(lumas)), _solved)


def thumbnails(picture: Tensor, side: int) -> Tensor:
    """(B, C, H, W) → (B, C, side, side): means over what each pixel covers, as adaptive_avg_pool2d has them."""
    rows, columns = (_means(count, side, picture) for count in picture.shape[-2:])
    return rows @ picture @ columns.mT


def _means(count: int, side: int, like: Tensor) -> Tensor:
    """(side, count): a row the mean over ⌊i count / side⌋ to ⌈(i + 1) count / side⌉."""
    places, i = torch.arange(count, device=like.device), torch.arange(side, device=like.device)[:, None]
    first, end = i * count // side, ((i + 1) * count + side - 1) // side
    covered = ((places >= first) & (places < end)).to(like.dtype)
    return covered / covered.sum(1, keepdim=True)


def _solved(gx: Tensor, gy: Tensor, u: Tensor) -> Tensor:
    """`screened_poisson`, its cosine transforms as products with their matrices."""
    (down, rows), (across, columns) = (_cosines(count, u) for count in u.shape[-2:])
    spectrum = down @ (LAMBDA * u - divergence(gx, gy)) @ across.mT
    return down.mT @ (spectrum / (LAMBDA + rows[:, None] + columns)) @ across


def _cosines(count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The orthonormal DCT-II of that length, (count, count), and the eigenvalues of -Δ, (count,)."""
    k = torch.arange(count, device=like.device)
    many = torch.full_like(k, count)
    half = math.pi / (2 * many.to(like.dtype))
    turns = k[:, None] * (2 * k + 1) % (4 * many)  # whole numbers, so that angles are exact for large ones too
    scale = torch.where(k == 0, 0.5, 1.0) * (4 / math.pi) * half
    return scale.sqrt()[:, None] * torch.cos(turns * half), 2 - 2 * torch.cos(2 * k * half)


def _blended(luma: Tensor, weight: Tensor) -> Tensor:
    """`fusion.blended` with a fixed number of levels, of which those do not count that it would not have."""
    levels = [(luma, weight)]
    for _ in range(LEVELS):
        levels.append((smaller(levels[-1][0]), smaller(levels[-1][1])))
    luma, weight = levels.pop()
    result = (weight * luma).sum(0)
    for here, share in reversed(levels):
        height, width = (torch.scalar_tensor(side) for side in here.shape[-2:])
        up = larger(torch.cat([luma, result[None]]), here.shape[-2:])
        detail = (share * (here - up[:-1])).sum(0) + up[-1]
        result = torch.where((height >= 4) & (width >= 4), detail, (share * here).sum(0))
        luma = here
    return result
