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

STATISTICS = "latents.json"
"""Beside an autoencoder's own files: mean and standard deviation of each latent channel."""


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
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = config.get("_class_name") if isinstance(config, dict) else None
    except FileNotFoundError:
        raise UserError(f"autoencoder {folder}: no config.json; give the folder of a diffusers autoencoder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"autoencoder {folder}/config.json: cannot be read ({error})") from None
    known = _class_of(name, folder)
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"autoencoder {folder}: no .safetensors beside its config.json; copy the folder again")
    try:
        model = known.from_pretrained(folder, low_cpu_mem_usage=False, use_safetensors=True)
        autoencoder = Autoencoder(model.to(device))
    except Exception as error:  # diffusers and safetensors raise many kinds; all mean that these weights do not fit
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"autoencoder {folder}: its weights do not load as {name} of images ({reason})") from None
    if (folder / STATISTICS).is_file():
        statistics = json.loads((folder / STATISTICS).read_text(encoding="utf-8"))
        autoencoder.latent_mean = torch.tensor(statistics["mean"], device=device)
        autoencoder.latent_std = torch.tensor(statistics["std"], device=device)
        autoencoder.measured = True
    return autoencoder


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
