"""The averaged weights: what is evaluated and shipped."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

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
        self._parameters = _learning(model, self.model)
        self._buffers = list(self.model.buffers())

    @torch.no_grad()
    def update(self, model: Model, seen: int, batch: int) -> None:
        """After a step on `batch` samples, the last of which was number `seen`."""
        beta = 0.5 ** (batch / min(self.half_life, RAMP * seen))
        torch._foreach_lerp_(self._parameters, _learning(model, model), 1 - beta)
        for ours, theirs in zip(self._buffers, model.buffers(), strict=True):
            ours.copy_(theirs)


def _learning(model: nn.Module, of: nn.Module) -> list[Tensor]:
    """The parameters of a copy of the model that learn in the model, in its order."""
    pairs = zip(model.parameters(), of.parameters(), strict=True)
    return [theirs for ours, theirs in pairs if ours.requires_grad]
