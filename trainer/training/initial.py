"""The weights that a run begins from, where a config names some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from trainer.config import Config
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.folder import MANIFEST, Weights, load_weights, named, network_hash
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES
from trainer.training.parts import unfitted_autoencoder

ADDED = ("detail", "effects")
"""Parts that a network may have beyond those of the weights that it begins with."""


class Initial(NamedTuple):
    """What a run begins from besides random numbers; nothing of it where it goes on."""

    hash: str | None = None
    """Names the network; None where none is named, or where a run that goes on no longer finds it."""
    model: FusionDiT | None = None
    autoencoder: Autoencoder | None = None

    def into(self, model: FusionDiT) -> None:
        """Puts the weights into the network of the run; what that has besides stays as it is built."""
        if self.model is not None:
            model.load_state_dict(dict(model.state_dict()) | self.model.state_dict())


def let_learn(model: FusionDiT, parts: Sequence[str]) -> None:
    """The named parts alone, where there are any."""
    if parts:
        model.requires_grad_(False)
        for part in parts:
            model.get_submodule(part).requires_grad_(True)


def read_initial(config: Config, text: TextEncoder, fresh: bool, device: torch.device) -> Initial:
    """The weights folder `init` of a config. Raises UserError where the run cannot begin from it: the first difference.

    Of a run that goes on (not fresh) the folder may be gone; where it is there, it is named, and not opened.
    """
    if config.init is None:
        if fresh and config.model.adapters:
            raise UserError(
                f"model.adapters {config.model.adapters}: a flow from a frozen regression begins from that; "
                "give its weights folder, --init RUN/weights"
            )
        if fresh and config.training.learns:
            raise UserError(
                f"training.learns {', '.join(config.training.learns)}: the rest of the network stays as it is, so it "
                "must have learned already; give its weights folder, --init RUN/weights"
            )
        return Initial()
    folder = Path(config.init)
    try:
        if not fresh:
            return Initial(network_hash(folder) if (named(folder) / MANIFEST).is_file() else None)
        weights = load_weights(folder, device)
    except UserError as error:
        raise UserError(str(error).replace("--weights", "--init", 1)) from None
    for key, there, here in _differences(config, text, weights):
        raise UserError(f"--init {folder}: {key} is {there} there, and {here} is needed here; give other weights")
    return Initial(network_hash(folder), weights.model, weights.autoencoder)


def _differences(config: Config, text: TextEncoder, weights: Weights) -> Iterator[tuple[str, object, object]]:
    """What keeps a run of this config from beginning with these weights: key, value there, value here.

    The network must be the same; or, for a flow with adapters, the regression without. A detail stage and an effect
    head may be new.
    """
    if weights.text.hash != text.hash:
        yield "text.encoder", weights.text.name, text.name
    ae, ours = weights.autoencoder, unfitted_autoencoder(config)
    if ae.channels != ours.channels:
        yield "autoencoder.channels", ae.channels, ours.channels
    fitted = isinstance(ae.model, KLTAutoencoder) and isinstance(ours.model, KLTAutoencoder)
    if ae.hash != ours.hash and not fitted:  # the run goes on with the one that was fitted
        yield "autoencoder.path", "another autoencoder", config.autoencoder.path
    here, there = config.model.model_dump(), weights.model.network.model_dump()
    time, beneath = OBJECTIVES[config.objective.kind].needs_time, here["adapters"] and not there["adapters"]
    if beneath:
        del here["adapters"]
    for key in ADDED:
        if not there[key]:
            del here[key]
    yield from ((f"model.{key}", there[key], value) for key, value in here.items() if there[key] != value)
    if weights.model.config["time"] != (time and not beneath):
        yield "objective", weights.objective.config.kind, "regression" if beneath else config.objective.kind
