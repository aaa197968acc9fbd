"""The Karhunen-Loève transform of 8x8 blocks as an autoencoder: needs no training, shows what a latent can hold."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from trainer.errors import UserError

FACTOR = 8
DIM = 3 * FACTOR * FACTOR


class KLTAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """The best linear autoencoder of 8x8x3 blocks in mean squared error (Karhunen 1947, Loève 1948; Hotelling 1933).

    A block is a vector p of 192 values. With m its mean and V the first C eigenvectors of its covariance, as rows,
    z = V (p - m) and p̂ = m + Vᵀ z. Rows are orthonormal, so the squared error of a latent is that of its pixels.
    """

    mean: Tensor
    basis: Tensor
    latent_std: Tensor

    @register_to_config
    def __init__(self, latent_channels: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DIM))  # m
        self.register_buffer("basis", torch.eye(latent_channels, DIM))  # V: (C, 192)
        self.register_buffer(
            "latent_std", torch.ones(latent_channels)
        )  # of z over the blocks of the fit; its mean is 0

    @property
    def latent_mean(self) -> Tensor:
        """(C,): zero, since m is subtracted."""
        return torch.zeros_like(self.latent_std)

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, C, H/8, W/8). H and W are multiples of 8."""
        blocks = F.pixel_unshuffle(x, FACTOR) - self.mean[:, None, None]  # (B, 192, H/8, W/8)
        return F.conv2d(blocks, self.basis[:, :, None, None])

    def decode(self, z: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 3, 8h, 8w), not clipped."""
        blocks = F.conv2d(z, self.basis.T[:, :, None, None]) + self.mean[:, None, None]
        return F.pixel_shuffle(blocks, FACTOR)

    @classmethod
    def fit(cls, images: Iterable[Tensor], latent_channels: int = 32) -> KLTAutoencoder:
        """Fits to all blocks of the images, each (3, H, W) in [-1, 1], H and W at least 8; sums in float64.

        Each eigenvector's largest entry is positive, so that equal images give equal latents. Raises UserError.
        """
        count, total = 0, torch.zeros(DIM, dtype=torch.float64)
        products = torch.zeros(DIM, DIM, dtype=torch.float64)
        for image in images:
            height, width = (size // FACTOR * FACTOR for size in image.shape[-2:])
            if not height or not width:
                raise UserError(
                    f"--shards: a sample of {image.shape[-1]}x{image.shape[-2]} px, and the KLT cuts pictures into "
                    f"blocks of {FACTOR}x{FACTOR}; make shards of a larger crop"
                )
            blocks = F.pixel_unshuffle(image[:, :height, :width].cpu().double(), FACTOR).flatten(1)  # (192, N)
            count += blocks.shape[1]
            total += blocks.sum(1)
            products += blocks @ blocks.T
        mean = total / count
        values, vectors = torch.linalg.eigh(products / count - torch.outer(mean, mean))
        values, basis = values.flip(0)[:latent_channels], vectors.T.flip(0)[:latent_channels]
        largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
        model = cls(latent_channels=latent_channels)
        model.mean.copy_(mean)
        model.basis.copy_(basis * largest.sign())
        model.latent_std.copy_(values.clamp(min=1e-8).sqrt())
        return model
