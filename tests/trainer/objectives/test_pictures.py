"""The stage of the loss that looks at decoded pictures: when, what it counts, and whom its gradient reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.helpers import assert_same_bits, log_of
from trainer.config import load_config
from trainer.data.batches import Batch, Crops
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import Prompts
from trainer.model.inputs import Decode, Estimate, Inputs
from trainer.objectives import Noise, make_objective
from trainer.objectives.pictures import PictureStage, picture_errors
from trainer.objectives.regression import RegressionConfig
from trainer.training.loop import train

ALL = PictureStage(l1=0.5, gradient=0.25, fft=0.1, ms_ssim=0.2)
ConfigFile = Callable[..., str]


def pictures(count: int = 2, side: int = 64) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_every_error_is_zero_for_an_exact_picture_and_positive_for_another() -> None:
    y = pictures()
    exact, other = picture_errors(y, y, ALL), picture_errors(-y, y, ALL)
    assert exact.keys() == other.keys() == {"picture", "l1", "gradient", "fft", "ms_ssim"}
    for name, value in exact.items():
        torch.testing.assert_close(value, torch.zeros(2), msg=name)
        assert (other[name] > 0.001).all(), name
    assert picture_errors(y, y, PictureStage(l1=0, gradient=0)).keys() == {"picture"}, "what has no weight is not done"


def test_errors_are_those_of_values_in_the_unit_range() -> None:
    x, y = pictures(), pictures().flip(0)
    found = {name: value.double().numpy() for name, value in picture_errors(x, y, ALL).items()}
    a, b = (((t + 1) / 2).double().numpy() for t in (x, y))
    np.testing.assert_allclose(found["picture"], ((a - b) ** 2).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found["l1"], 0.5 * abs(a - b).mean((1, 2, 3)), rtol=1e-5)
    steep = sum(abs(np.diff(a, axis=axis) - np.diff(b, axis=axis)).mean((1, 2, 3)) for axis in (2, 3))
    np.testing.assert_allclose(found["gradient"], 0.25 * steep, rtol=1e-5)
    spectrum = np.fft.rfft2(a - b, norm="ortho")
    expected = 0.1 * (abs(spectrum.real) + abs(spectrum.imag)).mean((1, 2, 3)) / 2
    np.testing.assert_allclose(found["fft"], expected, rtol=1e-4)


class Shifted:
    """A network whose estimate is the base and one number."""

    def __init__(self) -> None:
        self.shift = torch.tensor(0.3, requires_grad=True)

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        z = inputs.base + self.shift
        return Estimate(z, picture=decode and decode(z))


def test_the_stage_begins_at_its_share_and_its_gradient_reaches_the_network_alone() -> None:
    autoencoder, network = Autoencoder(KLTAutoencoder(16)), Shifted()
    target = pictures()
    z = autoencoder.normalise(autoencoder.encode(target))
    prompts = Prompts(torch.zeros(2, 4, 8), torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 8))
    batch = Batch(Inputs(z, z, z, prompts), z, ("x", "y"), range(2), Crops(target, target, target), share=0.4)
    config = RegressionConfig(pictures=PictureStage(start=0.5, latent=0.25))
    staged, plain = (make_objective(each, autoencoder) for each in (config, RegressionConfig()))
    assert (staged.needs_pictures, plain.needs_pictures) == (True, False)
    noise = Noise(0, batch.positions)
    before = staged.loss(network, batch, noise)
    torch.testing.assert_close(before.per_sample, plain.loss(network, batch, noise).per_sample)
    assert set(before.shown()) == {"loss"}
    after = staged.loss(network, batch._replace(share=0.5), noise)
    assert set(after.shown()) == {"loss", *(f"loss/{name}" for name in ("picture", "l1", "gradient", "latent"))}
    torch.testing.assert_close(after.parts["latent"], 0.25 * before.per_sample)
    torch.testing.assert_close(after.per_sample, sum(after.parts.values(), torch.zeros(2)))
    after.per_sample.mean().backward()
    assert network.shift.grad is not None
    assert float(network.shift.grad) > 0
    assert all(parameter.grad is None for parameter in autoencoder.model.parameters())


@pytest.mark.parametrize("power", [0.25, 0.75])
def test_other_powers_of_the_error_lie_between_those_with_names(power: float) -> None:
    config = RegressionConfig(counts=power)
    objective = make_objective(config, Autoencoder(KLTAutoencoder(2)))
    z = torch.full((1, 2, 4, 4), 0.0)
    prompts = Prompts(torch.zeros(1, 4, 8), torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 8))
    batch = Batch(Inputs(z, z, z, prompts), z, ("x",), range(1))
    loss = objective.loss(Shifted(), batch, Noise(0, range(1))).per_sample
    torch.testing.assert_close(loss, torch.tensor([(0.09 + 1e-6) ** power]))


def test_a_run_is_the_same_where_it_pauses_at_the_stage(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    objective = {"kind": "regression", "pictures": {"start": 0.5}}
    config = load_config(config_file(), {"objective": objective})
    train(config, [str(dataset)], tmp_path / "whole", device="cpu")
    train(config, [str(dataset)], tmp_path / "parts", device="cpu", stop_after=50)
    train(config, [str(dataset)], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)
    assert ["loss/picture" in line for line in log_of(tmp_path / "parts")] == [False, False, True, True, True]
