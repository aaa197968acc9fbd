"""The contract of an objective: a loss of each sample, and a sampler. A file of this folder that keeps it is found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import Prompts
from trainer.model.guess import guess_terms
from trainer.model.inputs import Decode, Estimate, Inputs, Network, Terms
from trainer.schema import Section

COUNTER = (0, 0, 0, 1)
"""Where the noise of a sample begins in its Philox stream: far from the permutations of samples, which begin at 0."""


class Losses(NamedTuple):
    """What a batch costs. The mean of `per_sample` is minimised; `parts` are shown beside it."""

    per_sample: Tensor
    """(B,) float32."""
    parts: Mapping[str, Tensor] = {}
    """What it is made of and what goes with it, by name, () or (B,); empty where it is one thing."""

    @classmethod
    def of(cls, error: Tensor, terms: Terms, made_of: Mapping[str, Tensor] | None = None) -> Losses:
        """The error of each sample, (B,), and what the blocks of the network add to it by their weights.

        made_of: what the error is the sum of, for the log.
        """
        if not terms:
            return cls(error, made_of or {})
        total = error + sum(term.weight * term.value for term in terms.values() if term.weight)
        return cls(total, {"error": error, **(made_of or {}), **{name: term.value for name, term in terms.items()}})

    def shown(self) -> dict[str, Tensor]:
        """All of it, by the names that it has in the log: loss, loss/error, …"""
        return {"loss": self.per_sample} | {f"loss/{name}": value for name, value in self.parts.items()}


class Noise:
    """Random numbers for the samples of a batch, each sample's from a generator keyed by (seed, its position).

    So they do not depend on the batch, on ranks, or on what was drawn for others before, and a run that goes on draws
    what an unbroken one would. Each call goes on in every sample's stream.
    """

    def __init__(self, seed: int, positions: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seed, self.positions, self.device = seed, positions, device

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, (B, *shape) float32."""
        return self._stacked([stream.standard_normal(shape, np.float32) for stream in self._streams])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), (B, *shape) float32."""
        return self._stacked([stream.random(shape, np.float32) for stream in self._streams])

    @cached_property
    def _streams(self) -> list[np.random.Generator]:  # made when they are first needed: a regression draws nothing
        keys = (np.array([self.seed, position], dtype=np.uint64) for position in self.positions)
        return [np.random.Generator(np.random.Philox(key=key, counter=COUNTER)) for key in keys]

    def _stacked(self, drawn: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(drawn)).to(self.device)


class ObjectiveConfig(Section):
    """The `objective:` section; each objective's own derives from it and gives `kind` a Literal and its default."""

    kind: str
    """Names the objective."""
    prompt_dropout: float = Field(default=0.05, ge=0, le=1)
    """Share of the samples that are trained without their instruction, so that none is an instruction too."""

    @property
    def needs_regression(self) -> bool:
        """Whether it begins where a frozen regression ends: the network has adapters then, and gives either."""
        return False


class CouplesConfig(ObjectiveConfig):
    """The section of an objective that takes steps of couples (Batch.couples)."""

    difference: float = Field(default=1.0, ge=0)
    """In steps of couples (training.couples), the weight of the error of the difference of two outputs from that of
    their targets, counted as the other errors are."""


Settings = TypeVar("Settings", bound=ObjectiveConfig)


def less_common(x: Tensor, target: Tensor) -> Tensor:
    """Of couples, (2 K, …): each estimate less the error of its mate's, so that what both have wrong cancels.

    Its error from the target is that of the difference of the two: (x₁ - x₂) - (t₁ - t₂), or the negative.
    """
    error = (x - target).unflatten(0, (-1, 2))
    return x - error.flip(1).flatten(0, 1)


class Objective(ABC, Generic[Settings]):
    """What the network is trained for, and how a picture is made with it. A subclass registers itself by its kind."""

    Config: ClassVar[type[ObjectiveConfig]]
    """The schema of its section."""
    needs_time: ClassVar[bool] = False
    """Whether its network takes a state z_t and a time t."""
    known: ClassVar[dict[str, type[Objective]]] = {}

    def __init_subclass__(cls) -> None:
        kind = cls.Config.model_fields["kind"].default
        if kind in Objective.known:
            raise TypeError(f"two objectives are called {kind!r}")
        Objective.known[kind] = cls

    def __init__(self, config: Settings, autoencoder: Autoencoder) -> None:
        self.config, self.autoencoder = config, autoencoder

    @property
    def takes_steps(self) -> bool:
        """Whether its sampler goes in steps, as many as one asks for: its section has a number of its own then."""
        return "steps" in type(self.config).model_fields

    @property
    def needs_pictures(self) -> bool:
        """Whether its loss looks at the pictures themselves: Batch.crops is there then."""
        return False

    def prompted(self, inputs: Inputs, noise: Noise) -> Inputs:
        """The inputs of a loss, from some of which the instruction is taken away."""
        if not self.config.prompt_dropout:
            return inputs
        said = noise.uniform() >= self.config.prompt_dropout  # (B,)
        tokens, mask, pooled = inputs.prompts
        return inputs._replace(prompts=Prompts(tokens, mask & said[:, None], pooled * said[:, None]))

    def terms(self, estimate: Estimate, batch: Batch) -> Terms:
        """What the blocks of the network, and its effect head, add to the loss."""
        return {**estimate.terms, **guess_terms(estimate.guess, batch.labels)}

    def decoded(self, z: Tensor) -> Tensor:
        """The picture of a normalised latent, (B, 3, f h, f w), through which a gradient reaches it."""
        factor = self.autoencoder.factor
        size = (factor * z.shape[-2], factor * z.shape[-1])
        return self.autoencoder.decode_for_loss(self.autoencoder.denormalise(z), size)

    @abstractmethod
    def loss(self, model: Network, batch: Batch, noise: Noise) -> Losses:
        """The loss of each sample; everything random comes from `noise`."""

    @abstractmethod
    def sample(
        self, model: Network, inputs: Inputs, noise: Noise, steps: int | None, decode: Decode | None = None
    ) -> Estimate:
        """An estimate of the target's normalised latent, and what goes with it. steps: None for its own number.

        decode: for its picture too.
        """
