"""The loss on the difference of a couple's outputs, by the formula written out for each couple."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.data.batches import Batch, Crops
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import Prompts
from trainer.model.inputs import Decode, Estimate, Inputs
from trainer.objectives import Losses, Noise, make_objective
from trainer.objectives.flow import FlowConfig
from trainer.objectives.pictures import PictureStage
from trainer.objectives.regression import RegressionConfig

STD = torch.tensor([3.0, 1.0])


class Says:
    """A network that estimates what it is told to, and shows such a picture."""

    def __init__(self, z: Tensor, picture: Tensor | None = None) -> None:
        self.z, self.picture, self.t = z, picture, torch.zeros(0)

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        self.mask, self.z_t = inputs.prompts.mask, z_t
        self.t = self.t if t is None else t
        return Estimate(self.z, picture=None if decode is None else self.picture)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def loss(config: Any, network: Says, couples: bool, crops: Crops | None = None) -> Losses:
    autoencoder = Autoencoder(KLTAutoencoder(2))
    autoencoder.latent_std = STD
    zero, prompts = torch.zeros(4, 2, 4, 4), Prompts(torch.ones(4, 3, 8), torch.ones(4, 3).bool(), torch.ones(4, 8))
    batch = Batch(Inputs(zero, zero, zero, prompts), drawn(4, 2, 4, 4, seed=1), ("",) * 4, range(8, 12), crops)
    batch = batch._replace(couples=couples, share=0.9)
    return make_objective(config, autoencoder).loss(network, batch, Noise(0, batch.draws))


def error(difference: Tensor) -> Tensor:
    """Of one latent, (C, h, w): in raw latents, over their variance."""
    return ((difference * STD[:, None, None]) ** 2).sum(0).mean() / (STD**2).sum()


def test_of_latents_it_is_the_root_of_the_error_of_the_difference_and_both_of_a_couple_have_it() -> None:
    z, target = drawn(4, 2, 4, 4, seed=2), drawn(4, 2, 4, 4, seed=1)
    plain, couples = (loss(RegressionConfig(difference=0.5), Says(z), which) for which in (False, True))
    expected = [error((z[i] - z[j]) - (target[i] - target[j])) for i, j in ((0, 1), (0, 1), (2, 3), (2, 3))]
    expected_of_all = 0.5 * (torch.stack(expected) + 1e-6).sqrt()
    torch.testing.assert_close(couples.parts["difference"], expected_of_all)
    torch.testing.assert_close(couples.per_sample, plain.per_sample + expected_of_all)
    assert "difference" not in plain.parts


def test_what_both_outputs_have_wrong_costs_nothing_there() -> None:
    target, wrong = drawn(4, 2, 4, 4, seed=1), drawn(2, 2, 4, 4, seed=3).repeat_interleave(2, dim=0)
    losses = loss(RegressionConfig(counts="square"), Says(target + wrong), couples=True)
    assert float(losses.parts["difference"].max()) < 1e-10
    assert float(losses.per_sample.min()) > 0.1


def test_of_pictures_it_counts_all_that_the_stage_does() -> None:
    z, target = drawn(4, 2, 4, 4, seed=2), drawn(4, 2, 4, 4, seed=1)
    picture, wanted = drawn(4, 3, 8, 8, seed=4), drawn(4, 3, 8, 8, seed=5)
    stage = PictureStage(start=0.5, latent=0.25, l1=0.1, gradient=0.2)
    losses = loss(RegressionConfig(pictures=stage), Says(z, picture), True, Crops(wanted, wanted, wanted))
    for i, j in ((0, 1), (1, 0), (2, 3)):
        latent = (error((z[i] - z[j]) - (target[i] - target[j])) + 1e-6).sqrt()
        apart = ((picture[i] - picture[j]) - (wanted[i] - wanted[j])) / 2
        gradient = apart.diff(dim=1).abs().mean() + apart.diff(dim=2).abs().mean()
        of_picture = ((apart**2).mean() + 1e-6).sqrt() + 0.1 * apart.abs().mean() + 0.2 * gradient
        torch.testing.assert_close(losses.parts["difference"][i], of_picture + 0.25 * latent)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_flow_has_both_of_a_couple_at_one_time_from_one_noise(weight: float) -> None:
    z, target = drawn(4, 2, 4, 4, seed=2), drawn(4, 2, 4, 4, seed=1)
    network = Says(z)
    losses = loss(FlowConfig(start="noise", difference=weight), network, couples=True)
    t = network.t
    assert torch.equal(t[::2], t[1::2])
    assert t[0] != t[2]
    assert network.z_t is not None
    noise = (network.z_t - t[:, None, None, None] * target) / (1 - t[:, None, None, None])
    torch.testing.assert_close(noise[::2], noise[1::2], atol=1e-4, rtol=1e-4)
    assert ("difference" in losses.parts) == bool(weight)
    if weight:
        expected = error((z[0] - z[1]) - (target[0] - target[1])) * min(16.0, float((1 - t[0]) ** -2))
        torch.testing.assert_close(losses.parts["difference"][:2], expected.repeat(2))


def test_both_of_a_couple_lose_their_instruction_or_none() -> None:
    network, config, seen = Says(drawn(4, 2, 4, 4, seed=2)), RegressionConfig(prompt_dropout=0.5), set()
    loss(config, network, couples=True)
    for seed in range(12):
        autoencoder, zero = Autoencoder(KLTAutoencoder(2)), torch.zeros(4, 2, 4, 4)
        prompts = Prompts(torch.ones(4, 3, 8), torch.ones(4, 3).bool(), torch.ones(4, 8))
        batch = Batch(Inputs(zero, zero, zero, prompts), zero, ("",) * 4, range(4), couples=True)
        make_objective(config, autoencoder).loss(network, batch, Noise(seed, batch.draws))
        said = network.mask.all(1).tolist()
        assert said[::2] == said[1::2]
        seen.add((said[0], said[2]))
    assert len(seen) > 2
