"""The detail stage: over the decoded picture, it gives back what the autoencoder loses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.config import DetailConfig
from trainer.model.inputs import in_range
from trainer.model.nafblock import NAFBlock

HINTS = 16
"""Channels by which the positions of the latent grid tell the stage what they found."""
STEP = 2
"""Pixels along the side of a place at which it works."""
PICTURES = 4
"""What it sees: the decoded picture, a, b and base, three channels each."""


class Detail(nn.Module):
    """x + net(x, a, b, base, hints) at half the picture's resolution, by NAF blocks; zero at the start."""

    def __init__(self, config: DetailConfig, fine: int) -> None:
        super().__init__()
        self.hint = nn.Linear(fine, HINTS)
        self.embed = nn.Linear(PICTURES * 3 * STEP**2 + HINTS, config.width)
        self.blocks = nn.ModuleList(NAFBlock(config.width) for _ in range(config.blocks))
        self.out = nn.Linear(config.width, 3 * STEP**2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def hints(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Positions (B, N, D') of a grid of that size → (B, HINTS, h, w)."""
        return self.hint(x).mT.unflatten(-1, size)

    def forward(self, picture: Tensor, pixels: Tensor, hints: Tensor) -> Tensor:
        """picture: (B, 3, H, W), decoded; pixels: (B, 3, 3, H, W), a, b and base, in [-1, 1] or uint8; hints:
        (B, HINTS, h, w), H = f h, W = f w, f even → (B, 3, H, W).
        """
        seen = torch.cat([picture, in_range(pixels).flatten(1, 2)], dim=1)
        places = F.pixel_unshuffle(seen, STEP)
        told = F.interpolate(hints.to(places.dtype), places.shape[-2:], mode="bilinear", align_corners=False)
        height = places.shape[-2]
        x = self.embed(torch.cat([places, told], dim=1).flatten(2).mT)
        for block in self.blocks:
            x = block(x, height)
        return picture + F.pixel_shuffle(self.out(x).float().mT.unflatten(-1, (height, -1)), STEP)
