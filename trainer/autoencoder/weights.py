"""From a trained autoencoder to the folder that is shipped: units of its latents, their mean and scale, fp16."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.pictures import Pictures
from trainer.data.images import to_tensor
from trainer.frozen.autoencoder import STATISTICS

SEED = 2**31 + 1
"""Of the crops that latents are measured on."""
COUNT = 256
"""Their number."""
PROBES, STEP = 4, 0.01
"""Crops by which the worth of a channel is measured, and the noise that is put on it for that, in units of pixels."""


@torch.no_grad()
def write_weights(
    model: ResidualKLTAutoencoder, pictures: Pictures, side: int, folder: Path, device: torch.device
) -> None:
    """Writes the model in fp16, its latents brought to the units of pixels, and mean and scale of their channels.

    side: of the crops that they are measured on. After it an error of 1 in any one latent number is a summed
    squared error of 1 in the pixels, as with the KLT: so the variance of a channel is what it is worth, which the loss
    of the DiT takes for its weight.
    """
    crops = pictures.crops(SEED, 0, COUNT, side)
    latents = torch.cat([model.encode(to_tensor([crop], device)).cpu() for crop in crops])  # (N, C, h, w)
    factors = worth(model, latents[:PROBES].to(device)).sqrt()
    flat = latents.transpose(0, 1).flatten(1).double()
    mean, std = (value.float().to(device) * factors for value in (flat.mean(1), flat.std(1)))
    model.rescale(factors, mean, std)
    model.half().save_pretrained(folder)
    statistics = {"mean": mean.tolist(), "std": std.tolist()}
    (folder / STATISTICS).write_text(json.dumps(statistics) + "\n", encoding="utf-8")


@torch.no_grad()
def worth(model: ResidualKLTAutoencoder, z: Tensor) -> Tensor:
    """(C,): summed squared change of the pixels by a small change of a latent number, over its square."""
    generator = torch.Generator().manual_seed(0)
    decoded = model.decode(z)
    values = []
    for channel in range(z.shape[1]):
        noise = torch.zeros_like(z)
        noise[:, channel] = STEP * torch.randn(z[:, channel].shape, generator=generator).to(z)
        values.append((model.decode(z + noise) - decoded).square().sum() / noise.square().sum())
    return torch.stack(values)
