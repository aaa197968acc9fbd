"""The lattice that a network's grid leaves in smooth places, found by what repeats with the grid, and taken out.

A network that works on positions of several pixels errs alike at like places of neighbouring positions, by a level or
two: a sky shows squares. What a picture is above its mean over one period is cut into cells of a period; what
neighbouring cells have in common is lattice as far as it stands out of what they have not, since things in a picture do
not repeat with the grid. Cells of much contrast have little say, and are left alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.model.inputs import in_range

CELLS = 2.0
"""Cells over which a lattice is alike: the deviation of a Gaussian."""
FAINT = 4 / 127.5
"""Contrast of a cell, root mean square, at which it has a quarter of its say; pictures are in [-1, 1]."""
LEAST = 2.0**-23
"""Of a square that divides: (0.04 levels)², which is itself in fp16 too, as a file of half weights holds it."""
BAND = 512
"""Rows that are worked on at a time, so that a large picture takes little more memory than itself."""


@torch.no_grad()
def without_lattice(picture: Tensor, period: int, base: Tensor | None = None) -> Tensor:
    """A picture (B, C, H, W) in [-1, 1], of at least one period a side, without what repeats every `period` pixels from
    its first; it is changed in place. Rows and columns that are no whole cell count as if the last went on.

    base: the closed-form fusion of the same inputs, (B, C, H, W), uint8 or in [-1, 1]: what repeats in it too is in the
    scene, or in its damage, and stays.
    """
    height, width = picture.shape[-2:]
    halo, step = period * (2 + int(2 * CELLS)), BAND // period * period
    before = picture[..., :0, :]
    for top in range(0, height, step):
        bottom = min(top + step, height)
        above, below = before.shape[-2], min(halo, height - bottom)
        band = torch.cat([before, picture[..., top : bottom + below, :]], dim=-2)
        before = band[..., above + bottom - top - halo :, :][..., :halo, :].clone() if below else before
        room = (0, -width % period, 0, -band.shape[-2] % period)
        beneath = None
        if base is not None:
            beneath = F.pad(in_range(base[..., top - above : bottom + below, :width]), room, mode="replicate")
        found = of_network(F.pad(band, room, mode="replicate"), period, beneath)
        picture[..., top:bottom, :] -= found[..., above : above + bottom - top, :width]
    return picture


def of_network(picture: Tensor, period: int, base: Tensor | None) -> Tensor:
    """The lattice of a picture (B, C, H, W) whose sides are multiples of an even period, less what the base has of it,
    cell by cell: of the same shape.
    """
    found = lattice(picture, period)
    if base is not None:
        beneath = lattice(base, period)
        alike = (found * beneath).mean(dim=1, keepdim=True)
        found = found - (alike / (beneath.square().mean(dim=1, keepdim=True) + LEAST)).clamp(0, 1) * beneath
    return F.pixel_shuffle(found, period)


def lattice(picture: Tensor, period: int) -> Tensor:
    """What repeats in a picture (B, C, H, W), in cells: (B, C period², H / period, W / period), as pixel_unshuffle."""
    mean = picture.new_ones(period + 1) / period  # over one period, about each pixel
    mean[0] = mean[-1] = 0.5 / period
    reach = period // 2
    smooth = _filtered(_continued(picture, reach), mean)[..., reach:-reach, reach:-reach]
    cells = F.pixel_unshuffle(picture - smooth, period)  # (B, C period², P, Q)
    contrast = cells.square().mean(dim=1, keepdim=True)
    say = (1 + contrast / FAINT**2) ** -2
    away = torch.arange(-int(2 * CELLS), int(2 * CELLS) + 1, dtype=picture.dtype, device=picture.device)
    near = torch.exp(-0.5 * (away / CELLS) ** 2)
    near = near / near.sum()

    said = _filtered(say, near)
    common = _filtered(cells * say, near) / said
    common = common - common.mean(dim=1, keepdim=True)
    strength = common.square().mean(dim=1, keepdim=True)
    rest = (_filtered(contrast * say, near) / said - strength).clamp(min=0)
    count = said**2 / (_filtered(say**2, near) * near.square().sum() ** 2)  # of cells that speak
    share = (1 - rest / (count * strength + LEAST)).clamp(min=0)  # of it that chance does not explain
    return common * share * (2 * say).clamp(max=1)


def _filtered(x: Tensor, kernel: Tensor) -> Tensor:
    """(B, C, H, W) filtered by one kernel of odd length along rows and columns; beyond x there is nothing."""
    reach, channels = len(kernel) // 2, x.shape[1]
    across = kernel.expand(channels, 1, 1, -1)
    x = F.conv2d(x, across, padding=(0, reach), groups=channels)
    return F.conv2d(x, across.transpose(2, 3), padding=(reach, 0), groups=channels)


def _continued(x: Tensor, reach: int) -> Tensor:
    """(B, C, H + 2 reach, W + 2 reach): mirrored at its borders and turned about their values, so that slopes go on."""
    for dim in (2, 3):
        size = x.shape[dim]
        first, last = x.narrow(dim, 0, 1), x.narrow(dim, size - 1, 1)
        before = 2 * first - x.narrow(dim, 1, reach).flip(dim)
        after = 2 * last - x.narrow(dim, size - 1 - reach, reach).flip(dim)
        x = torch.cat([before, x, after], dim=dim)
    return x
