"""The averaged weights: what is evaluated and shipped."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from trainer.training.sharding import here

RAMP = 0.1
Model = TypeVar("Model", bound=nn.Module)


class EMA(Generic[Model]):
    """Exponential moving average of a model's parameters with a half-life in samples; its buffers are the model's own.

    θ̄ ← β θ̄ + (1 - β) θ,  β = 0.5^(batch / half-life), the half-life at most a tenth of the samples seen, so that
    the first steps are soon forgotten (Karras et al., "Elucidating the design space", 2022, appendix F.2).
    Buffers, such as a count or a router's bias, are states and no weights: they are copied. What does not learn is not
    averaged, and shared with the model.
    """

    def __init__(self, model: Model, half_life: int) -> None:
        frozen = {id(parameter): parameter for parameter in model.parameters() if not parameter.requires_grad}
        self.model = copy.deepcopy(model, frozen).eval().requires_grad_(False)
        self.half_life = half_life

    def beta(self, seen: int, batch: int) -> float:
        """What is left of the average after such a step."""
        return 0.5 ** (batch / min(self.half_life, RAMP * seen))

    @torch.no_grad()
    def update(self, model: Model, seen: int, batch: int) -> None:
        """After a step on `batch` samples, the last of which was number `seen`."""
        beta = self.beta(seen, batch)
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        learning = [(here(ours), here(theirs)) for ours, theirs in pairs if theirs.requires_grad]
        torch._foreach_lerp_([ours for ours, _ in learning], [theirs for _, theirs in learning], 1 - beta)
        for ours, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)


class PowerEMA(EMA[Model]):
    """An average whose profile is a power of the samples seen: θ̄(t) ∝ ∫₀ᵗ τ^γ θ(τ) dτ. It forgets at the pace of the
    run, and from snapshots of two such averages any third can be put together afterwards (training/posthoc.py).

    std: σ_rel, the width of the profile as a share of t; β = (1 - batch / t)^(γ + 1) (Karras et al., "Analyzing and
    improving the training dynamics of diffusion models", CVPR 2024, section 3.1).
    """

    def __init__(self, model: Model, std: float) -> None:
        super().__init__(model, 1)
        self.exponent = exponent_of(std)

    def beta(self, seen: int, batch: int) -> float:
        return (1 - batch / seen) ** (self.exponent + 1)


def exponent_of(std: float) -> float:
    """γ of the profile τ^γ on [0, 1] whose standard deviation is `std`: σ² = (γ + 1) / ((γ + 2)² (γ + 3)).

    Up to 0.288, the flat profile's, which is as wide as one can be that does not fall.
    """
    inverse = std**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())
