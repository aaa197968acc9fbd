"""What a checkpoint holds of an optimizer comes back as it was, whatever its shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from trainer.training.checkpoint import Learned, Stand, load_checkpoint, save_checkpoint
from trainer.training.ema import EMA
from trainer.training.tree import save_tree


class Odd(torch.optim.SGD):
    """Whose state is of many kinds: counts, bytes, halves, lists of tensors, words, and numbers of its groups."""

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            group["weight_sum"] = group.get("weight_sum", 0.0) + 0.1
            for parameter in group["params"]:
                state, grad = self.state[parameter], parameter.grad
                state["count"] = state.get("count", torch.tensor(0)) + 1
                state["half"] = (state.get("half", torch.zeros_like(grad, dtype=torch.bfloat16)) + grad).bfloat16()
                state["signs"] = (grad > 0).to(torch.uint8)
                state["wide"] = state.get("wide", torch.zeros(3, dtype=torch.float64)) + grad.double().sum()
                state["past"] = [*state.get("past", [])[-2:], grad.clone()]
                state["note"] = {"kind": "odd", 3: (1.5, None, True)}
                drift = state["half"].float() + sum(state["past"]) + state["wide"].float().mean() / state["count"]
                with torch.no_grad():
                    parameter -= group["lr"] * group["weight_sum"] * drift


OPTIMIZERS: dict[str, Callable[[nn.Module], dict[str, torch.optim.Optimizer]]] = {
    "AdamW": lambda model: {"optimizer": torch.optim.AdamW(model.parameters(), lr=0.1, amsgrad=True)},
    "Muon beside another": lambda model: {
        "muon": torch.optim.Muon([p for p in model.parameters() if p.ndim == 2], lr=0.1),
        "rprop": torch.optim.Rprop([p for p in model.parameters() if p.ndim != 2], lr=0.1),
    },
    "none": lambda model: {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1)},
    "odd": lambda model: {"optimizer": Odd(model.parameters(), lr=0.1)},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_any_optimizer_comes_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    def begin() -> Learned:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))
        return Learned(model, {"short": EMA(model, 20), "long": EMA(model, 900)}, OPTIMIZERS[name](model))

    def steps(learned: Learned, first: int, last: int) -> None:
        for number in range(first, last):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(number))
            learned.model(x).square().mean().backward()
            for optimizer in learned.optimizers.values():
                optimizer.step()
            learned.model.zero_grad()
            for average in learned.averages.values():
                average.update(learned.model, 8 * number + 8, 8)

    whole, parts, again = begin(), begin(), begin()
    steps(whole, 0, 8)
    steps(parts, 0, 5)
    save_checkpoint(tmp_path, Stand(40, 1.5), parts, {})
    assert load_checkpoint(tmp_path, again) == Stand(40, 1.5)
    for kind, optimizer in again.optimizers.items():
        assert_equal(optimizer.state_dict()["state"], parts.optimizers[kind].state_dict()["state"])
    steps(again, 5, 8)
    for kind, optimizer in again.optimizers.items():
        assert_equal(optimizer.state_dict(), whole.optimizers[kind].state_dict())
    for kind, module in whole.modules.items():
        assert_equal(dict(again.modules[kind].state_dict()), dict(module.state_dict()))


def assert_equal(ours: Any, theirs: Any) -> None:
    """Of equal structure, types and bits."""
    assert type(ours) is type(theirs)
    if isinstance(ours, torch.Tensor):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_equal(ours[key], theirs[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)
    else:
        assert ours == theirs


def test_what_has_no_place_in_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="/state/rng: a Generator has no place"):
        save_tree(tmp_path / "x", {"state": {"rng": torch.Generator()}})


def test_parts_of_a_run_that_share_a_name_are_refused() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="twice: model, model, optimizer"):
        Learned(model, {"model": EMA(model, 20)}, {"optimizer": torch.optim.SGD(model.parameters())})
