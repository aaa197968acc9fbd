"""Any autoencoder behind `encode` and `decode`: our own, or one of diffusers."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.frozen.tiles import tiled

STATISTICS = "latents.json"
"""Beside an autoencoder's own files: mean and standard deviation of each latent channel."""
TILE = 1024
"""Pixels along the side of a tile; what has more than TILE² pixels is encoded and decoded in tiles."""
OVERLAP = 192
"""Pixels by which neighbouring tiles overlap, at least."""
PROBE = 64
"""Pixels along the side of the picture by which channels and factor of an autoencoder are found."""

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
"""Of the matrix products; weights and results are fp32. auto: fp32 on a CPU; on a GPU bf16, and fp16 for our own."""
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Autoencoder:
    """An autoencoder of images, frozen. Latents are the model's own; `normalise` brings them to mean 0, variance 1.

    channels: C of a latent. factor: pixels per latent position, along each side. hash: names the weights.
    latent_mean, latent_std: (C,); the model's own, or those of a diffusers config (scaling_factor and shift_factor, or
    latents_mean and latents_std), else 0 and 1 until `measure` is called (`measured`).
    tile: side of the tiles in pixels, None for never; see TILE.

    Raises ValueError where the model does not bring a picture to latents and back.
    """

    def __init__(self, model: nn.Module, precision: Precision = "auto", tile: int | None = TILE) -> None:
        self.model = cast(Any, model).eval().requires_grad_(False)
        self.precision: Precision = precision
        self.hash = hash_of(self.model)
        self.device = next(iter(self.model.state_dict().values())).device
        self._frames = False
        self._probe()
        self.tile = tile
        if not self._frames:
            self.model.to(memory_format=torch.channels_last)
        mean, std = _statistics_of(model, self.channels)
        self.measured = std is not None
        self.latent_mean = (torch.zeros(self.channels) if mean is None else mean).to(self.device)
        self.latent_std = (torch.ones(self.channels) if std is None else std).to(self.device)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], any H and W → (B, C, ⌈H/f⌉, ⌈W/f⌉); the mode, of a distribution."""
        x = self.filled(x)
        if not self._in_tiles(*x.shape[-2:]):
            return self._encode(x)
        tile, overlap = (side * self.factor for side in self._tiles())
        return tiled(self._encode, (x,), tile, overlap, self.factor, (1, self.factor))

    def filled(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) continued to the right and below up to whole latent positions."""
        height, width = x.shape[-2:]
        down, right = -height % self.factor, -width % self.factor
        if not down and not right:
            return x
        # reflection is the smoother continuation, but it cannot reach past a picture smaller than itself
        mode = "reflect" if down < height and right < width else "replicate"
        return F.pad(x, (0, right, 0, down), mode=mode)

    @torch.no_grad()
    def decode(self, z: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(B, C, h, w) → (B, 3, H, W), not clipped; `size` (H, W) crops what `encode` padded."""
        if self._in_tiles(*(side * self.factor for side in z.shape[-2:])):
            x = tiled(self._decode, (z,), *self._tiles(), 1, (self.factor, 1))
        else:
            x = self._decode(z)
        return x if size is None else x[..., : size[0], : size[1]]

    def decode_for_loss(self, z: Tensor, size: tuple[int, int]) -> Tensor:
        """`decode`, through which a gradient reaches z; never in tiles, in the precision of what surrounds it."""
        decoded: Any = self.model.decode(z[:, :, None] if self._frames else z)
        x = decoded if isinstance(decoded, Tensor) else decoded.sample
        return (x[:, :, 0] if self._frames else x).float()[..., : size[0], : size[1]]

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
        self.model.to(memory_format=torch.contiguous_format).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config.pop("_name_or_path", None)  # diffusers notes the folder of this machine that it was loaded from
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        if not self._frames:
            self.model.to(memory_format=torch.channels_last)
        statistics = {"mean": self.latent_mean.tolist(), "std": self.latent_std.tolist()}
        (folder / STATISTICS).write_text(json.dumps(statistics) + "\n", encoding="utf-8")

    def to(self, device: str | torch.device) -> Autoencoder:
        self.model.to(device)
        self.device = torch.device(device)
        self.latent_mean, self.latent_std = self.latent_mean.to(device), self.latent_std.to(device)
        return self

    def _tiles(self) -> tuple[int, int]:
        """Sides of a tile and of its overlap in latent positions."""
        assert self.tile is not None
        return max(self.tile // self.factor, 4), max(min(OVERLAP, self.tile // 2) // self.factor, 1)

    def _in_tiles(self, height: int, width: int) -> bool:
        return self.tile is not None and height * width > self.tile**2

    def _compute(self) -> AbstractContextManager[Any]:
        precision = self.precision
        if precision == "auto":
            own = hasattr(self.model, "latent_std")  # bounded, so that fp16, the finer of the two, holds it
            precision = "fp32" if self.device.type == "cpu" else "fp16" if own else "bf16"
        return torch.autocast(self.device.type, DTYPES[precision]) if precision in DTYPES else nullcontext()

    def _encode(self, x: Tensor) -> Tensor:
        x = x[:, :, None] if self._frames else x.contiguous(memory_format=torch.channels_last)
        with self._compute():
            encoded: Any = self.model.encode(x)
        if hasattr(encoded, "latent_dist"):
            encoded = encoded.latent_dist.mode()
        elif not isinstance(encoded, Tensor):
            encoded = encoded.latent if hasattr(encoded, "latent") else encoded.latents
        return (encoded[:, :, 0] if self._frames else encoded).float()

    def _decode(self, z: Tensor) -> Tensor:
        with self._compute():
            decoded: Any = self.model.decode(z[:, :, None] if self._frames else z)
        x = decoded if isinstance(decoded, Tensor) else decoded.sample
        return (x[:, :, 0] if self._frames else x).float()

    @torch.no_grad()
    def _probe(self) -> None:
        """Finds channels and factor, and whether the model wants a picture as a film of one frame."""
        x, refused = torch.zeros(1, 3, PROBE, PROBE, device=self.device), None
        for self._frames in (False, True):
            try:
                z = self._encode(x)
                y = self._decode(z)
            except Exception as error:  # a model of something else than images fails in its own ways
                refused = refused or error
                continue
            if z.ndim == 4 and y.shape == x.shape and PROBE % z.shape[2] == 0:
                self.channels, self.factor = int(z.shape[1]), PROBE // int(z.shape[2])
                return
        raise ValueError(f"not from images to images: {refused or 'another size comes back'}")


def hash_of(model: nn.Module) -> str:
    """sha256 over the class, the names and the bytes of the weights: the same wherever and however they are stored."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _statistics_of(model: nn.Module, channels: int) -> tuple[Tensor | None, Tensor | None]:
    """Mean and standard deviation of the latents, (C,) each, as the model or its diffusers config has them.

    A pipeline of diffusers takes (z - shift_factor) · scaling_factor, or (z - latents_mean) / latents_std. The factor 1
    stands for none.
    """
    if hasattr(model, "latent_std"):
        return model.latent_mean.clone(), model.latent_std.clone()  # type: ignore[operator]
    config: Any = getattr(model, "config", {})
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and std is not None and len(mean) == len(std) == channels:
        return torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)
    factor, shift = config.get("scaling_factor"), config.get("shift_factor") or 0.0
    if not factor or factor == 1:
        return None, None
    return torch.full((channels,), float(shift)), torch.full((channels,), 1 / float(factor))
