"""The tone head: brightness is one matter of the whole picture, so a glance at the whole corrects it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.block import Block
from trainer.model.config import NetworkConfig
from trainer.model.inputs import THUMBNAIL, Context, Whole
from trainer.model.modulation import normalise
from trainer.model.positions import rotary_2d

GRID = 4
"""Tokens along a side of the whole picture: each is THUMBNAIL / GRID pixels of its thumbnails wide."""
DEPTH = 2
"""Layers among the tokens."""
SCALE = 0.1
"""By which the corrections count. One number moves the whole picture here, so its gradient is ten to twenty times that
of all other weights, and would rule the norm by which all are clipped."""


class Glance(NamedTuple):
    """What a look at the whole gives the network."""

    c: Tensor
    """(B, D): the instruction as a whole, and the picture."""
    words: Tensor
    """(B, L', D): the words, and the tokens."""
    mask: Tensor
    """(B, L') bool: which of them are there."""
    corrections: Tensor
    """(B, 4C, h, w), or (): what is added to α, β, γ and δ."""


class Tone(nn.Module):
    """Thumbnails of a, b and base become GRID² tokens, which look at each other and at the words, as positions do.

    The layers see them beside the words; their mean joins c; and from it come gains and offsets of the whole picture,
    and from each token a coarse field of them, bilinear between the tokens. Corrections are zero at the start.
    """

    def __init__(self, config: NetworkConfig, latent_channels: int) -> None:
        super().__init__()
        plain = config.dense().model_copy(update={"naf": False, "fine": 0})
        self.embed = nn.Linear(9 * (THUMBNAIL // GRID) ** 2, config.width)
        self.blocks = nn.ModuleList(Block(plain) for _ in range(DEPTH))
        self.summary = nn.Linear(config.width, config.width)
        self.all_over = nn.Linear(config.width, 4 * latent_channels)
        self.field = nn.Linear(config.width, 4 * latent_channels)
        self.head_dim = config.width // config.heads
        for last in (self.all_over, self.field):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, said: Glance, whole: Whole | None, size: tuple[int, int]) -> Glance:
        """said: c, words and mask of the instruction. size: (h, w). Raises ValueError where there is no whole."""
        if whole is None:
            raise ValueError("the network was built with tone: it needs the whole picture's thumbnails")
        x = self.embed(F.pixel_unshuffle(whole.thumbnails, THUMBNAIL // GRID).flatten(2).mT)  # (B, GRID², D)
        context = Context(said.c, said.words, said.mask, rotary_2d(GRID, GRID, self.head_dim, x.device), GRID)
        for block in self.blocks:
            x, _, values = block(x, context)
            context = context._replace(values=values)
        x = normalise(x)
        mean = x.mean(1)  # (B, D)
        field = self.field(x).float().mT.unflatten(-1, (GRID, GRID))
        shifts = within(field, whole.window, size) + self.all_over(mean).float()[..., None, None]
        seen = said.mask.new_ones(x.shape[:2])
        words, mask = torch.cat([said.words, x.to(said.words.dtype)], dim=1), torch.cat([said.mask, seen], dim=1)
        return Glance(said.c + self.summary(mean), words, mask, SCALE * shifts)


class Blind(nn.Module):
    """In place of the tone head where there is none."""

    def forward(self, said: Glance, whole: Whole | None, size: tuple[int, int]) -> Glance:
        return said


def within(field: Tensor, window: Tensor, size: tuple[int, int]) -> Tensor:
    """A field over the whole picture at the centres of h x w positions of a window of it, by bilinear interpolation.

    field: (B, K, GRID, GRID). window: (B, 4), top, left, bottom and right in [0, 1]. Returns (B, K, h, w).
    """
    rows, columns = (
        (first[:, None] + (last - first)[:, None] * _centres(count, field)) * 2 - 1  # (B, count) in [-1, 1]
        for first, last, count in (
            (window[:, 0], window[:, 2], size[0]),
            (window[:, 1], window[:, 3], size[1]),
        )
    )
    shape = (len(field), *size)
    at = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
    return F.grid_sample(field, at, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(count: int, like: Tensor) -> Tensor:
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) / count
