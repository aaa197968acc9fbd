"""Regression: one pass, ẑ = f(z_a, z_b, base, p), and the error to the target's latent."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.inputs import Decode, Estimate, Inputs, Network
from trainer.objectives.base import CouplesConfig, Losses, Noise, Objective, less_common
from trainer.objectives.pictures import PictureStage, picture_errors

LEAST = {"root": 1e-6, "log": 1e-3}
"""What is added to an error before its root, or another power, or its logarithm is taken, which is steep at nothing."""


class RegressionConfig(CouplesConfig):
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

    For couples the same is counted once more, by the weight `difference`, of estimates less the error of their mates.
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
        late = stage is not None and batch.share >= stage.start
        estimate = model(self.prompted(batch.inputs, noise), decode=self.decoded if late else None)
        picture = target = None
        if estimate.picture is not None:
            assert batch.crops is not None
            target = batch.crops.target
            picture = estimate.picture[..., : target.shape[-2], : target.shape[-1]]
        parts = self._errors(estimate.z, batch.target, picture, target)
        total = sum(parts.values(), torch.zeros_like(parts["latent"]))
        shown = dict(parts) if picture is not None else {}
        if batch.couples and self.config.difference:
            z = less_common(estimate.z, batch.target)
            picture = None if picture is None or target is None else less_common(picture, target)
            apart = sum(self._errors(z, batch.target, picture, target).values(), torch.zeros_like(total))
            shown["difference"] = self.config.difference * apart
            total = total + shown["difference"]
        return Losses.of(total, self.terms(estimate, batch), shown)

    def _errors(self, z: Tensor, z_gt: Tensor, picture: Tensor | None, target: Tensor | None) -> dict[str, Tensor]:
        """What the error of latents, and of pictures where they are given, is the sum of, (B,) each."""
        on_latents = self._counted((self.weight * (z - z_gt) ** 2).sum(1).mean((1, 2)))
        stage = self.config.pictures
        if stage is None or picture is None or target is None:
            return {"latent": on_latents}
        parts = picture_errors(picture, target, stage)
        return {**parts, "picture": self._counted(parts["picture"]), "latent": stage.latent * on_latents}

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
