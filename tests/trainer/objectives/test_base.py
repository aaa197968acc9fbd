"""Noise by position, losses by part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from trainer.model.inputs import Term
from trainer.objectives import OBJECTIVES, Losses, Noise
from trainer.objectives.regression import Regression


def test_the_noise_of_a_sample_is_a_function_of_seed_and_position() -> None:
    batch, alone, other = Noise(3, range(10, 14)), Noise(3, [12]), Noise(4, [12])
    first = batch.normal(2, 5)
    assert first.shape == (4, 2, 5)
    assert torch.equal(first[2:3], alone.normal(2, 5)), "whatever the batch"
    assert torch.equal(batch.uniform()[2:3], alone.uniform()), "and so is what follows"
    assert not torch.equal(first[2:3], other.normal(2, 5))
    assert len({float(value) for value in first[:, 0, 0]}) == 4
    assert not torch.equal(first, batch.normal(2, 5)), "the next draw is another"


def test_the_noise_is_normal_and_uniform_over_positions_too() -> None:
    noise = Noise(0, range(4000))
    assert stats.kstest(noise.normal().numpy(), "norm").pvalue > 0.01
    assert stats.kstest(noise.uniform().numpy(), "uniform").pvalue > 0.01
    pairs = Noise(1, range(4000)).normal(2).numpy()
    assert abs(np.corrcoef(pairs[:-1, 0], pairs[1:, 0])[0, 1]) < 0.05, "neighbours have nothing in common"


def test_terms_count_by_their_weight_and_are_all_shown() -> None:
    error, load, drift = torch.tensor([1.0, 2.0]), torch.tensor(10.0), torch.tensor([5.0, 7.0])
    losses = Losses.of(error, {"load": Term(load, 0.1), "drift": Term(drift, 0.0)})
    torch.testing.assert_close(losses.per_sample, torch.tensor([2.0, 3.0]))
    assert losses.shown().keys() == {"loss", "loss/error", "loss/load", "loss/drift"}
    assert Losses.of(error, {}).shown() == {"loss": error}


def test_two_objectives_of_one_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="two objectives are called 'regression'"):

        class Again(Regression):
            """Whose author forgot a Config of its own."""

    assert OBJECTIVES["regression"] is Regression
