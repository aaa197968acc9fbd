"""Any autoencoder behind `encode` and `decode`: our own, or a diffusers one from a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.errors import UserError
from trainer.files import one_line, read_json
from trainer.model.folder import load_model

STATISTICS = "latents.json"
"""Beside an autoencoder's own files: mean and standard deviation of each latent channel."""
BOUND = 1e30
"""No mean or standard deviation of float32 latents reaches it."""


class Autoencoder:
    """An autoencoder of images, frozen. Latents are the model's own; `normalise` brings them to mean 0, variance 1.

    channels: C of a latent. factor: pixels per latent position, along each side. hash: names the weights.
    latent_mean, latent_std: (C,); 0 and 1 until `measure` is called, for an autoencoder that brings none (`measured`).
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model.eval().requires_grad_(False)
        self.device = next(iter(model.state_dict().values())).device
        with torch.no_grad():
            probe = self._latent(torch.zeros(1, 3, 64, 64, device=self.device))
        self.channels: int = probe.shape[1]
        self.factor: int = 64 // probe.shape[2]
        self.hash = hash_of(model)
        self.measured = hasattr(model, "latent_std")
        self.latent_mean = getattr(model, "latent_mean", torch.zeros(self.channels)).clone().to(self.device)
        self.latent_std = getattr(model, "latent_std", torch.ones(self.channels)).clone().to(self.device)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], any H and W → (B, C, ⌈H/f⌉, ⌈W/f⌉); the mode, of a distribution."""
        height, width = x.shape[-2:]
        down, right = -height % self.factor, -width % self.factor
        # reflection is the smoother continuation, but it cannot reach past a picture smaller than itself
        mode = "reflect" if down < height and right < width else "replicate"
        return self._latent(F.pad(x, (0, right, 0, down), mode=mode))

    @torch.no_grad()
    def decode(self, z: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(B, C, h, w) → (B, 3, H, W), not clipped; `size` (H, W) crops what `encode` padded."""
        decoded = self.model.decode(z)
        x = decoded if isinstance(decoded, Tensor) else decoded.sample
        return x if size is None else x[..., : size[0], : size[1]]

    def normalise(self, z: Tensor) -> Tensor:
        """Raw latents (…, C, h, w) as (z - μ) / σ."""
        return (z - self.latent_mean[:, None, None]) / self.latent_std[:, None, None]

    def denormalise(self, z: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return z * self.latent_std[:, None, None] + self.latent_mean[:, None, None]

    def measure(self, images: list[Tensor]) -> None:
        """Sets mean and standard deviation per channel to those over the latents of images, each (3, H, W)."""
        latents = torch.cat(
            [self.encode(image[None].to(self.device)).flatten(2)[0].double() for image in images], dim=1
        )
        self.latent_mean = latents.mean(1).float()
        self.latent_std = latents.std(1).clamp(min=1e-4).float()
        self.measured = True

    @property
    def statistics_hash(self) -> str:
        """sha256 of mean and standard deviation per channel: what `normalise` does, besides the weights."""
        both = torch.stack([self.latent_mean, self.latent_std]).cpu().float()
        return hashlib.sha256(both.numpy().tobytes()).hexdigest()

    def save(self, folder: Path) -> None:
        """A folder that `load_autoencoder` reads back bit for bit; diffusers reads it too."""
        self.model.save_pretrained(folder)
        statistics = {"mean": self.latent_mean.tolist(), "std": self.latent_std.tolist()}
        (folder / STATISTICS).write_text(json.dumps(statistics) + "\n", encoding="utf-8")

    def to(self, device: str | torch.device) -> Autoencoder:
        self.model.to(device)
        self.device = torch.device(device)
        self.latent_mean, self.latent_std = self.latent_mean.to(device), self.latent_std.to(device)
        return self

    def _latent(self, x: Tensor) -> Tensor:
        encoded: Any = self.model.encode(x)
        if isinstance(encoded, Tensor):
            return encoded
        if hasattr(encoded, "latent_dist"):
            return encoded.latent_dist.mode()
        return encoded.latent if hasattr(encoded, "latent") else encoded.latents


def load_autoencoder(path: str | Path, device: str | torch.device = "cpu") -> Autoencoder:
    """Our autoencoder, or any image autoencoder of diffusers, from a folder in diffusers layout. Raises UserError.

    >>> autoencoder = load_autoencoder("runs/tiny/weights/autoencoder")
    >>> z = autoencoder.encode(x)  # x: (B, 3, H, W) in [-1, 1]
    """
    folder = Path(path)
    where = f"autoencoder {folder}/config.json"
    try:
        name = read_json(folder / "config.json", where, "copy the folder again").get("_class_name")
    except FileNotFoundError:
        raise UserError(f"autoencoder {folder}: no config.json; give the folder of a diffusers autoencoder") from None
    known = _class_of(name, folder)
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"autoencoder {folder}: no .safetensors beside its config.json; copy the folder again")
    try:
        autoencoder = Autoencoder(load_model(known, folder).to(device))
    except Exception as error:  # a model of something else than images fails in its own ways
        raise UserError(
            f"autoencoder {folder}: its weights do not load as {name} of images ({one_line(error)})"
        ) from None
    if (folder / STATISTICS).is_file():
        mean, std = _read_statistics(folder / STATISTICS, autoencoder.channels)
        autoencoder.latent_mean, autoencoder.latent_std = mean.to(device), std.to(device)
        autoencoder.measured = True
    return autoencoder


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


def hash_of(model: nn.Module) -> str:
    """sha256 over the class, the names and the bytes of the weights: the same wherever and however they are stored."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _class_of(name: Any, folder: Path) -> Any:
    if name == "KLTAutoencoder":
        from trainer.autoencoder.klt import KLTAutoencoder

        return KLTAutoencoder
    import diffusers

    if isinstance(name, str) and "Autoencoder" in name and hasattr(diffusers, name):
        return getattr(diffusers, name)
    raise UserError(
        f"autoencoder {folder}: config.json names the class {name!r}; give an image autoencoder of diffusers "
        "(AutoencoderKL, AutoencoderDC, AutoencoderTiny, …) or one that this trainer wrote"
    )
