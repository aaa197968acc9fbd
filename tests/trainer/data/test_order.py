"""The order of samples: a pure function of seed and position."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trainer.data.helpers import GOOD, keys
from trainer.data.order import number_at
from trainer.data.shards import open_shards


def test_a_cycle_holds_each_good_sample_once_and_cycles_differ(dataset: Path) -> None:
    shards = open_shards([str(dataset)], seed=0)
    first, second = keys(shards, range(9)), keys(shards, range(9, 18))
    assert sorted(first) == sorted(second) == GOOD
    assert first != second
    assert keys(open_shards([str(dataset)], seed=1), range(9)) != first


def test_the_order_is_a_pure_function_of_seed_and_position(dataset: Path) -> None:
    whole = keys(open_shards([str(dataset)], seed=5), range(40))
    assert keys(open_shards([str(dataset)], seed=5), range(23, 40)) == whole[23:]


def test_the_order_of_a_cycle_is_numpys_philox_permutation_of_seed_and_cycle() -> None:
    philox = np.random.Philox(key=np.array([7, 3], np.uint64))
    ordered = np.random.Generator(philox).permutation(1000)
    assert [number_at(7, 3000 + index, 1000) for index in range(1000)] == ordered.tolist()
