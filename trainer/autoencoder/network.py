"""Our own autoencoder: a linear transform of 8x8 blocks that starts as the KLT, and what a network adds to it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from trainer.autoencoder.depthwise import DepthwiseConv2d
from trainer.frozen.klt import DIM, FACTOR, KLTAutoencoder

FLOOR = 0.05
"""Standard deviation of a coefficient, in units of pixels in [-1, 1], under which its noise would be amplified."""
GAIN = (0.02, 0.3)
"""Range of the gains: standard deviations of the coefficients, clamped. What is kept needs but small corrections."""
EDGE_GAIN = 0.1
"""Of what is added at 1/2 resolution, in units of the picture in [-1, 1]."""
HALF = 3 * 2 * 2
"""Channels of a picture at half resolution: blocks of 2x2 pixels."""


class Block(nn.Module):
    """x + MLP(LayerNorm(depthwise convolution(x))) on (B, h, w, D) (Liu et al., "A ConvNet for the 2020s", 2022).

    The last layer starts at zero, so the block starts as the identity.
    """

    def __init__(self, width: int, kernel: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.space = DepthwiseConv2d(width, kernel)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(_last(self.space(_first(x))))
        return x + self.down(F.gelu(self.up(h), approximate="tanh"))


class EdgeBlock(nn.Module):
    """x + two convolutions of 3x3 with a ReLU between (Lim et al., "EDSR", 2017), on (B, D, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.hidden(x)))


class ResidualKLTAutoencoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers types config_name twice
    """Pictures (B, 3, H, W) in [-1, 1] ↔ latents (B, C, H/8, W/8), H and W multiples of 8.

    With w the KLT coefficients of the blocks of 8x8x3 pixels, (B, 192, h, w), strongest first, w' and z' the same in
    units of their standard deviations, and g gains:
      z = w[:C] + g (A w' + e(w')),  ŵ = (z, 0) + g (S z' + d(z')),  x̂ = the pixels of ŵ + r(x̂, d)
    A and S are linear, of 3x3 blocks: with the KLT a lapped transform (Malvar, Staelin, "The LOT", 1989). e and d are
    convolutional networks at 1/8 resolution; r is one at 1/2 resolution, for edges: of the picture, which it sharpens
    by the same rule wherever they lie in a block, and of the blocks. All but the KLT starts at zero. Inputs have unit
    variance, and what is added is no larger than can be of use (GAIN): so all parts learn at one rate. (Eight
    arguments: diffusers makes config.json of them.)
    """

    mean: Tensor
    basis: Tensor
    sigma: Tensor
    unit: Tensor
    latent_mean: Tensor
    latent_std: Tensor

    @register_to_config
    def __init__(  # noqa: PLR0913
        self,
        latent_channels: int = 32,
        width: int = 160,
        encoder_blocks: int = 4,
        decoder_blocks: int = 3,
        kernel: int = 5,
        mlp_ratio: float = 2.0,
        edge_width: int = 20,
        edge_blocks: int = 3,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DIM))  # of the blocks
        self.register_buffer("basis", torch.eye(DIM))  # a row a coefficient
        self.register_buffer("sigma", torch.ones(DIM))  # of the coefficients
        self.register_buffer("unit", torch.ones(latent_channels))  # what 1 is, in the latents' own units
        self.register_buffer("latent_mean", torch.zeros(latent_channels))  # of z, as are the next
        self.register_buffer("latent_std", torch.ones(latent_channels))
        self.analysis = nn.Conv2d(DIM, latent_channels, 3, padding=1)  # A
        self.synthesis = nn.Conv2d(latent_channels, DIM, 3, padding=1)  # S
        self.encoder_in = nn.Linear(DIM, width)
        self.encoder = nn.Sequential(*(Block(width, kernel, mlp_ratio) for _ in range(encoder_blocks)))
        self.encoder_norm = nn.LayerNorm(width)
        self.encoder_out = nn.Linear(width, latent_channels)
        self.decoder_in = nn.Conv2d(latent_channels, width, 3, padding=1)
        self.decoder = nn.Sequential(*(Block(width, kernel, mlp_ratio) for _ in range(decoder_blocks)))
        self.decoder_norm = nn.LayerNorm(width)
        self.decoder_out = nn.Linear(width, DIM)
        self.edge_in = nn.Linear(width, (FACTOR // 2) ** 2 * edge_width)
        both = HALF + edge_width
        self.edge_hidden = nn.Conv2d(both, both, 3, padding=1)
        self.edge = nn.Sequential(*(EdgeBlock(both) for _ in range(edge_blocks)))
        self.edge_out = nn.Conv2d(both, HALF, 3, padding=1)
        downs = [module.down for module in self.modules() if isinstance(module, (Block, EdgeBlock))]
        last: list[Any] = [self.analysis, self.synthesis, self.encoder_out, self.decoder_out, self.edge_out, *downs]
        for layer in last:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def start_from(self, klt: KLTAutoencoder) -> None:
        """Makes an untrained model equal to the KLT; `klt` has all 192 channels."""
        self.mean.copy_(klt.mean)
        self.basis.copy_(klt.basis)
        self.sigma.copy_(klt.latent_std)
        self.latent_std.copy_(klt.latent_std[: len(self.unit)])

    @torch.no_grad()
    def rescale(self, factors: Tensor, mean: Tensor, std: Tensor) -> None:
        """Multiplies each latent channel by its factor, (C,), and keeps what decodes from it as it was.

        mean, std: (C,) of the latents as they will be.
        """
        self.unit.mul_(factors)
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    def lapped_error(self, x: Tensor) -> Tensor:
        """Mean squared error of the round trip of x without e, d and r, that is of the linear path alone."""
        count = len(self.unit)
        w = _exact(_last(F.pixel_unshuffle(x, FACTOR)) - self.mean, self.basis)
        gain = self.sigma.clamp(*GAIN)
        z = w[..., :count] + gain[:count] * _last(self.analysis(_first(w / self.sigma.clamp(min=FLOOR))))
        added = gain * _last(self.synthesis(_first(z / self.sigma[:count])))
        return (F.pad(z, (0, DIM - count)) + added - w).square().mean()  # the KLT keeps sums of squares

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] → (B, C, H/8, W/8). H and W are multiples of 8."""
        count = len(self.unit)
        w = _exact(_last(F.pixel_unshuffle(x, FACTOR)) - self.mean, self.basis)  # (B, h, w, 192)
        scaled = w / self.sigma.clamp(min=FLOOR)
        h = self.encoder_norm(self.encoder(self.encoder_in(scaled).to(scaled.dtype)))  # a sum is no place for bf16
        added = _last(self.analysis(_first(scaled))) + self.encoder_out(h)
        return _first((w[..., :count] + self.sigma[:count].clamp(*GAIN) * added) * self.unit)

    def decode(self, z: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 3, 8h, 8w), not clipped."""
        w = _last(z.contiguous(memory_format=torch.channels_last)) / self.unit
        scaled = _first(w / self.sigma[: len(self.unit)])
        h = self.decoder_norm(self.decoder(_last(self.decoder_in(scaled)).to(scaled.dtype)))
        added = self.sigma.clamp(*GAIN) * (_last(self.synthesis(scaled)) + self.decoder_out(h))
        w = F.pad(w, (0, DIM - len(self.unit))) + added
        x = F.pixel_shuffle(_first(_exact(w, self.basis.T) + self.mean), FACTOR)
        edges = F.pixel_shuffle(_first(self.edge_in(h)), FACTOR // 2)
        edges = torch.cat([F.pixel_unshuffle(x, 2), edges], dim=1).contiguous(memory_format=torch.channels_last)
        edges = self.edge(F.relu(self.edge_hidden(edges)))
        return x + EDGE_GAIN * F.pixel_shuffle(self.edge_out(edges), 2)


def _exact(x: Tensor, matrix: Tensor) -> Tensor:
    """x (…, D) by a matrix of rows, in the matrix's own precision under autocast too: here is all the brightness."""
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x.to(matrix.dtype), matrix)


def _last(x: Tensor) -> Tensor:
    """(B, D, h, w) → (B, h, w, D): a view, contiguous where x is channels_last."""
    return x.permute(0, 2, 3, 1)


def _first(x: Tensor) -> Tensor:
    """(B, h, w, D) → (B, D, h, w), channels_last."""
    return x.permute(0, 3, 1, 2)
