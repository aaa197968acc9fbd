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
from trainer.frozen.single_file import SUFFIXES, load_single_file
from trainer.pretrained import load_model

SHIPPED = {"mmaif": Path(__file__).parents[1] / "weights" / "autoencoder"}
"""Autoencoders that come with the trainer, by name."""
OWN = {"KLTAutoencoder": "trainer.frozen.klt", "ResidualKLTAutoencoder": "trainer.autoencoder.network"}
"""Where our own classes live."""
SUBFOLDERS = ("vae", "autoencoder")
"""Where pipelines of diffusers, and weights and latents of this trainer, hold it."""
BOUND = 1e30
"""No mean or standard deviation of float32 latents reaches it."""


def load_autoencoder(
    path: str | Path,
    device: str | torch.device = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
) -> Autoencoder:
    """Our autoencoder ("mmaif", or a folder), or any image autoencoder of diffusers, by its folder or hub name, by the
    folder of its pipeline, or, an AutoencoderKL, by its file.

    precision, tile: see Autoencoder. Raises UserError.

    >>> autoencoder = load_autoencoder("mmaif")
    >>> z = autoencoder.encode(x)  # x: (B, 3, H, W) in [-1, 1], any size
    >>> y = autoencoder.decode(z, x.shape[-2:])
    """
    found = _find(path)
    folder, file = (found.parent, found) if found.is_file() else _inside(found)
    config: dict[str, Any] | None = None
    if (folder / "config.json").is_file():
        where = f"autoencoder {folder}/config.json"
        config = read_json(folder / "config.json", where, "copy the folder again")
    if file is not None:
        beside = config if config is not None and config.get("_class_name") == "AutoencoderKL" else None
        model, name = load_single_file(file, beside), "AutoencoderKL"
    elif config is None:
        there = "no config.json in it" if folder.is_dir() else "not there, and no config.json"
        raise UserError(
            f"autoencoder {folder}: {there}; give the folder of a diffusers autoencoder, or of a pipeline that holds "
            "one, or the .safetensors of an AutoencoderKL"
        )
    else:
        name = str(config.get("_class_name"))
        model = _from_folder(config.get("_class_name"), folder)
    try:
        autoencoder = Autoencoder(model.float().to(device), precision, tile)
    except Exception as error:  # a model of something else than images fails in its own ways
        raise UserError(
            f"autoencoder {folder}: its weights do not load as {name} of images ({one_line(error)})"
        ) from None
    if (folder / STATISTICS).is_file():
        mean, std = _read_statistics(folder / STATISTICS, autoencoder.channels)
        autoencoder.latent_mean, autoencoder.latent_std = mean.to(device), std.to(device)
        autoencoder.measured = True
    return autoencoder


def _inside(folder: Path) -> tuple[Path, Path | None]:
    """The folder that holds the autoencoder, of a pipeline's say, and the one file in it where it has no config.

    Raises UserError where there are several.
    """
    if (folder / "config.json").exists():
        return folder, None
    for name in SUBFOLDERS:
        if (folder / name / "config.json").is_file():
            return folder / name, None
    files = [file for file in folder.glob("*") if file.suffix in SUFFIXES and file.is_file()]
    if len(files) > 1:
        names = ", ".join(sorted(file.name for file in files)[:4])
        raise UserError(f"autoencoder {folder}: no config.json, and several files ({names}); name one of them")
    return folder, files[0] if files else None


def _from_folder(kind: Any, folder: Path) -> Any:
    """The model of a folder in diffusers layout: whole or in parts, of a variant or pickled. Raises UserError."""
    known = _class_of(kind, folder)
    files = sorted(file.name for file in folder.glob("*") if file.suffix in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"autoencoder {folder}: no .safetensors beside its config.json; copy the folder again")
    pickled = not any(name.endswith(".safetensors") for name in files)
    end = r"bin" if pickled else "safetensors"
    named = re.compile(rf"diffusion_pytorch_model(?:\.([\w-]+?))?(?:-\d{{5}}-of-\d{{5}})?\.{end}")
    variants = {match[1] for name in files if (match := named.fullmatch(name))}
    if not variants:  # of another program, beside a config
        if len(files) == 1 and kind == "AutoencoderKL":
            config = read_json(folder / "config.json", f"autoencoder {folder}/config.json", "copy the folder again")
            return load_single_file(folder / files[0], config)
        raise UserError(
            f"autoencoder {folder}: {files[0]} is not a name by which diffusers finds weights; "
            f"call it diffusion_pytorch_model.{end}"
        )
    variant = None if None in variants else "fp16" if "fp16" in variants else sorted(filter(None, variants))[0]
    try:
        return load_model(known, folder, variant, pickled)
    except ValueError as error:
        raise UserError(
            f"autoencoder {folder}: its weights do not load as {kind} of images ({one_line(error)})"
        ) from None


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
