"""The reader as training has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.data.helpers import keys
from trainer.data.shards import open_shards


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_is_the_same_for_any_number_of_workers(dataset: Path, workers: int) -> None:
    shards = open_shards([str(dataset)], seed=0, workers=workers)
    assert keys(shards, range(30)) == keys(open_shards([str(dataset)], seed=0), range(30))
    shards.close()
