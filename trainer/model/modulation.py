"""How the conditioning vector reaches a block: adaptive layer norm."""

from __future__ import annotations

import math
from typing import Generic, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Around(NamedTuple):
    """Of a block: what scales and shifts the input of its attention and of its MLP, and gates what they add."""

    attention_scale: Tensor
    attention_shift: Tensor
    attention_gate: Tensor
    mlp_scale: Tensor
    mlp_shift: Tensor
    mlp_gate: Tensor


class Before(NamedTuple):
    """Of the last layer: what scales and shifts its input."""

    scale: Tensor
    shift: Tensor


Vectors = TypeVar("Vectors", bound=tuple[Tensor, ...])


class Modulation(nn.Module, Generic[Vectors]):
    """AdaLN (Peebles and Xie, "Scalable diffusion models with transformers", 2023): vectors of c, zero at the start.

    The projection is factorised into two thin matrices of `rank` (LoRA-AdaLN). c: (B, condition) → the `vectors`, a
    NamedTuple, each (B, 1, width).
    """

    def __init__(self, condition: int, width: int, vectors: type[Vectors], rank: int) -> None:
        super().__init__()
        self.vectors = vectors
        self.count = len(vectors._fields)  # type: ignore[attr-defined]
        self.down = nn.Linear(condition, rank, bias=False)
        self.up = nn.Linear(rank, self.count * width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, c: Tensor) -> Vectors:
        return self.vectors(*self.up(self.down(F.silu(c)))[:, None].chunk(self.count, dim=-1))


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer norm of x (B, N, D) without weights of its own, then scale and shift, (B, 1, D) each."""
    return normalise(x) * (1 + scale) + shift


def normalise(x: Tensor) -> Tensor:
    """Layer norm of (B, N, D) without weights."""
    return F.layer_norm(x, x.shape[-1:])


def time_features(t: Tensor, width: int) -> Tensor:
    """t in [0, 1], (B,) → sines and cosines of geometric frequencies, (B, width), in fp32."""
    frequencies = torch.exp(-math.log(10000.0) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
