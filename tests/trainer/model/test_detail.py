"""The stage over the decoded picture: what it is before it learns, what it sees, who trains it, and its tiles."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.trainer.model.test_dit import build, inputs
from trainer.data.batches import Batch, Crops
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import Prompts
from trainer.inference import tiles
from trainer.model.config import NetworkConfig
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs
from trainer.objectives import Noise, make_objective
from trainer.objectives.pictures import PictureStage
from trainer.objectives.regression import RegressionConfig

FORM = {"detail": {"width": 8, "blocks": 2}}


def decoded(z: Tensor) -> Tensor:
    """Some picture of a latent."""
    return torch.nn.functional.interpolate(z[:, :3], scale_factor=2, mode="nearest")


def test_before_it_learns_it_leaves_the_decoded_picture_as_it_is() -> None:
    given = inputs()
    made = build(trained=False, **FORM)(given, decode=decoded)
    assert made.picture is not None
    assert torch.equal(made.picture, decoded(made.z))
    without = build()(given, decode=decoded)
    assert without.hints is None
    assert torch.equal(without.picture, decoded(without.z)), "without a stage the picture is the decoder's"


@torch.no_grad()
def test_it_sees_the_picture_the_inputs_and_what_the_positions_found() -> None:
    model, given = build(**FORM), inputs()
    assert given.pixels is not None
    hints = model(given).hints
    assert hints is not None
    assert model.detail is not None
    picture = decoded(given.base)
    expected = model.detail(picture, given.pixels, hints) - picture
    others = {"picture": (picture + 0.1, given.pixels, hints), "hints": (picture, given.pixels, hints + 0.5)}
    for number, name in enumerate(("a", "b", "base")):
        changed = given.pixels.clone()
        changed[:, number] += 0.1
        others[name] = (picture, changed, hints)
    for name, (seen, pixels, told) in others.items():
        assert not torch.allclose(model.detail(seen, pixels, told) - seen, expected), name


def test_pixels_may_be_bytes() -> None:
    model, given = build(**FORM), inputs()
    pixels = torch.randint(0, 256, (2, 3, 3, 12, 10), dtype=torch.uint8)
    hints, picture = model(given).hints, decoded(given.base)
    assert hints is not None
    assert model.detail is not None
    expected = model.detail(picture, pixels.float() / 127.5 - 1, hints)
    torch.testing.assert_close(model.detail(picture, pixels, hints), expected)


@torch.no_grad()
def test_in_tiles_it_makes_the_same_picture() -> None:
    model, given = build(**FORM), inputs(40, 52)
    assert model.detail is not None
    for block in model.detail.blocks:  # what looks at the whole differs from tile to tile; all else is local
        block.channels.weight.zero_()
    for block in model.blocks:
        block.attention.out.weight.zero_()
        block.words.out.weight.zero_()
        block.naf.channels.weight.zero_()
        block.position.places.zero_()
    whole = model(given, decode=decoded).picture
    in_tiles = tiles.InTiles(model, side=24, overlap=12)(given, decode=decoded).picture
    torch.testing.assert_close(in_tiles, whole, atol=1e-3, rtol=0)


def picture_batch(share: float) -> tuple[FusionDiT, Autoencoder, Batch]:
    autoencoder = Autoencoder(KLTAutoencoder(8))
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = autoencoder.normalise(autoencoder.encode(target))
    prompts = Prompts(torch.zeros(2, 4, 16), torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 16))
    given = Inputs(z, z, z, prompts, torch.stack([target] * 3, dim=1))
    network = {"width": 32, "depth": 1, "heads": 2} | FORM
    model = FusionDiT(8, autoencoder.factor, 16, NetworkConfig.model_validate(network).model_dump())
    return model, autoencoder, Batch(given, z, ("x", "y"), range(2), Crops(target, target, -target), share=share)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_only_a_loss_of_pictures_trains_it(share: float) -> None:
    model, autoencoder, batch = picture_batch(share)
    objective = make_objective(RegressionConfig(pictures=PictureStage(start=0.5)), autoencoder)
    objective.loss(model, batch, Noise(0, batch.positions)).per_sample.mean().backward()
    assert model.detail is not None
    assert (model.detail.out.weight.grad is not None) == (share >= 0.5)


def test_it_learns_what_the_latents_cannot_say() -> None:
    model, autoencoder, batch = picture_batch(1.0)
    model.requires_grad_(False)
    assert model.detail is not None
    assert batch.crops is not None
    model.detail.requires_grad_(True)
    batch = batch._replace(crops=batch.crops._replace(target=batch.crops.a))  # sharper than eight channels hold
    config = RegressionConfig(counts="square", pictures=PictureStage(start=0.0))
    objective = make_objective(config, autoencoder)
    optimizer = torch.optim.Adam(model.detail.parameters(), 3e-3)
    found = []
    for _ in range(60):
        losses = objective.loss(model, batch, Noise(0, batch.positions))
        losses.per_sample.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(float(losses.parts["picture"].detach().mean()))
    assert found[-1] < 0.5 * found[0]
