"""What moves the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from trainer.config import TrainingConfig
from trainer.model.moe import Router
from trainer.training.sharding import WholeMuon

HIDDEN = ("blocks", "grid", "tone")
"""Parts of the network whose matrices Muon takes; what lies at its ends (embeddings, the output) is AdamW's."""


class Optimizers:
    """Several that step as one, by a common rate. After each step routers are levelled."""

    def __init__(self, model: nn.Module, named: Mapping[str, torch.optim.Optimizer]) -> None:
        self.model, self.named = model, named

    def step(self, rate: float, grad_clip: float) -> Tensor | None:
        """Clips the gradient to a norm, steps by it, and forgets it; nothing moves where it is not finite.

        Returns the norm before, (), or None where that is not finite.
        """
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        nn.utils.clip_grads_with_norm_(self.model.parameters(), grad_clip, norm)
        finite = bool(norm.isfinite())
        if finite:
            for optimizer in self.named.values():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
        for module in self.model.modules():
            if isinstance(module, Router):
                module.rebalance()
        for optimizer in self.named.values():
            optimizer.zero_grad(set_to_none=True)
        return norm if finite else None


def build_optimizers(model: nn.Module, config: TrainingConfig) -> Optimizers:
    """AdamW for all, or Muon for the matrices inside and AdamW for the rest. Biases, norms and the like do not decay.

    Muon (Jordan, 2024): the gradient's momentum made orthogonal. Its rate is that of AdamW (Liu et al., "Muon is
    scalable for LLM training", 2025, equation 4). It takes matrices: the experts, which are stacked, and the routers,
    whose rows are few, are left to AdamW.
    """
    learning = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [p for name, p in learning.items() if config.optimizer == "muon" and _is_for_muon(name, p)]
    taken = set(map(id, matrices))
    rest = [parameter for parameter in learning.values() if id(parameter) not in taken]
    device = next(iter(learning.values())).device
    adamw = torch.optim.AdamW(
        _groups(rest, config.weight_decay), lr=config.lr, betas=(0.9, 0.99), fused=device.type in ("cpu", "cuda")
    )
    named: dict[str, torch.optim.Optimizer] = {"optimizer": adamw}
    if matrices:
        muon = WholeMuon if any(isinstance(matrix, DTensor) for matrix in matrices) else torch.optim.Muon
        named["muon"] = muon(matrices, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
    return Optimizers(model, named)


def _is_for_muon(name: str, parameter: Tensor) -> bool:
    return parameter.ndim == 2 and name.split(".")[0] in HIDDEN and "router" not in name


def _groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels, which decay, and vectors, which do not."""
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for parameter in parameters:
        (matrices if parameter.ndim > 1 else vectors).append(parameter)
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
