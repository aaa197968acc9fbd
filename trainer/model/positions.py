"""Where a position lies on the grid: learned places that are added, and rotations that attention compares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

THETA = 100.0
"""Longest wavelength of the rotations over 2π, in positions: grids are tens to hundreds of positions wide."""
LEARNED = 16
"""Side of the grid on which places are learned; other grids interpolate it."""


class AbsolutePosition(nn.Module):
    """x + pe, pe learned on a grid of 16x16 over the whole picture, interpolated to any; zero at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(1, width, LEARNED, LEARNED))

    def forward(self, x: Tensor, height: int) -> Tensor:
        """x: (B, N, D), N = height · width → the same shape."""
        size = (height, x.shape[1] // height)
        places = F.interpolate(self.places, size=size, mode="bicubic", align_corners=False)
        return x + places.flatten(2).mT.to(x.dtype)


def rotary_2d(height: int, width: int, head_dim: int, device: torch.device) -> Tensor:
    """Angles as complex numbers, (height * width, head_dim / 2): rows turn the first half of pairs, columns the second.

    Su et al., "RoFormer", 2021, along each axis (Heo et al., "Rotary position embedding for vision transformer", 2024).
    """
    frequencies = THETA ** -(torch.arange(head_dim // 4, device=device, dtype=torch.float32) / (head_dim // 4))
    rows = torch.arange(height, device=device)[:, None, None] * frequencies  # (H, 1, d/4)
    columns = torch.arange(width, device=device)[None, :, None] * frequencies  # (1, W, d/4)
    shape = (height, width, head_dim // 4)
    angles = torch.cat([rows.expand(shape), columns.expand(shape)], dim=-1).reshape(height * width, head_dim // 2)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turns each pair of channels of x (B, heads, N, head_dim) by its position's angle. x is fp32."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotary).flatten(-2)
