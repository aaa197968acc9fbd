"""The cost by arithmetic, beside the network as it is built and as torch counts it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.trainer.model.test_dit import FORMS, LEFT_OUT, blank, build, inputs
from trainer.model import detail, guess
from trainer.model.config import NetworkConfig
from trainer.model.cost import DETAIL, GUESS, LEARNED, TONE, Given, layer_grid, parts, table, total
from trainer.model.inputs import THUMBNAIL
from trainer.model.positions import LEARNED as PLACES
from trainer.model.tone import DEPTH, GRID

torch.set_num_threads(1)
SMALL = {"width": 32, "depth": 2, "heads": 2, "lora_rank": 8}
ALL: dict[str, dict[str, Any]] = {
    **FORMS,
    **{f"without {name}": {name: False} for name in (*LEFT_OUT, "rotary")},
    "joint hourglass of experts": {"fine": 2, "text": "joint", "experts": 3, "active": 1, "mlp_ratio": 1.5},
}
TIMES = pytest.mark.parametrize("time", [False, True], ids=["", "time"])
GRIDS = pytest.mark.parametrize("grid", [(6, 4), (7, 9)], ids=str)


def given(grid: tuple[int, int] = (6, 4), time: bool = False) -> Given:
    """As the helpers of test_dit build it."""
    return Given(channels=4, factor=2, text_dim=16, grid=grid, words=7, time=time)


def slots_times_matrix(x: tuple[int, int], weights: tuple[int, int, int], *_: Any, **__: Any) -> int:
    """(S, K) by (E, K, N), each row with one of them: a count that torch 2.13 lacks."""
    return 2 * x[0] * weights[1] * weights[2]


@torch.no_grad()
def counted(grid: tuple[int, int], time: bool, form: dict[str, Any]) -> int:
    """By torch, of one sample."""
    state = (torch.zeros(1, 4, *grid), torch.zeros(1)) if time else ()
    mapping = {torch.ops.aten._grouped_mm: slots_times_matrix}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter, sdpa_kernel(SDPBackend.MATH):
        build(time, **form)(inputs(*grid, batch=1), *state, decode=blank)
    return counter.get_total_flops()


@TIMES
@pytest.mark.parametrize("form", ALL)
def test_parameters_are_exactly_those_of_the_network(form: str, time: bool) -> None:
    config = NetworkConfig.model_validate(SMALL | ALL[form])
    there = sum(parameter.numel() for parameter in build(time, **ALL[form]).parameters())
    assert total(config, given(time=time)).parameters == there


@TIMES
@GRIDS
@pytest.mark.parametrize("form", ALL)
def test_operations_are_exactly_those_that_torch_counts(form: str, grid: tuple[int, int], time: bool) -> None:
    config = NetworkConfig.model_validate(SMALL | ALL[form])
    assert total(config, given(grid, time)).flops == counted(grid, time, ALL[form])


def test_a_step_is_three_times_a_forward() -> None:
    form = {"naf": False}  # torch counts the gradients of depthwise convolutions as if each channel saw all others
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        build(**form)(inputs(8, 8, batch=1)).z.sum().backward()
    # what comes first has no gradient of its input: latents, pixels, words
    cost = total(NetworkConfig.model_validate(SMALL | form), given((8, 8)))
    assert 0.95 * cost.step < counter.get_total_flops() < cost.step


@pytest.mark.parametrize("active", [1, 2, 4])
def test_the_dense_control_has_the_operations_of_the_experts(active: int) -> None:
    config = NetworkConfig(width=384, depth=12, heads=6, mlp_ratio=1.0, experts=4, active=active, lora_rank=64)
    s = Given(channels=32, factor=8, text_dim=384, grid=(16, 16), words=40)
    experts, dense = total(config, s), total(config.dense(), s)
    assert dense.flops == pytest.approx(experts.flops, rel=0.02)
    assert dense.parameters <= experts.parameters


def test_every_part_is_named_and_none_that_is_left_out() -> None:
    flat, experts = (parts(NetworkConfig.model_validate(SMALL | form), given()) for form in ({}, {"experts": 4}))
    assert set(flat) - set(experts) == {"layers: MLP"}
    assert set(experts) - set(flat) == {f"layers: {name}" for name in ("router", "shared expert", "routed experts")}
    assert not [name for name in parts(NetworkConfig.model_validate(SMALL | FORMS["bare"]), given()) if "NAF" in name]


def test_the_grid_of_the_layers_covers_odd_sides() -> None:
    assert layer_grid(NetworkConfig.model_validate(SMALL | {"fine": 1}), (7, 9)) == (4, 5)
    assert layer_grid(NetworkConfig.model_validate(SMALL), (7, 9)) == (7, 9)


def test_what_costs_are_reckoned_with_is_what_the_network_has() -> None:
    assert (LEARNED, TONE) == (PLACES, (GRID, DEPTH, THUMBNAIL))
    assert (DETAIL, GUESS) == ((detail.HINTS, detail.STEP, detail.PICTURES), guess.THIN)


def test_the_table_ends_with_the_dense_control_of_experts_alone() -> None:
    assert "dense control" in table(NetworkConfig.model_validate(SMALL | {"experts": 4}), given())
    assert "dense control" not in table(NetworkConfig.model_validate(SMALL), given())
