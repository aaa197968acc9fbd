"""Our own autoencoder: where it starts, and what its units are."""

from __future__ import annotations

import pytest
import torch

from tests.trainer.autoencoder.helpers import CPU, klt, pictures
from trainer.autoencoder.depthwise import DepthwiseConv2d
from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.weights import worth
from trainer.data.images import to_tensor
from trainer.frozen.klt import KLTAutoencoder


def moved(model: ResidualKLTAutoencoder, size: float = 0.02) -> ResidualKLTAutoencoder:
    """The model with other weights than those it starts with."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return model


def test_untrained_it_is_the_klt() -> None:
    made = pictures()
    full = klt(made)
    x = to_tensor(list(made.crops(1, 0, 2, 96)), CPU)
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(full)
    z = torch.nn.functional.conv2d(
        torch.nn.functional.pixel_unshuffle(x, 8) - full.mean[:, None, None], full.basis[:12, :, None, None]
    )
    torch.testing.assert_close(model.encode(x), z, atol=1e-5, rtol=1e-5)
    linear = KLTAutoencoder(12)
    linear.mean.copy_(full.mean)
    linear.basis.copy_(full.basis[:12])
    torch.testing.assert_close(model.decode(z), linear.decode(z), atol=1e-5, rtol=1e-5)


def test_other_units_of_the_latents_decode_to_the_same_picture() -> None:
    made = pictures()
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(made))
    moved(model)
    x = to_tensor(list(made.crops(1, 0, 2, 96)), CPU)
    before, z = model.decode(model.encode(x)), model.encode(x)
    factors = torch.linspace(0.2, 3, 12)
    model.rescale(factors, torch.zeros(12), torch.ones(12))
    torch.testing.assert_close(model.encode(x), z * factors[:, None, None], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.decode(model.encode(x)), before, atol=1e-4, rtol=1e-4)


def test_a_number_of_the_klt_is_worth_its_square() -> None:
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(pictures()))
    torch.testing.assert_close(worth(model, torch.randn(2, 12, 8, 8)), torch.ones(12), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_convolution_has_the_gradients_of_torch(kernel: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel)
    x = torch.randn(2, 6, 9, 11).contiguous(memory_format=torch.channels_last).requires_grad_()
    g = torch.randn(2, 6, 9, 11)
    ours = torch.autograd.grad(layer(x), (x, layer.weight, layer.bias), g)
    theirs = torch.autograd.grad(torch.nn.Conv2d.forward(layer, x), (x, layer.weight, layer.bias), g)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)
