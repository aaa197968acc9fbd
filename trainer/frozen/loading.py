"""An autoencoder by its name: one that ships with the trainer, a folder in diffusers layout, or a name on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.errors import UserError
from trainer.files import one_line, read_json
from trainer.frozen.autoencoder import STATISTICS, TILE, Autoencoder, Precision
from trainer.pretrained import load_model

SHIPPED = {"mmaif": Path(__file__).parents[1] / "weights" / "autoencoder"}
"""Autoencoders that come with the trainer, by name."""
OWN = {"KLTAutoencoder": "trainer.frozen.klt", "ResidualKLTAutoencoder": "trainer.autoencoder.network"}
"""Where our own classes live."""
BOUND = 1e30
"""No mean or standard deviation of float32 latents reaches it."""


def load_autoencoder(
    path: str | Path,
    device: str | torch.device = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
) -> Autoencoder:
    """Our autoencoder ("mmaif", or a folder), or any image autoencoder of diffusers, by its folder or hub name.

    precision, tile: see Autoencoder. Raises UserError.

    >>> autoencoder = load_autoencoder("mmaif")
    >>> z = autoencoder.encode(x)  # x: (B, 3, H, W) in [-1, 1], any size
    >>> y = autoencoder.decode(z, x.shape[-2:])
    """
    folder = _find(path)
    where = f"autoencoder {folder}/config.json"
    try:
        name = read_json(folder / "config.json", where, "copy the folder again").get("_class_name")
    except FileNotFoundError:
        raise UserError(f"autoencoder {folder}: no config.json; give the folder of a diffusers autoencoder") from None
    known = _class_of(name, folder)
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"autoencoder {folder}: no .safetensors beside its config.json; copy the folder again")
    try:
        autoencoder = Autoencoder(load_model(known, folder).to(device), precision, tile)
    except Exception as error:  # a model of something else than images fails in its own ways
        raise UserError(
            f"autoencoder {folder}: its weights do not load as {name} of images ({one_line(error)})"
        ) from None
    if (folder / STATISTICS).is_file():
        mean, std = _read_statistics(folder / STATISTICS, autoencoder.channels)
        autoencoder.latent_mean, autoencoder.latent_std = mean.to(device), std.to(device)
        autoencoder.measured = True
    return autoencoder


def _find(path: str | Path) -> Path:
    """The folder that is meant; what is named as on the hub, and is no folder, is fetched. Raises UserError."""
    name = str(path)
    if name in SHIPPED:
        return SHIPPED[name]
    folder = Path(path)
    if folder.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+(/[\w-]+)?", name) or name.startswith("."):
        return folder
    if folder.parent.exists():  # a folder of the user's was meant, and misspelt
        return folder
    owner, repository, *inside = name.split("/")
    try:
        from huggingface_hub import snapshot_download

        wanted = ["config.json", "*.safetensors"]
        wanted = [f"{inside[0]}/{pattern}" for pattern in wanted] if inside else wanted
        return Path(snapshot_download(f"{owner}/{repository}", allow_patterns=wanted), *inside)
    except Exception as error:  # no such name, no network, no rights: the hub has an error for each
        raise UserError(
            f"autoencoder {name}: no such folder here, and from the hub it cannot be fetched ({one_line(error)}); "
            f"give a folder, a hub name (owner/name[/folder]), {', '.join(SHIPPED)} or klt"
        ) from None


def _read_statistics(path: Path, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (C,) each. Raises UserError."""
    where, way_out = f"autoencoder {path}", "copy the folder again, or remove the file to have it measured anew"
    values = read_json(path, where, way_out)
    for key, low in (("mean", -BOUND), ("std", 0.0)):
        numbers = values.get(key)
        if not isinstance(numbers, list) or len(numbers) != channels:
            there = f"{len(numbers)} numbers" if isinstance(numbers, list) else type(numbers).__name__
            raise UserError(f"{where}: {key}: {there}, and the autoencoder has {channels} channels; {way_out}")
        for number in numbers:
            if not isinstance(number, (int, float)) or not low < number < BOUND:
                raise UserError(f"{where}: {key}: holds {number!r}, not a number that it can have; {way_out}")
    return torch.tensor(values["mean"], dtype=torch.float32), torch.tensor(values["std"], dtype=torch.float32)


def _class_of(name: Any, folder: Path) -> Any:
    if name in OWN:
        from importlib import import_module

        return getattr(import_module(OWN[name]), name)
    import diffusers

    if isinstance(name, str) and ("Autoencoder" in name or name == "VQModel") and hasattr(diffusers, name):
        return getattr(diffusers, name)
    raise UserError(
        f"autoencoder {folder}: config.json names the class {name!r}; give an image autoencoder of diffusers "
        "(AutoencoderKL, AutoencoderDC, AutoencoderTiny, …) or one that this trainer wrote"
    )
