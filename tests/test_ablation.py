"""The factorial of bench/ablation: no effect hides another, and what is planted is found."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from bench import guesses
from bench.ablation import measure
from bench.ablation.factorial import FACTORS, RUNS, effect, forms, signs


def test_every_ingredient_is_in_half_of_the_runs_and_each_two_in_a_quarter() -> None:
    table = signs()
    assert table.shape == (RUNS, len(FACTORS))
    np.testing.assert_array_equal(table.T @ table, RUNS * np.eye(len(FACTORS)))


def test_no_ingredient_is_mixed_with_what_two_do_together() -> None:
    table = signs()
    for one in range(len(FACTORS)):
        for two in combinations(set(range(len(FACTORS))) - {one}, 2):
            assert table[:, one] @ (table[:, two[0]] * table[:, two[1]]) == 0


def test_a_form_has_what_its_row_says() -> None:
    for form, row in zip(forms(), signs(), strict=True):
        config = form.config()
        found = [config.model.naf, config.model.value_residual, config.model.absolute, config.model.rotary]
        found += [config.model.experts > 0, config.model.patches, config.model.tone]
        found.append(config.objective.model_dump()["counts"] == "log")
        assert found == (row > 0).tolist()


@pytest.mark.parametrize("factor", [0, 5])
def test_a_planted_effect_is_found_with_its_interval(factor: int) -> None:
    rng, rows = np.random.default_rng(0), []
    scenes = [f"scene {number // 3}" for number in range(90)]
    difficulty = rng.normal(20, 4, 90)
    for row in signs():
        values = difficulty + 0.3 * row[factor] + rng.normal(0, 0.2, 90)
        rows.append(
            {
                "sets": {
                    "x": {"rows": [{"task": "vif", "scene": s, "psnr": v} for s, v in zip(scenes, values, strict=True)]}
                }
            }
        )
    for number in range(len(FACTORS)):
        mean, low, high = effect(rows, signs(), number, "x")
        assert low < mean < high
        assert high - low < 0.1
        assert mean == pytest.approx(0.6 if number == factor else 0.0, abs=0.05)


def test_squares_are_what_shows_at_the_borders_of_positions() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(1, 3, 64, 96, generator=generator)
    assert measure.squares(smooth) == pytest.approx(1, abs=0.1)
    tiles = torch.rand(1, 1, 8, 12, generator=generator).repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert measure.squares(smooth + 5 * tiles) > 3


def test_the_area_is_the_chance_to_be_told_apart() -> None:
    scores, there = np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, True, False, False])
    assert guesses.area(scores, there) == 3 / 4
    assert guesses.area(scores, scores > 1.5) == 1
    assert np.isnan(guesses.area(scores, np.ones(4, dtype=bool)))
    logits = np.array([[[3.0], [-1.0]], [[2.0], [-4.0]]])  # two samples, a and b, one effect
    truth = np.array([[[True], [True]], [[False], [False]]])
    assert guesses.rows(("haze",), logits, truth) == [["haze", "0.500", "0.75", "0.50", "0.50"]]
