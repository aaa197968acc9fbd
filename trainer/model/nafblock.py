"""The NAF block: a convolutional block that gives the transformer a local prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NAFBlock(nn.Module):
    """Nonlinear-activation-free block (Chen et al., "Simple baselines for image restoration", ECCV 2022) on a grid.

    x + β ⊙ W₂ SCA(gate(conv(W₁ norm x))), then x + γ ⊙ W₄ gate(W₃ norm x): the gate multiplies one half of the channels
    by the other, SCA multiplies them by a linear map of their mean over the grid, conv is depthwise, 3x3. β and γ are
    zero at the start. 1x1 convolutions are Linear.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_space = nn.LayerNorm(width)
        self.rise_space = nn.Linear(width, 2 * width)
        self.conv = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.channels = nn.Linear(width, width)
        self.fall_space = nn.Linear(width, width)
        self.beta = nn.Parameter(torch.zeros(width))
        self.norm_mix = nn.LayerNorm(width)
        self.rise_mix = nn.Linear(width, 2 * width)
        self.fall_mix = nn.Linear(width, width)
        self.gamma = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, height: int) -> Tensor:
        """x: (B, N, D), N = height · width → the same shape."""
        y = self.rise_space(self.norm_space(x)).mT.unflatten(-1, (height, -1))  # (B, 2D, h, w)
        y = _gate(self.conv(y).flatten(2).mT)  # (B, N, D)
        x = x + self.beta * self.fall_space(y * self.channels(y.mean(1, keepdim=True)))
        return x + self.gamma * self.fall_mix(_gate(self.rise_mix(self.norm_mix(x))))


def _gate(x: Tensor) -> Tensor:
    """(…, 2D) → (…, D)."""
    one, two = x.chunk(2, dim=-1)
    return one * two
