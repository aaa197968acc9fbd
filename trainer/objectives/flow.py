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
from trainer.model.inputs import Decode, Estimate, Inputs, Network
from trainer.objectives.base import CouplesConfig, Losses, Noise, Objective, less_common

ENDING = 0.05
"""Least 1 - t by which the loss divides a velocity."""


class FlowConfig(CouplesConfig):
    kind: Literal["flow"] = "flow"
    start: Literal["noise", "base", "regression"] = "base"
    """x₀: normal noise (the paper); the base plus a little of it, a bridge, which is short; or what a frozen regression
    makes, plus a little noise, by a network with adapters (model.adapters)."""
    sigma: float = Field(default=0.05, ge=0, le=1)
    """Of the noise on base or regression, in standard deviations of a latent."""
    times: Literal["uniform", "logit-normal", "early"] = "uniform"
    """How t is drawn in training: evenly; with its logit normal (Esser et al., "Scaling rectified flow transformers",
    2024), which dwells in the middle; or as the square of an even draw, half of them below 1/4: where the picture is
    decided, if the start is good (no source but that)."""
    shift: float = Field(default=1.0, gt=0, le=100)
    """t → t / (t + shift (1 - t)), in training and in sampling: above 1 it dwells near the start, as large pictures
    want."""
    shift_at: int | None = Field(default=None, ge=1)
    """Positions of the latent grid for which `shift` holds: a grid of n has √(n / shift_at) times that, so that it is
    equally uncertain at equal times (Esser et al., equation 23). None: all have the same."""
    most_weight: float = Field(default=16.0, ge=1, le=400)
    """At most so much does 1 / (1 - t)², which the velocity's error is of the estimate's, count in the loss."""
    steps: int = Field(default=4, ge=1, le=1000)
    """Of the sampler."""
    solver: Literal["euler", "heun"] = "euler"
    """heun looks twice a step, but for the last."""

    @property
    def needs_regression(self) -> bool:
        return self.start == "regression"


class Flow(Objective[FlowConfig]):
    """E ‖v̂ - (z_gt - x₀)‖², z_t = (1 - t) x₀ + t z_gt, v̂ = (ẑ - z_t) / (1 - t), in the loss over ENDING at least.

    Lipman et al., "Flow matching for generative modeling", 2023. The network estimates the end of the line, ẑ, which
    lies among pictures, as the velocity does not (Li and He, "Back to basics: let denoising generative models denoise",
    2025); the error of the velocity is that of the estimate over (1 - t)². Channels are weighted as in the regression.

    From a regression x₀ is the network without z_t and t, which is given the same instruction, and learns nothing.
    """

    Config = FlowConfig
    needs_time = True

    def __init__(self, config: FlowConfig, autoencoder: Autoencoder) -> None:
        super().__init__(config, autoencoder)
        variance = autoencoder.latent_std**2
        self.weight = (variance / variance.sum())[:, None, None]  # (C, 1, 1)

    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        drawn, t = noise.normal(*batch.target.shape[1:]), self._times(noise, batch.target)
        inputs, at = self.prompted(batch.inputs, noise), t[:, None, None, None]
        start = self._start(model, inputs, drawn)
        estimate = model(inputs, (1 - at) * start + at * batch.target, t)
        weight = (1 - t).clamp_min(ENDING).pow(-2).clamp_max(self.config.most_weight)

        def error(z: Tensor) -> Tensor:
            return weight * (self.weight * (z - batch.target) ** 2).sum(1).mean((1, 2))  # (B,)

        total, shown = error(estimate.z), {}
        if batch.couples and self.config.difference:  # both stand at one t, and have one start's noise
            shown["difference"] = self.config.difference * error(less_common(estimate.z, batch.target))
            total = total + shown["difference"]
        return Losses.of(total, self.terms(estimate, batch), shown)

    @torch.no_grad()
    def sample(
        self, model: Network, inputs: Inputs, noise: Noise, steps: int | None, decode: Decode | None = None
    ) -> Estimate:
        z, count = self._start(model, inputs, noise.normal(*inputs.base.shape[1:])), steps or self.config.steps
        times = self._shifted(torch.linspace(0, 1, count + 1), inputs.base).tolist()
        for now, then in pairwise(times[:-1]):
            velocity = self._velocity(model, inputs, z, now)
            if self.config.solver == "heun":
                ahead = self._velocity(model, inputs, z + (then - now) * velocity, then)
                velocity = (velocity + ahead) / 2
            z = z + (then - now) * velocity
        # the last step goes by one look along its line, and the line ends at what the network estimates
        return model(inputs, z, z.new_full((len(z),), times[-2]), decode)

    def _velocity(self, model: Network, inputs: Inputs, z: Tensor, t: float) -> Tensor:
        """At a t below 1."""
        return (model(inputs, z, z.new_full((len(z),), t)).z - z) / (1 - t)

    @torch.no_grad()
    def _start(self, model: Network, inputs: Inputs, drawn: Tensor) -> Tensor:
        """x₀ of normal noise, both (B, C, h, w)."""
        match self.config.start:
            case "noise":
                return drawn
            case "base":
                return inputs.base + self.config.sigma * drawn
            case "regression":
                return model(inputs).z + self.config.sigma * drawn

    def _times(self, noise: Noise, like: Tensor) -> Tensor:
        """(B,) in [0, 1), for a grid like that of a latent."""
        uniform = noise.uniform()
        match self.config.times:
            case "logit-normal":
                uniform = (math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-0.999999, 0.999999))).sigmoid()
            case "early":
                uniform = uniform.square()
        return self._shifted(uniform, like)

    def _shifted(self, t: Tensor, like: Tensor) -> Tensor:
        """Times on a grid like that of a latent, (…, h, w)."""
        shift = self.config.shift
        if self.config.shift_at is not None:
            shift *= math.sqrt(like.shape[-2] * like.shape[-1] / self.config.shift_at)
        return t / (t + shift * (1 - t))
