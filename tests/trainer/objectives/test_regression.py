"""The regression: what its loss counts."""

from __future__ import annotations

import torch

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import Prompts
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs
from trainer.objectives import Noise, make_objective
from trainer.objectives.regression import RegressionConfig


def test_the_loss_is_the_unexplained_share_of_the_raw_variance() -> None:
    std = torch.tensor([4.0, 1.0])
    model = FusionDiT(latent_channels=2, width=16, depth=1, heads=1, text_dim=8)
    zero = torch.zeros(3, 2, 8, 8)
    target = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    prompts = Prompts(torch.zeros(3, 4, 8), torch.ones(3, 4, dtype=torch.bool), torch.zeros(3, 8))
    autoencoder = Autoencoder(KLTAutoencoder(2))
    autoencoder.latent_std = std
    objective = make_objective(RegressionConfig(), autoencoder)
    batch = Batch(Inputs(zero, zero, zero, prompts), target, ("x", "y", "z"), range(3))
    losses = objective.loss(model, batch, Noise(0, batch.positions))  # ẑ = base = 0
    raw = target * std[:, None, None]
    assert losses.shown().keys() == {"loss"}
    torch.testing.assert_close(losses.per_sample, (raw**2).sum(1).mean((1, 2)) / (std**2).sum())
