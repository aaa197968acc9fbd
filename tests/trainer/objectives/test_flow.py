"""The flow: where its lines lead, what its loss counts, and what it draws."""

from __future__ import annotations

from typing import Any

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
from trainer.objectives.flow import Flow, FlowConfig

B = 64


def flow(**settings: Any) -> Flow:
    made = make_objective(FlowConfig(prompt_dropout=0, **settings), Autoencoder(KLTAutoencoder(2)))
    assert isinstance(made, Flow)
    return made


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    z_a, z_b, base, target = (torch.randn(B, 2, 4, 4, generator=generator) for _ in range(4))
    prompts = Prompts(torch.zeros(B, 3, 8), torch.ones(B, 3, dtype=torch.bool), torch.zeros(B, 8))
    return Batch(Inputs(z_a, z_b, base, prompts), target, ("",) * B, range(B))


class Knowing:
    """A network that knows the end of every line, missed by a distance; without a state it is a regression that is far
    off."""

    def __init__(self, target: Tensor, by: float = 0.0) -> None:
        self.target, self.by = target, by
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(
        self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
    ) -> Estimate:
        if z_t is None or t is None:
            return Estimate(-inputs.base)
        self.seen.append((z_t, t))
        return Estimate(self.target + self.by)


@pytest.mark.parametrize("start", ["noise", "base", "regression"])
@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_one_that_knows_the_end_reaches_it_in_any_number_of_steps(start: str, solver: str, steps: int) -> None:
    given = batch()
    z = (
        flow(start=start, solver=solver, shift=3.0)
        .sample(Knowing(given.target), given.inputs, Noise(0, given.positions), steps)
        .z
    )
    torch.testing.assert_close(z, given.target, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("start", "sign"), [("base", 1), ("regression", -1)])
def test_the_states_that_it_learns_from_lie_on_the_line_from_start_to_target(start: str, sign: int) -> None:
    given, network = batch(), Knowing(batch().target)
    flow(start=start, sigma=0.0).loss(network, given, Noise(0, given.positions))
    ((z_t, t),) = network.seen
    at = t[:, None, None, None]
    torch.testing.assert_close(z_t, (1 - at) * sign * given.inputs.base + at * given.target)
    assert t.min() >= 0
    assert t.max() < 1
    assert t.std() > 0.2


def test_the_loss_is_the_error_of_the_velocity_as_far_as_the_weight_is_bounded() -> None:
    given, network = batch(), Knowing(batch().target, by=0.1)
    losses = flow(most_weight=400).loss(network, given, Noise(0, given.positions)).per_sample
    ((z_t, t),) = network.seen
    start = (z_t - t[:, None, None, None] * given.target) / (1 - t[:, None, None, None])
    velocity = (network.target + 0.1 - z_t) / (1 - t[:, None, None, None]).clamp_min(0.05)
    error = (velocity - (given.target - start)).square().mean((1, 2, 3))
    early = t < 0.9  # where nothing is divided by ENDING
    torch.testing.assert_close(losses[early], error[early], rtol=1e-3, atol=1e-4)
    bounded = flow(most_weight=4).loss(Knowing(given.target, by=0.1), given, Noise(0, given.positions)).per_sample
    torch.testing.assert_close(bounded, losses.clamp_max(4 * 0.01))


def test_an_untrained_network_points_at_the_base() -> None:
    given = batch()
    model = FusionDiT(2, 8, 8, {"width": 16, "depth": 1, "heads": 1, "patches": False}, time=True)
    objective = flow(start="noise")
    z = torch.randn(B, 2, 4, 4)
    with torch.no_grad():
        velocity = objective._velocity(model, given.inputs, z, 0.25)
    torch.testing.assert_close(velocity, (given.inputs.base - z) / 0.75)
    reached = objective.sample(model, given.inputs, Noise(0, given.positions), 5).z
    torch.testing.assert_close(reached, given.inputs.base, atol=1e-5, rtol=1e-5)


def times(grid: tuple[int, int] = (4, 4), **settings: Any) -> Tensor:
    return flow(**settings)._times(Noise(0, range(4000)), torch.empty(grid))


def test_times_dwell_where_they_are_asked_to() -> None:
    even, middle, shifted, early = times(), times(times="logit-normal"), times(shift=3.0), times(times="early")
    assert ((middle - 0.5).abs() < 0.25).float().mean() > 0.7 > ((even - 0.5).abs() < 0.25).float().mean() + 0.1
    assert shifted.mean() < 0.4 < 0.48 < even.mean() < 0.52
    assert (early < 0.25).float().mean() == pytest.approx(0.5, abs=0.02)
    for drawn in (even, middle, shifted, early):
        assert drawn.min() >= 0
        assert drawn.max() < 1


def test_the_shift_grows_with_the_root_of_the_positions() -> None:
    """A level of t on m positions is as uncertain as t / (t + √(n / m) (1 - t)) on n."""
    torch.testing.assert_close(times((8, 8), shift=1.5, shift_at=16), times((4, 4), shift=3.0))
    assert torch.equal(times((4, 4), shift=1.5, shift_at=16), times((9, 9), shift=1.5))
    given, network = batch(), Knowing(batch().target)
    flow(shift_at=4).sample(network, given.inputs, Noise(0, given.positions), 2)
    assert [float(t[0]) for _, t in network.seen] == pytest.approx([0, 0.5 / (0.5 + 2 * 0.5)])


def test_the_regression_is_told_what_the_flow_is_told_and_learns_nothing() -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.masks = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(())), []

        def forward(
            self, inputs: Inputs, z_t: Tensor | None = None, t: Tensor | None = None, decode: Decode | None = None
        ) -> Estimate:
            self.masks.append(inputs.prompts.mask)
            return Estimate(inputs.base * (self.one if z_t is None else self.two))

    network, given = Both(), batch()
    objective = make_objective(FlowConfig(start="regression", prompt_dropout=0.5), Autoencoder(KLTAutoencoder(2)))
    objective.loss(network, given, Noise(0, given.positions)).per_sample.mean().backward()
    assert network.one.grad is None
    assert network.two.grad is not None
    assert torch.equal(*network.masks)
    assert 0.2 < network.masks[0].float().mean() < 0.8


def test_what_is_drawn_is_a_function_of_seed_and_position() -> None:
    given = batch()
    whole, part = Knowing(given.target), Knowing(given.target[5:9])
    objective = flow(start="noise")
    objective.loss(whole, given, Noise(7, given.positions))
    inputs = Inputs(
        *(z[5:9] for z in given.inputs[:3]),  # type: ignore[index, union-attr]
        Prompts(*(p[5:9] for p in given.inputs.prompts)),
    )
    objective.loss(part, Batch(inputs, given.target[5:9], ("",) * 4, range(5, 9)), Noise(7, range(5, 9)))
    assert torch.equal(whole.seen[0][0][5:9], part.seen[0][0])
    assert torch.equal(whole.seen[0][1][5:9], part.seen[0][1])
