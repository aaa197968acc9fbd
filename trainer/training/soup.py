"""The mean of several weights, of runs that began from the same ones.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022; with what such runs began from among them, "Robust fine-tuning of zero-shot models", CVPR
2022, by the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from trainer.config import Config
from trainer.errors import UserError
from trainer.files import atomically, read_yaml
from trainer.inference.folder import Weights, load_weights, named
from trainer.inference.fuser import Fuser
from trainer.schema import parse
from trainer.training.initial import ADDED


def mean_of(folders: Sequence[Path], out: Path) -> None:
    """Writes a weights folder with the mean of the weights in `folders`, all else as in the last of them.

    A detail stage or an effect head of the last that not all of them have is the mean of those that do; what the last
    lacks goes. Raises UserError where the networks differ in anything else, or are not of one autoencoder.
    """
    if out.exists():
        raise UserError(f"--out {out}: is there already; name a new folder")
    try:
        found = [load_weights(folder, torch.device("cpu")) for folder in folders]
    except UserError as error:
        raise UserError(str(error).replace("--weights ", "", 1)) from None
    last = found[-1]
    for folder, weights in zip(folders[:-1], found, strict=False):
        if _made_of(weights) != _made_of(last):
            raise UserError(f"{folder}: its network, objective or autoencoder is another than that of {folders[-1]}")
        for part in ADDED:
            theirs, ours = (getattr(each.model.network, part) for each in (weights, last))
            if theirs and ours and theirs != ours:
                raise UserError(f"{folder}: its model.{part} is another than that of {folders[-1]}")
    states = [weights.model.state_dict() for weights in found]
    for name, tensor in last.model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.stack([state[name].double() for state in states if name in state]).mean(0))
    path = named(folders[-1]) / "config.yaml"
    config = parse(Config, read_yaml(path), str(path))
    atomically(out, lambda folder: Fuser(*last).save(folder, config))


def _made_of(weights: Weights) -> tuple[object, ...]:
    """What must be the same."""
    config = {name: value for name, value in weights.model.config.items() if not name.startswith("_")}
    network = {name: value for name, value in config.pop("network").items() if name not in ADDED}
    autoencoder = weights.autoencoder
    return config, network, weights.objective.config.kind, autoencoder.hash, autoencoder.statistics_hash
