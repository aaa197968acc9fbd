"""Activation checkpointing changes what is kept for the backward pass, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.model.test_dit import build, inputs
from trainer.model.dit import FusionDiT
from trainer.model.moe import Router

FORMS: dict[str, dict[str, Any]] = {
    "flat": {},
    "hourglass with tone": {"fine": 2, "tone": True},
    "experts": {"experts": 4},
    "experts, by loss": {"experts": 4, "balance": "loss"},
}


def stepped(model: FusionDiT) -> tuple[list[Tensor], int]:
    """The gradients of a step, and the bytes that were kept for them, weights left out."""
    kept: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    given = inputs(16, 16)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        estimate = model(given)
        loss = estimate.z.square().mean() + sum(term.weight * term.value for term in estimate.terms.values())
    loss.backward()
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None], sum(kept.values())


@pytest.mark.parametrize("form", FORMS)
def test_gradients_and_loads_are_equal_and_less_is_kept(form: str) -> None:
    found = []
    for checkpointing in (False, True):
        model = build(**FORMS[form]).train()
        if checkpointing:
            model.enable_gradient_checkpointing()
        gradients, kept = stepped(model)
        loads = [module.load.clone() for module in model.modules() if isinstance(module, Router)]
        found.append((gradients, kept, loads))
    (plain, kept, loads), (again, fewer, loads_again) = found
    assert len(plain) == len(again)
    for one, other in zip(plain, again, strict=True):
        assert torch.equal(one, other)
    assert fewer < 0.5 * kept
    assert all(torch.equal(one, other) for one, other in zip(loads, loads_again, strict=True)), "counted once"
    assert all(load.sum() == 2 * 256 * 2 for load in loads)


def test_without_a_gradient_nothing_is_done_twice() -> None:
    model = build()
    model.enable_gradient_checkpointing()
    with torch.no_grad():
        assert torch.equal(model(inputs()).z, build()(inputs()).z)
