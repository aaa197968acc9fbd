"""Regression: one pass, ẑ = f(z_a, z_b, base, p), and the squared error to the target's latent."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.inputs import Inputs, Network
from trainer.objectives.base import Losses, Noise, Objective, ObjectiveConfig


class RegressionConfig(ObjectiveConfig):
    kind: Literal["regression"] = "regression"


class Regression(Objective[RegressionConfig]):
    """‖ẑ - z_gt‖² with channel c weighted by w_c = σ_c² / Σσ², σ the standard deviation of the raw latents.

    Latents are normalised, so this is the error in raw latents (for a KLT: in pixels) over the variance of those:
    1 is the loss of predicting the mean picture, 0 is the target. It draws nothing, and one step is all it takes.
    """

    Config = RegressionConfig

    def __init__(self, config: RegressionConfig, autoencoder: Autoencoder) -> None:
        super().__init__(config, autoencoder)
        variance = autoencoder.latent_std**2
        self.weight = (variance / variance.sum())[:, None, None]  # (C, 1, 1)

    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        estimate = model(batch.inputs)
        error = estimate.z - batch.target
        return Losses.of((self.weight * error**2).sum(1).mean((1, 2)), estimate.terms)

    def sample(self, model: Network, inputs: Inputs, noise: Noise, steps: int | None) -> Tensor:
        return model(inputs).z
