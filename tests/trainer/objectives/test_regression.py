"""The regression: what its loss counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainer.data.batches import Batch
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import Prompts
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Decode, Estimate, Inputs
from trainer.objectives import Noise, make_objective
from trainer.objectives.regression import RegressionConfig


@pytest.mark.parametrize(
    ("counts", "of"),
    [("square", lambda e: e), ("root", lambda e: (e + 1e-6).sqrt()), ("log", lambda e: (e + 1e-3).log())],
)
def test_the_loss_is_of_the_unexplained_share_of_the_raw_variance(counts: str, of: Callable[[Tensor], Tensor]) -> None:
    std = torch.tensor([4.0, 1.0])
    model = FusionDiT(2, 8, 8, {"width": 16, "depth": 1, "heads": 1, "patches": False})
    zero = torch.zeros(3, 2, 8, 8)
    target = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    prompts = Prompts(torch.zeros(3, 4, 8), torch.ones(3, 4, dtype=torch.bool), torch.zeros(3, 8))
    autoencoder = Autoencoder(KLTAutoencoder(2))
    autoencoder.latent_std = std
    objective = make_objective(RegressionConfig(counts=counts), autoencoder)  # type: ignore[arg-type]
    batch = Batch(Inputs(zero, zero, zero, prompts), target, ("x", "y", "z"), range(3))
    losses = objective.loss(model, batch, Noise(0, batch.positions))  # ẑ = base = 0
    raw = target * std[:, None, None]
    assert losses.shown().keys() == {"loss"}
    torch.testing.assert_close(losses.per_sample, of((raw**2).sum(1).mean((1, 2)) / (std**2).sum()))


class Listening:
    """A network that keeps what it was given."""

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        self.prompts = inputs.prompts
        return Estimate(inputs.base)


def test_instructions_are_dropped_by_share_and_by_position_alone() -> None:
    zero, network = torch.zeros(400, 2, 1, 1), Listening()
    prompts = Prompts(torch.ones(400, 3, 8), torch.ones(400, 3, dtype=torch.bool), torch.ones(400, 8))
    objective = make_objective(RegressionConfig(prompt_dropout=0.25), Autoencoder(KLTAutoencoder(2)))
    batch = Batch(Inputs(zero, zero, zero, prompts), zero, ("",) * 400, range(400))
    objective.loss(network, batch, Noise(0, batch.positions))
    said = network.prompts.mask.all(1)
    assert 0.65 < said.float().mean() < 0.85
    assert torch.equal(network.prompts.mask.any(1), said)
    assert torch.equal(network.prompts.pooled.amax(1).bool(), said)
    last = batch._replace(inputs=Inputs(*(z[:9] for z in (zero,) * 3), Prompts(*(p[:9] for p in prompts))))
    objective.loss(network, last._replace(target=zero[:9], positions=range(391, 400)), Noise(0, range(391, 400)))
    assert torch.equal(network.prompts.mask.all(1), said[391:])
