"""What stands at a position of a run: a pure function, so that the state of a run is one integer.

Positions are 0, 1, 2, … without end. Cycle c of n samples holds each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np


class Order:
    """An order of the samples of shards that hold `counts` each.

    Without a window cycle c is the Philox permutation of all samples that is keyed by (seed, c). With one the shards
    are permuted so, laid end to end, and of each `window` samples in turn the order is permuted, keyed by (seed, c, the
    number of the window): a stretch of positions then touches few shards, as stores that answer slowly want it.
    """

    def __init__(self, counts: Sequence[int], window: int | None = None) -> None:
        self.window = window
        self._firsts = np.array([0, *accumulate(counts)])
        self._laid_out = lru_cache(maxsize=2)(self._lay_out)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def at(self, seed: int, position: int) -> int:
        """The number, 0 … len - 1, of the sample at a position."""
        if self.window is None:
            return number_at(seed, position, len(self))
        cycle, index = divmod(position, len(self))
        window, place = divmod(index, self.window)
        size = min(self.window, len(self) - window * self.window)
        place = window * self.window + int(permutation(seed, (cycle << 32) + window + 1, size)[place])
        shards, starts = self._laid_out(seed, cycle)
        which = int(np.searchsorted(starts, place, "right")) - 1
        return int(self._firsts[shards[which]] + place - starts[which])

    def _lay_out(self, seed: int, cycle: int) -> tuple[np.ndarray, np.ndarray]:
        """The shards of a cycle in their order, and where each begins."""
        shards = permutation(seed, cycle, len(self._firsts) - 1)
        counts = np.diff(self._firsts)[shards]
        return shards, np.cumsum(counts) - counts


def number_at(seed: int, position: int, count: int) -> int:
    """The number, 0 … count - 1, of the sample at a position, in an order over all samples."""
    cycle, index = divmod(position, count)
    return int(permutation(seed, cycle, count)[index])


@lru_cache(maxsize=16)  # one for each dataset of a mixture, and one for its blocks
def permutation(seed: int, cycle: int, count: int) -> np.ndarray:
    """The numbers 0 … count - 1 as a cycle has them, (count,) int64: the Philox permutation keyed by (seed, cycle)."""
    key = np.array([seed, cycle], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)
