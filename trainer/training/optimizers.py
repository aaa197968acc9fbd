"""Optimizers and schedules."""

from __future__ import annotations

import math

import torch
from torch import nn

from trainer.config import TrainingConfig
from trainer.model.moe import Router


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW; weights of one dimension (biases, norms) are not decayed. After each step routers are levelled."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.99))

    def level(*_: object) -> None:
        for module in model.modules():
            if isinstance(module, Router):
                module.rebalance()

    optimizer.register_step_post_hook(level)
    return optimizer


def learning_rate(seen: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine to zero, by samples seen at the end of the step."""
    warmup = config.warmup * config.samples
    if seen < warmup:
        return config.lr * seen / warmup
    progress = (seen - warmup) / (config.samples - warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * progress))
