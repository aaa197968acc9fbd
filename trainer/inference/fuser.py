"""Fuser: the public Python API for inference, and the weights folder that it is saved to and loaded from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.data.batches import encode_pair, network_inputs
from trainer.data.images import Image, as_rgb, read_image, to_images
from trainer.device import choose_device
from trainer.errors import UserError
from trainer.files import one_line, read_json
from trainer.frozen import fusion
from trainer.frozen.autoencoder import STATISTICS, Autoencoder, hash_of
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.dit import FusionDiT
from trainer.objectives.regression import Regression
from trainer.pretrained import load_model

if TYPE_CHECKING:
    from trainer.config import Config

VERSION = 1
MANIFEST = "fuser.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Hashed(_Part):
    hash: str


class _Text(_Part):
    encoder: str
    hash: str
    max_tokens: int = Field(ge=1, le=512)


class Manifest(_Part):
    """fuser.json: what a weights folder was trained with. Its hashes show files that do not belong together."""

    version: int
    objective: str
    base: str
    dit: _Hashed
    autoencoder: _Hashed
    latents: _Hashed
    """Of the mean and scale of each latent channel."""
    text: _Text


class Fuser:
    """Fuses two registered images of one scene as a sentence says.

    >>> fuser = Fuser.from_pretrained("runs/tiny/weights")
    >>> picture = fuser("dark.png", "bright.png", "remove the haze")  # (H, W, 3) uint8 RGB
    """

    def __init__(self, model: FusionDiT, autoencoder: Autoencoder, text: TextEncoder) -> None:
        self.model, self.autoencoder, self.text = model.eval(), autoencoder, text

    @torch.no_grad()
    def __call__(self, a: np.ndarray | str | Path, b: np.ndarray | str | Path, prompt: str) -> Image:
        """a, b: paths, or uint8 arrays (H, W), (H, W, 1) or (H, W, 3) in RGB, of one size, any size.

        Returns (H, W, 3) uint8 RGB. Raises UserError.
        """
        first, second = _as_image(a, "a"), _as_image(b, "b")
        if first.shape != second.shape:
            raise UserError(
                f"images of different sizes: a is {first.shape[1]}x{first.shape[0]}, "
                f"b is {second.shape[1]}x{second.shape[0]}; register them and bring them to one size"
            )
        latents = encode_pair(self.autoencoder, first, second)[None]
        z = Regression.sample(self.model, network_inputs(self.autoencoder, latents, self.text([prompt])))
        return to_images(self.autoencoder.decode(self.autoencoder.denormalise(z), first.shape[:2]))[0]

    def save(self, folder: Path, config: Config) -> None:
        """Writes dit/, autoencoder/, config.yaml and fuser.json (text encoder's name, token length; hashes)."""
        self.model.save_pretrained(folder / "dit")
        self.autoencoder.save(folder / "autoencoder")
        (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        manifest = Manifest(
            version=VERSION,
            objective="regression",
            base=fusion.NAME,
            dit=_Hashed(hash=_hash_of_network(self.model)),
            autoencoder=_Hashed(hash=self.autoencoder.hash),
            latents=_Hashed(hash=self.autoencoder.statistics_hash),
            text=_Text(encoder=self.text.name, hash=self.text.hash, max_tokens=self.text.max_tokens),
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | None = None) -> Fuser:
        """Loads a weights folder (`trainer train` writes RUN/weights). Raises UserError where it is none, or newer."""
        folder, where = Path(folder), choose_device(device)
        manifest = _read_manifest(folder)
        text = TextEncoder(manifest.text.encoder, manifest.text.max_tokens, where)
        if text.hash != manifest.text.hash:
            raise UserError(
                f"--weights {folder}: trained with another text encoder than {text.name} is here (its sha256 differs)"
            )
        autoencoder = load_autoencoder(folder / "autoencoder", where)
        if autoencoder.hash != manifest.autoencoder.hash:
            raise UserError(
                f"--weights {folder}: its autoencoder is not the one it was trained with; copy the folder again"
            )
        if not (folder / "autoencoder" / STATISTICS).is_file():
            raise UserError(f"--weights {folder}: no autoencoder/{STATISTICS} in it; copy the folder again")
        if autoencoder.statistics_hash != manifest.latents.hash:
            raise UserError(
                f"--weights {folder}/autoencoder: mean and scale of the latents ({STATISTICS}) are not those it "
                "was trained with; copy the folder again"
            )
        if not (folder / "dit" / "config.json").is_file():
            raise UserError(f"--weights {folder}: no dit/config.json in it; copy the folder again")
        try:
            model = load_model(FusionDiT, folder / "dit")
        except ValueError as error:
            raise UserError(f"--weights {folder}/dit: does not load ({error}); copy the folder again") from None
        if model.config["base"] != fusion.NAME:
            raise UserError(
                f"--weights {folder}/dit: trained on the base '{model.config['base']}', and this trainer "
                f"makes '{fusion.NAME}'; use the trainer that they came with"
            )
        if _hash_of_network(model) != manifest.dit.hash:
            raise UserError(f"--weights {folder}/dit: not the network that {MANIFEST} names; copy the folder again")
        return cls(model.to(where), autoencoder, text)


def _as_image(image: np.ndarray | str | Path, name: str) -> Image:
    return as_rgb(image, name) if isinstance(image, np.ndarray) else read_image(image)


def _hash_of_network(model: FusionDiT) -> str:
    """sha256 over the weights and the config: another number of heads, say, leaves every weight its shape."""
    config = {name: value for name, value in model.config.items() if not name.startswith("_")}
    return hashlib.sha256(f"{hash_of(model)}{json.dumps(config, sort_keys=True)}".encode()).hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        values = read_json(path, f"--weights {path}", "copy the folder again")
    except FileNotFoundError:
        raise UserError(
            f"--weights {folder}: no {MANIFEST} in it; give the folder that training wrote, RUN/weights"
        ) from None
    version = values.get("version")
    if not isinstance(version, int):
        raise UserError(f"--weights {path}: not a manifest of weights (version {version!r}); copy the folder again")
    if version > VERSION:
        raise UserError(
            f"--weights {folder}: version {version}, and this trainer reads up to {VERSION}; update the trainer"
        )
    if values.get("objective") != "regression":
        raise UserError(f"--weights {folder}: objective {values.get('objective')!r}; this trainer has 'regression'")
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise UserError(
            f"--weights {path}: {key}: {one_line(fault['msg'])}; copy the folder again, or run the training command "
            "again, which writes it anew"
        ) from None
