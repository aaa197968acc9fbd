"""Regression: one pass, ẑ = f(z_a, z_b, base, p), and the error to the target's latent."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.inputs import Inputs, Network
from trainer.objectives.base import Losses, Noise, Objective, ObjectiveConfig

LEAST = {"root": 1e-6, "log": 1e-3}
"""What is added to an error before its root or its logarithm is taken, which is steep at nothing."""


class RegressionConfig(ObjectiveConfig):
    kind: Literal["regression"] = "regression"
    counts: Literal["square", "root", "log"] = "root"
    """How much a bad sample counts: by its mean square error, by the root of that, or by its logarithm. The first is
    ruled by haze and exposure; the last gives them up, and leaves alone what is nearly clean."""


class Regression(Objective[RegressionConfig]):
    """e = Σ_c w_c mean(ẑ - z_gt)², w_c = σ_c² / Σσ², σ the standard deviation of the raw latents; then √e, or log e.

    Latents are normalised, so e is the error in raw latents (for a KLT: in pixels) over the variance of those: 1 is
    that of predicting the mean picture, 0 is the target. One step is all that sampling takes.
    """

    Config = RegressionConfig

    def __init__(self, config: RegressionConfig, autoencoder: Autoencoder) -> None:
        super().__init__(config, autoencoder)
        variance = autoencoder.latent_std**2
        self.weight = (variance / variance.sum())[:, None, None]  # (C, 1, 1)

    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        estimate = model(self.prompted(batch.inputs, noise))
        error = (self.weight * (estimate.z - batch.target) ** 2).sum(1).mean((1, 2))  # (B,)
        return Losses.of(self._counted(error), estimate.terms)

    def _counted(self, error: Tensor) -> Tensor:
        match self.config.counts:
            case "root":
                return (error + LEAST["root"]).sqrt()
            case "log":
                return (error + LEAST["log"]).log()
            case "square":
                return error

    def sample(self, model: Network, inputs: Inputs, noise: Noise, steps: int | None) -> Tensor:
        return model(inputs).z
