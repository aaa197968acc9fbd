"""The factorial of bench/ablation: no effect hides another, and what is planted is found."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

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
