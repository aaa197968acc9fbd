"""The whole way from two pictures to one, as modules whose operations a file can hold: no tiles, no branches."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.graph import fuse_base, thumbnails
from trainer.frozen.text import Prompts
from trainer.inference.lattice import of_network
from trainer.model.dit import FusionDiT
from trainer.model.inputs import THUMBNAIL, Inputs, Whole


class Open(nn.Module):
    """A regression for any sentence: a, b, their closed-form fusion, and an encoded prompt → the picture.

    a, b, base, the result: (1, 3, H, W) in [0, 1], H and W multiples of `multiple`. tokens: (1, L, D), mask: (1, L)
    bool, pooled: (1, D), as `Prompts`.
    """

    def __init__(self, network: FusionDiT, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.network = network
        self.autoencoder = copy.copy(autoencoder)
        self.autoencoder.tile, self.autoencoder.precision = None, "fp32"

    @property
    def multiple(self) -> int:
        """Pixels of which sides are multiples: an hourglass joins latent positions by twos."""
        return 2 * self.autoencoder.factor

    def forward(self, a: Tensor, b: Tensor, base: Tensor, tokens: Tensor, mask: Tensor, pooled: Tensor) -> Tensor:
        return self.fused(a * 2 - 1, b * 2 - 1, base * 2 - 1, Prompts(tokens, mask, pooled))

    def fused(self, a: Tensor, b: Tensor, base: Tensor, prompts: Prompts) -> Tensor:
        """The picture in [0, 1] of pictures in [-1, 1]."""
        latents = self.autoencoder.normalise(self.autoencoder.encode(torch.cat([a, b, base])))
        z_a, z_b, z_base = latents[:, None].unbind(0)
        seen = ((base + 1) * 127.5).round() / 127.5 - 1  # as bytes, as Fuser shows it
        glance = torch.cat([thumbnails(picture, THUMBNAIL) for picture in (a, b, seen)], dim=1)
        whole = Whole(glance, glance.new_tensor([[0.0, 0.0, 1.0, 1.0]]))
        inputs = Inputs(z_a, z_b, z_base, prompts, torch.stack([a, b, seen], dim=1), whole)
        picture = self.network(inputs, decode=self._decoded).picture
        assert picture is not None
        picture = picture - of_network(picture, self.multiple, seen)
        return picture.float().add(1).div(2).clamp(0, 1)

    def _decoded(self, z: Tensor) -> Tensor:
        return self.autoencoder.decode(self.autoencoder.denormalise(z))


class Baked(nn.Module):
    """The same for one sentence: a and b → the picture, their closed-form fusion within."""

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def __init__(self, beneath: Open, prompts: Prompts) -> None:
        super().__init__()
        self.beneath = beneath
        for name, value in zip(Prompts._fields, prompts, strict=True):
            self.register_buffer(name, value)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = a * 2 - 1, b * 2 - 1
        return self.beneath.fused(a, b, fuse_base(a, b), Prompts(self.tokens, self.mask, self.pooled))
