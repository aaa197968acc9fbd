"""What a run is made of, from its config: the autoencoder, and the network for its latents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trainer.config import Config
from trainer.console import say
from trainer.data.images import Image, to_tensor
from trainer.data.shards import Sample, Seen, Shards
from trainer.errors import UserError
from trainer.frozen.autoencoder import STATISTICS, Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.loading import load_autoencoder
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES
from trainer.similarity import psnr
from trainer.training.checkpoint import WAY_OUT, OtherRun

GATE_DB = 32.0
"""Under this round trip PSNR of the targets the autoencoder, not the network, decides the result."""


def build_model(config: Config, autoencoder: Autoencoder, text_dim: int) -> FusionDiT:
    """The network of a config, for an autoencoder's latents and token embeddings of that width."""
    time = OBJECTIVES[config.objective.kind].needs_time
    channels, factor = autoencoder.channels, autoencoder.factor
    return FusionDiT(channels, factor, text_dim, config.model.model_dump(), time)


def unfitted_autoencoder(config: Config) -> Autoencoder:
    """The autoencoder of a config before it has seen a shard, for its channels and its factor. Raises UserError."""
    path, channels = config.autoencoder.path, config.autoencoder.channels
    return Autoencoder(KLTAutoencoder(channels)) if path == "klt" else load_autoencoder(path)


def reopen_autoencoder(folder: Path, device: torch.device) -> Autoencoder:
    """The autoencoder that a run was begun with. Raises OtherRun."""
    try:
        if not (folder / STATISTICS).is_file():
            raise UserError(f"autoencoder {folder}: no {STATISTICS} in it")
        return load_autoencoder(folder, device)
    except UserError as error:
        raise OtherRun(f"{error}; the run cannot go on: {WAY_OUT}") from None


def prepare_autoencoder(config: Config, shards: Shards[Any], device: torch.device) -> Autoencoder:
    """The autoencoder of a run that begins: fitted to its shards, or loaded, and measured on them where it must be.

    Warns where it would cap the result. Raises UserError.
    """
    samples = [sample for sample in first(shards, config.autoencoder.fit_samples) if isinstance(sample, Sample)]
    if not samples:
        return _of_latents(config, device)
    images = [
        image for sample in samples for image in to_tensor([sample.a, sample.b, sample.target], torch.device("cpu"))
    ]
    if config.autoencoder.path == "klt":
        autoencoder = Autoencoder(KLTAutoencoder.fit(images, config.autoencoder.channels)).to(device)
    else:
        autoencoder = load_autoencoder(config.autoencoder.path, device)
        if not autoencoder.measured:
            autoencoder.measure(images)
    quality = round_trip_psnr(autoencoder, [sample.target for sample in samples[:8]])
    say(
        f"autoencoder: {autoencoder.channels} channels at 1/{autoencoder.factor}, "
        f"round trip of the targets {quality:.2f} dB"
    )
    if quality < GATE_DB:
        say(
            f"warning: under {GATE_DB:.0f} dB the autoencoder caps the result; "
            "give it more channels, or another with --autoencoder"
        )
    return autoencoder


def _of_latents(config: Config, device: torch.device) -> Autoencoder:
    """The autoencoder of a run without pictures. Raises UserError where there has to be one."""
    wanted, path = (
        "give --autoencoder FOLDER/autoencoder, of the folder that `trainer encode` wrote",
        config.autoencoder.path,
    )
    if path == "klt":
        raise UserError(f"autoencoder klt: is fitted to pictures, and the shards hold latents; {wanted}")
    autoencoder = load_autoencoder(path, device)
    if not autoencoder.measured:
        raise UserError(f"autoencoder {path}: is measured on pictures, and the shards hold latents; {wanted}")
    return autoencoder


def first(shards: Shards[Seen], count: int) -> Sequence[Seen]:
    """The samples of the first `count` positions, each once."""
    return shards.load(list(dict.fromkeys(shards.at(position) for position in range(count))))


def round_trip_psnr(autoencoder: Autoencoder, images: list[Image]) -> float:
    """Mean PSNR in dB of images against their decoded latents, clipped to [-1, 1]."""
    values = []
    for image in images:
        x = to_tensor([image], autoencoder.device)
        values.append(psnr(autoencoder.decode(autoencoder.encode(x), image.shape[:2]).clamp(-1, 1), x))
    return sum(values) / len(values)
