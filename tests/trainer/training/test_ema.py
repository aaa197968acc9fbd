"""The averaged weights."""

from __future__ import annotations

import pytest
import torch

from trainer.training.ema import EMA


def test_the_average_has_its_half_life_whatever_the_batch() -> None:
    for batch in (1, 10):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        ema = EMA(model, half_life=20)  # type: ignore[arg-type]
        torch.nn.init.ones_(model.weight)
        for seen in range(1000 + batch, 1040 + batch, batch):
            ema.update(model, seen, batch)  # type: ignore[arg-type]
        assert float(ema.model.weight) == pytest.approx(0.75, abs=1e-5)  # type: ignore[arg-type]


def test_buffers_of_the_average_are_those_of_the_model_of_any_type() -> None:
    model = torch.nn.BatchNorm1d(2)  # a mean and a variance, and a count of int64
    model.register_buffer("bias_of_a_router", torch.zeros(4))
    average = EMA(model, half_life=20)
    model(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)))
    model.bias_of_a_router += 1  # type: ignore[operator]
    average.update(model, 1000, 8)
    for name, buffer in model.named_buffers():
        assert torch.equal(average.model.get_buffer(name), buffer), name
    assert int(average.model.num_batches_tracked) == 1
    assert torch.equal(average.model.get_buffer("bias_of_a_router"), torch.ones(4))
