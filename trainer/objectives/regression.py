"""Regression: one pass, ẑ = f(z_a, z_b, base, p), and the error to the target's latent."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.inputs import Decode, Estimate, Inputs, Network
from trainer.objectives.base import Losses, Noise, Objective, ObjectiveConfig
from trainer.objectives.pictures import PictureStage, picture_errors

LEAST = {"root": 1e-6, "log": 1e-3}
"""What is added to an error before its root, or another power, or its logarithm is taken, which is steep at nothing."""


class RegressionConfig(ObjectiveConfig):
    kind: Literal["regression"] = "regression"
    counts: Literal["square", "root", "log"] | Annotated[float, Field(gt=0, lt=1)] = "root"
    """How much a bad sample counts: by its mean square error, by the root of that or another power (a number below 1),
    or by its logarithm. The first is ruled by haze and exposure; the last gives them up, and leaves alone what is
    nearly clean."""
    pictures: PictureStage | None = None
    """Decoded pictures in the loss, late in the run; none: latents alone."""


class Regression(Objective[RegressionConfig]):
    """e = Σ_c w_c mean(ẑ - z_gt)², w_c = σ_c² / Σσ², σ the standard deviation of the raw latents; then √e, or log e.

    Latents are normalised, so e is the error in raw latents (for a KLT: in pixels) over the variance of those: 1 is
    that of predicting the mean picture, 0 is the target. From the start of its `pictures` on the loss is of the decoded
    estimate: its mean squared error, counted in the same way, what else the stage weighs, and the loss on latents
    beside it. One step is all that sampling takes.
    """

    Config = RegressionConfig

    def __init__(self, config: RegressionConfig, autoencoder: Autoencoder) -> None:
        super().__init__(config, autoencoder)
        variance = autoencoder.latent_std**2
        self.weight = (variance / variance.sum())[:, None, None]  # (C, 1, 1)

    @property
    def needs_pictures(self) -> bool:
        return self.config.pictures is not None

    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        stage = self.config.pictures
        shown = stage is not None and batch.share >= stage.start
        estimate = model(self.prompted(batch.inputs, noise), decode=self.decoded if shown else None)
        terms = self.terms(estimate, batch)
        error = (self.weight * (estimate.z - batch.target) ** 2).sum(1).mean((1, 2))  # (B,)
        on_latents = self._counted(error)
        if stage is None or estimate.picture is None:
            return Losses.of(on_latents, terms)
        assert batch.crops is not None
        target = batch.crops.target
        parts = picture_errors(estimate.picture[..., : target.shape[-2], : target.shape[-1]], target, stage)
        parts = {**parts, "picture": self._counted(parts["picture"]), "latent": stage.latent * on_latents}
        return Losses.of(sum(parts.values(), torch.zeros_like(error)), terms, parts)

    def _counted(self, error: Tensor) -> Tensor:
        match self.config.counts:
            case "log":
                return (error + LEAST["log"]).log()
            case "square":
                return error
            case "root":
                return (error + LEAST["root"]).sqrt()
            case power:
                return (error + LEAST["root"]) ** power

    def sample(
        self, model: Network, inputs: Inputs, noise: Noise, steps: int | None, decode: Decode | None = None
    ) -> Estimate:
        return model(inputs, decode=decode)
