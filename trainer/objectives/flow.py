"""Flow matching: from a start x₀ to the target along straight lines, by a network that guesses where each line ends."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.inputs import Inputs, Network
from trainer.objectives.base import Losses, Noise, Objective, ObjectiveConfig

ENDING = 0.05
"""Least 1 - t by which the loss divides a velocity."""


class FlowConfig(ObjectiveConfig):
    kind: Literal["flow"] = "flow"
    start: Literal["noise", "base"] = "base"
    """x₀: normal noise (the paper), or the base plus a little of it: a bridge, which is short."""
    sigma: float = Field(default=0.05, ge=0, le=1)
    """Of the noise on the base, in standard deviations of a latent."""
    times: Literal["uniform", "logit-normal"] = "uniform"
    """How t is drawn in training: evenly, or with its logit normal (Esser et al., "Scaling rectified flow
    transformers", 2024), which dwells in the middle."""
    shift: float = Field(default=1.0, gt=0, le=100)
    """t → t / (t + shift (1 - t)), in training and in sampling: above 1 it dwells near the start, as large pictures
    want (Esser et al., section 5.3.2)."""
    most_weight: float = Field(default=16.0, ge=1, le=400)
    """At most so much does 1 / (1 - t)², which the velocity's error is of the estimate's, count in the loss."""
    steps: int = Field(default=4, ge=1, le=1000)
    """Of the sampler."""
    solver: Literal["euler", "heun"] = "euler"
    """heun looks twice a step, but for the last."""


class Flow(Objective[FlowConfig]):
    """E ‖v̂ - (z_gt - x₀)‖², z_t = (1 - t) x₀ + t z_gt, v̂ = (ẑ - z_t) / (1 - t), in the loss over ENDING at least.

    Lipman et al., "Flow matching for generative modeling", 2023. The network estimates the end of the line, ẑ, which
    lies among pictures, as the velocity does not (Li and He, "Back to basics: let denoising generative models denoise",
    2025); the error of the velocity is that of the estimate over (1 - t)². Channels are weighted as in the regression.
    """

    Config = FlowConfig
    needs_time = True

    def __init__(self, config: FlowConfig, autoencoder: Autoencoder) -> None:
        super().__init__(config, autoencoder)
        variance = autoencoder.latent_std**2
        self.weight = (variance / variance.sum())[:, None, None]  # (C, 1, 1)

    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        start, t = self._start(batch.inputs, noise), self._times(noise)
        at = t[:, None, None, None]
        estimate = model(self.prompted(batch.inputs, noise), (1 - at) * start + at * batch.target, t)
        error = (self.weight * (estimate.z - batch.target) ** 2).sum(1).mean((1, 2))  # (B,)
        weight = (1 - t).clamp_min(ENDING).pow(-2).clamp_max(self.config.most_weight)
        return Losses.of(weight * error, estimate.terms)

    @torch.no_grad()
    def sample(self, model: Network, inputs: Inputs, noise: Noise, steps: int | None) -> Tensor:
        z, count = self._start(inputs, noise), steps or self.config.steps
        times = self._shifted(torch.linspace(0, 1, count + 1)).tolist()
        for now, then in pairwise(times):
            velocity = self._velocity(model, inputs, z, now)
            if self.config.solver == "heun" and then < 1:
                ahead = self._velocity(model, inputs, z + (then - now) * velocity, then)
                velocity = (velocity + ahead) / 2
            z = z + (then - now) * velocity
        return z

    def _velocity(self, model: Network, inputs: Inputs, z: Tensor, t: float) -> Tensor:
        """At a t below 1."""
        return (model(inputs, z, z.new_full((len(z),), t)).z - z) / (1 - t)

    def _start(self, inputs: Inputs, noise: Noise) -> Tensor:
        """x₀, (B, C, h, w)."""
        drawn = noise.normal(*inputs.base.shape[1:])
        return drawn if self.config.start == "noise" else inputs.base + self.config.sigma * drawn

    def _times(self, noise: Noise) -> Tensor:
        """(B,) in (0, 1)."""
        uniform = noise.uniform()
        if self.config.times == "logit-normal":
            uniform = (math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-0.999999, 0.999999))).sigmoid()
        return self._shifted(uniform)

    def _shifted(self, t: Tensor) -> Tensor:
        return t / (t + self.config.shift * (1 - t))
