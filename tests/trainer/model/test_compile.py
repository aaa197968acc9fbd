"""The network is one graph for torch.compile, and one for all sizes that are said to vary."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from tests.trainer.model.test_dit import build, inputs
from trainer.model.inputs import Inputs

FORMS: dict[str, dict[str, Any]] = {
    "flat": {},
    "hourglass with tone": {"fine": 1, "tone": True},
    "experts": {"experts": 4},
    "joint": {"text": "joint"},
}
SIZES = ((16, 16), (12, 20), (26, 10))
"""Even: an hourglass continues an odd side by one position, which is another graph."""


def varying(given: Inputs) -> Inputs:
    """With the sides of its grid marked as dynamic."""
    assert given.pixels is not None
    for x in (given.z_a, given.z_b, given.base, given.pixels):
        for side in (-2, -1):
            torch._dynamo.mark_dynamic(x, x.ndim + side)
    return given


@pytest.mark.parametrize("form", FORMS)
def test_no_size_is_compiled_again_and_no_graph_is_broken(form: str) -> None:
    """By what torch traces; a generator of code may still tell sizes apart, as inductor does on a CPU, where it adds
    up in another way from 4,096 positions on."""
    torch._dynamo.reset()
    model, counter = build(**FORMS[form], depth=1), CompileCounterWithBackend("eager")
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for size in SIZES:
        given = varying(inputs(*size))
        estimate = compiled(given).z
        torch.testing.assert_close(estimate, model(given).z)
        estimate.sum().backward()
    assert counter.frame_count == 1


def test_derivatives_are_traced_once_too() -> None:
    torch._dynamo.reset()
    model, counter = build(depth=1, experts=4), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for size in SIZES:
        given = varying(inputs(*size))
        gradients = []
        for network in (model, compiled):
            loss = network(given).z.square().mean()
            gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert counter.frame_count == 1
