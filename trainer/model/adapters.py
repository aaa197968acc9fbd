"""What a flow adds to a frozen regression: thin matrices beside its linear maps, where it stands, an output of its own.

All of it is zero at the start, so that the flow's estimate is the regression's until it is trained.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.modulation import time_features
from trainer.model.moe import Router

Part = TypeVar("Part", bound=nn.Module)


class Adapted(nn.Linear):
    """y = W x + b + B A x, A: (rank, in), B: (out, rank), zero at the start (Hu et al., "LoRA", 2021).

    W and b are those of a Linear, under their names, and the very same tensors. A begins as a Linear's weight does.
    """

    lora_a: nn.Parameter
    lora_b: nn.Parameter

    @classmethod
    def of(cls, linear: nn.Linear, rank: int) -> Adapted:
        adapted = copy.copy(linear)
        adapted._parameters = dict(linear._parameters)
        adapted.__class__ = cls
        assert isinstance(adapted, cls)
        width = linear.in_features
        adapted.lora_a = nn.Parameter(linear.weight.new_empty(rank, width).uniform_(-(width**-0.5), width**-0.5))
        adapted.lora_b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        return adapted

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + F.linear(F.linear(x, self.lora_a), self.lora_b)


class State(nn.Module):
    """Where a flow stands: z_t joins the latents where they enter, and t the instruction as a whole.

    silent: zero at the start.
    """

    def __init__(self, latent_channels: int, fine: int, width: int, silent: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(latent_channels, fine, bias=False)
        self.width, last = width, nn.Linear(width, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
        if silent:
            for parameter in (self.embed.weight, last.weight, last.bias):
                nn.init.zeros_(parameter)

    def forward(self, z_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """z_t: (B, C, h, w), t: (B,) → what is added to the N = h · w positions, (B, N, D'), and to c, (B, D)."""
        return self.embed(z_t.flatten(2).mT), self.time(time_features(t, self.width))


class OwnHead(nn.Module):
    """Changes of α, β, γ and δ beside the frozen output's; and ε, by which the estimate leans on the state.

        ẑ = y + ε (z_t - y),  y = base + α z_a + β z_b + γ base + δ

    On the line from x₀ to the target ẑ = x₀ + (z_t - x₀) / t, which thin matrices could not copy in all its detail.
    """

    def __init__(self, fine: int, latent_channels: int) -> None:
        super().__init__()
        self.out = nn.Linear(fine, 5 * latent_channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """x: (B, N, D'), N positions of a grid of that size → changes (B, 4C, h, w), and ε (B, C, h, w)."""
        channels = self.out.out_features // 5
        changes, lean = self.out(x).float().mT.unflatten(-1, size).split([4 * channels, channels], dim=1)
        return changes, lean


def adapt(part: nn.Module, rank: int) -> None:
    """Puts adapters beside all linear maps below a part, but routers: what they choose stays. Stacked experts have
    none."""
    for name, child in part.named_children():
        if isinstance(child, Router):
            continue
        if isinstance(child, nn.Linear):
            setattr(part, name, Adapted.of(child, rank))
        adapt(child, rank)


@torch.compiler.disable
def without_adapters(part: Part) -> Part:
    """The same part without adapters: another shell around the very same parameters and buffers."""
    shell = copy.copy(part)
    if isinstance(shell, Adapted):
        shell.__class__ = nn.Linear  # type: ignore[assignment]
        shell._parameters = {name: part._parameters[name] for name in ("weight", "bias")}
    shell._modules = {name: child and without_adapters(child) for name, child in part._modules.items()}
    return shell
