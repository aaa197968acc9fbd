"""Regression: one pass, ẑ = f(z_a, z_b, base, p), and the squared error to the target's latent."""

from __future__ import annotations

from torch import Tensor

from trainer.data.batches import Batch, Inputs
from trainer.model.dit import FusionDiT


class Regression:
    """‖ẑ - z_gt‖² with channel c weighted by w_c = σ_c² / Σσ², σ the standard deviation of the raw latents.

    Latents are normalised, so this is the error in raw latents (for a KLT: in pixels) over the variance of those:
    1 is the loss of predicting the mean picture, 0 is the target.
    """

    def __init__(self, latent_std: Tensor) -> None:
        self.weight = (latent_std**2 / (latent_std**2).sum())[:, None, None]  # (C, 1, 1)

    def loss(self, model: FusionDiT, batch: Batch) -> Tensor:
        """The loss of each sample, (B,) float32."""
        error = self.sample(model, batch.inputs) - batch.target
        return (self.weight * error**2).sum(1).mean((1, 2))

    @staticmethod
    def sample(model: FusionDiT, inputs: Inputs) -> Tensor:
        """The estimate of the target's normalised latent, (B, C, h, w) float32."""
        return model(inputs.z_a, inputs.z_b, inputs.base, *inputs.prompts)
