import math

import numpy as np
import pytest

from trainer.evaluation.intervals import mean_of, ratio_of


def test_an_interval_is_as_wide_as_scenes_differ_not_samples():
    rng = np.random.default_rng(0)
    of_scenes = rng.normal(20, 3, 100)
    values, scenes = np.repeat(of_scenes, 5), np.repeat(np.arange(100), 5).astype(str)
    found = mean_of(values, list(scenes))
    assert found.value == pytest.approx(of_scenes.mean())
    half = 1.96 * of_scenes.std() / 10
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)
    assert found.samples == 500
    alone = mean_of(values, [str(number) for number in range(500)])
    assert alone.high - alone.low < 0.6 * (found.high - found.low)


def test_an_interval_repeats_and_holds_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        values = rng.normal(5, 1, 40)
        found = mean_of(values, [str(number) for number in range(40)])
        assert found == mean_of(values, [str(number) for number in range(40)])
        held += found.low < 5 < found.high
    assert 0.88 <= held / 200 <= 0.98


def test_what_is_missing_is_passed_over_with_its_weight():
    found = ratio_of([1, math.nan, 3], [2, 100, 2], ["x", "y", "z"])
    assert found.value == 1
    assert found.samples == 2
    assert math.isnan(mean_of([math.nan], ["x"]).value)


def test_one_scene_has_no_interval():
    found = mean_of([1.0, 2.0], ["x", "x"])
    assert found.value == 1.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
