"""Activation checkpointing: what the backward pass needs is found again instead of kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

T = TypeVar("T")


class Recomputing(nn.Module):
    """A module that runs parts of its forward through `again`; FusionDiT.enable_gradient_checkpointing turns it on."""

    gradient_checkpointing = False
    """Set from outside, with what checkpoints, by ModelMixin of diffusers."""
    _gradient_checkpointing_func: Callable[..., Any]

    def again(self, work: Callable[..., T], *given: Any) -> T:
        """work(*given); where it is on, only what is given is kept, and the work is done again in the backward pass."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return self._gradient_checkpointing_func(work, *given)
        return work(*given)
