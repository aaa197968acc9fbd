"""A flow beside a frozen regression: it begins as that, leaves it as it is, and is small."""

from __future__ import annotations

import copy
from pathlib import Path
from threading import Thread

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.trainer.model.test_cost import SMALL, given, slots_times_matrix
from tests.trainer.model.test_dit import FORMS, blank, build, inputs
from trainer.config import load_config
from trainer.model.config import NetworkConfig
from trainer.model.cost import Given, learned, total
from trainer.model.dit import FusionDiT
from trainer.objectives import Noise
from trainer.training.ema import EMA
from trainer.training.optimizers import build_optimizers

RANK = 3
EVERY = pytest.mark.parametrize("form", FORMS)


def pair(form: str) -> tuple[FusionDiT, FusionDiT]:
    """A regression, as if trained, and the flow that begins from its weights."""
    regression = build(**FORMS[form])
    flow = build(time=True, trained=False, adapters=RANK, **FORMS[form])
    flow.load_state_dict(dict(flow.state_dict()) | regression.state_dict())
    return regression, flow


def state(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 6, 5, generator=generator), torch.rand(2, generator=generator)


def trained(flow: FusionDiT, steps: int = 5) -> EMA[FusionDiT]:
    """The average of one that has learned a little."""
    config = load_config("tiny", {"training.lr": 0.01, "training.weight_decay": 0.1}).training
    optimizers, average = build_optimizers(flow.train(), config), EMA(flow, 20)
    for number in range(steps):
        estimate = flow(inputs(), *state(number))
        (estimate.z - 1).square().mean().backward()
        optimizers.step(config.lr, 1.0)
        average.update(flow, 2 * number + 2, 2)
    flow.eval()
    return average


@EVERY
def test_an_untrained_flow_estimates_what_the_regression_does_bit_for_bit_wherever_it_stands(form: str) -> None:
    regression, flow = pair(form)
    expected = regression(inputs()).z
    assert torch.equal(flow(inputs()).z, expected)
    for seed in range(3):
        assert torch.equal(flow(inputs(), *state(seed)).z, expected)


def test_its_velocity_points_to_what_the_regression_makes() -> None:
    from trainer.frozen.autoencoder import Autoencoder
    from trainer.frozen.klt import KLTAutoencoder
    from trainer.objectives.flow import Flow, FlowConfig

    regression, flow = pair("hourglass")
    objective = Flow(FlowConfig(start="regression", sigma=0.5), Autoencoder(KLTAutoencoder(4)))
    expected, (z, _) = regression(inputs()).z, state()
    with torch.no_grad():
        velocity = objective._velocity(flow, inputs(), z, 0.25)
    torch.testing.assert_close(velocity, (expected - z) / 0.75)
    for steps in (1, 4):
        reached = objective.sample(flow, inputs(), Noise(0, [0, 1]), steps).z
        torch.testing.assert_close(reached, expected, atol=1e-5, rtol=1e-5)


@EVERY
def test_training_moves_no_bit_of_the_regression_in_the_network_nor_in_its_average(form: str) -> None:
    regression, flow = pair(form)
    expected, before = regression(inputs()).z, regression.state_dict()
    average = trained(flow).model
    for model in (flow, average):
        after = model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert torch.equal(model(inputs()).z, expected)
        assert not torch.equal(model(inputs(), *state()).z, expected)
    assert not torch.equal(average(inputs(), *state()).z, flow(inputs(), *state()).z)


@EVERY
def test_gradients_reach_all_that_is_new_and_nothing_that_is_frozen(form: str) -> None:
    regression, flow = pair(form)
    trained(flow, 1)
    flow(inputs(), *state()).z.square().mean().backward()
    frozen = set(regression.state_dict())
    for name, parameter in flow.named_parameters():
        assert (parameter.grad is None) == (name in frozen), name
        assert name in frozen or parameter.grad.abs().max() > 0, name  # type: ignore[union-attr]


def test_optimizers_hold_only_what_learns_and_the_average_shares_the_rest() -> None:
    _, flow = pair("flat")
    learning = {name for name, parameter in flow.named_parameters() if parameter.requires_grad}
    for kind in ("adamw", "muon"):
        config = load_config("tiny", {"training.optimizer": kind}).training
        named = build_optimizers(flow, config).named.values()
        held = [id(p) for optimizer in named for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for name, p in flow.named_parameters() if name in learning)
    average = EMA(flow, 20).model
    for (name, ours), theirs in zip(flow.named_parameters(), average.parameters(), strict=True):
        assert (ours is theirs) == (name not in learning), name


@EVERY
def test_one_folder_holds_both(form: str, tmp_path: Path) -> None:
    regression, flow = pair(form)
    trained(flow)
    flow.save_pretrained(tmp_path)
    again = FusionDiT.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    assert torch.equal(again(inputs()).z, regression(inputs()).z)
    assert torch.equal(again(inputs(), *state()).z, flow(inputs(), *state()).z)
    assert {name for name, p in again.named_parameters() if p.requires_grad} == set(again.state_dict()) - set(
        regression.state_dict()
    )


def test_the_regression_beneath_is_a_network_of_the_very_same_tensors() -> None:
    regression, flow = pair("hourglass")
    beneath, whole = flow.regression.state_dict(), flow.state_dict()
    assert beneath.keys() == regression.state_dict().keys()
    assert all(value.data_ptr() == whole[name].data_ptr() for name, value in beneath.items())
    copied = copy.deepcopy(flow)
    with torch.no_grad():
        copied.out.bias.add_(1)
    assert not torch.equal(copied(inputs()).z, flow(inputs()).z)


def test_regression_and_flow_do_not_disturb_each_other_in_threads() -> None:
    _, flow = pair("flat")
    trained(flow)
    expected = {None: flow(inputs()).z, 0: flow(inputs(), *state()).z}
    wrong: list[int | None] = []

    def work(which: int | None) -> None:
        for _ in range(30):
            z = flow(inputs(), *(() if which is None else state())).z
            if not torch.equal(z, expected[which]):
                wrong.append(which)

    threads = [Thread(target=work, args=(which,)) for which in (None, 0, None, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_adapters_want_a_network_with_time() -> None:
    with pytest.raises(ValueError, match="time=True"):
        build(adapters=RANK)


@EVERY
def test_parameters_and_operations_by_arithmetic_are_those_of_the_network(form: str) -> None:
    config = NetworkConfig.model_validate(SMALL | FORMS[form] | {"adapters": RANK})
    flow, beneath = build(time=True, **FORMS[form], adapters=RANK), config.model_copy(update={"adapters": 0})
    of = given((7, 9), time=True)
    assert total(config, of).parameters == sum(p.numel() for p in flow.parameters())
    assert learned(config, of) == sum(p.numel() for p in flow.parameters() if p.requires_grad)
    assert learned(beneath, of) == total(beneath, of).parameters
    expected = {True: total(config, of).flops, False: total(beneath, of._replace(time=False)).flops}
    for time, flops in expected.items():
        extra = (torch.zeros(1, 4, 7, 9), torch.zeros(1)) if time else ()
        mapping = {torch.ops.aten._grouped_mm: slots_times_matrix}
        with (
            torch.no_grad(),
            FlopCounterMode(display=False, custom_mapping=mapping) as counter,
            sdpa_kernel(SDPBackend.MATH),
        ):
            flow(inputs(7, 9, batch=1), *extra, decode=blank)
        assert counter.get_total_flops() == flops


def test_beside_the_release_at_most_three_million_learn() -> None:
    config = load_config("release").model.model_copy(update={"adapters": 16})
    with torch.device("meta"):
        flow = FusionDiT(32, 8, 384, config.model_dump(), time=True)
    counted = sum(p.numel() for p in flow.parameters() if p.requires_grad)
    assert counted == learned(config, Given(32, 8, 384, (60, 80), 40, time=True))
    assert 1_000_000 < counted <= 3_000_000
    assert flow.num_parameters() - counted == 17_516_323, "the regression"
