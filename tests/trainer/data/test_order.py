"""The order of samples: a pure function of seed and position."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.helpers import GOOD, keys
from trainer.data.order import Order, number_at
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


COUNTS = [7, 1, 12, 5, 9, 30]


@pytest.mark.parametrize("window", [1, 10, 64, 1000])
def test_a_cycle_by_windows_holds_each_sample_once_and_touches_few_shards(window: int) -> None:
    order, total = Order(COUNTS, window), sum(COUNTS)
    shard_of = np.repeat(np.arange(len(COUNTS)), COUNTS)
    cycles = [[order.at(3, cycle * total + index) for index in range(total)] for cycle in range(3)]
    for numbers in cycles:
        assert sorted(numbers) == list(range(total))
        for start in range(0, total, window):
            part = shard_of[numbers[start : start + window]]
            least = 1 + sum(np.cumsum(sorted(COUNTS))[:-1] < window)  # of small shards a window touches the most
            assert len(set(part)) <= least + 1
    assert cycles[0] != cycles[1] != cycles[2]
    assert [order.at(4, index) for index in range(total)] != cycles[0]
    again = Order(COUNTS, window)
    assert [again.at(3, index) for index in range(total, 2 * total)] == cycles[1], "of seed and position alone"
    if window == 1:
        shards = [shard for shard, _ in groupby(shard_of[cycles[0]])]
        assert sorted(shards) == list(range(len(COUNTS))), "each shard in one piece"


def test_without_a_window_the_order_is_over_all_samples() -> None:
    order = Order(COUNTS)
    assert [order.at(7, index) for index in range(200)] == [number_at(7, index, sum(COUNTS)) for index in range(200)]
