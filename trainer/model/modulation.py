"""How the conditioning vector reaches a block: adaptive layer norm."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Modulation(nn.Module):
    """AdaLN (Peebles and Xie, "Scalable diffusion models with transformers", 2023): vectors of c, zero at the start.

    c: (B, D) → `count` vectors (B, 1, D).
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.linear = nn.Linear(width, count * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, c: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(c))[:, None].chunk(self.count, dim=-1)


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x: (B, N, D), already normalised."""
    return x * (1 + scale) + shift


def time_features(t: Tensor, width: int) -> Tensor:
    """t in [0, 1], (B,) → sines and cosines of geometric frequencies, (B, width), in fp32."""
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
