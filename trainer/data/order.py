"""What stands at a position of a run: a pure function, so that the state of a run is one integer.

Positions are 0, 1, 2, … without end. Cycle c of n things holds each once, in the order of the Philox permutation that
is keyed by (seed, c).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def number_at(seed: int, position: int, count: int) -> int:
    """The number, 0 … count - 1, of the sample at a position, in an order over all samples."""
    cycle, index = divmod(position, count)
    return int(permutation(seed, cycle, count)[index])


@lru_cache(maxsize=16)  # one for each dataset of a mixture, and one for its blocks
def permutation(seed: int, cycle: int, count: int) -> np.ndarray:
    """The numbers 0 … count - 1 as a cycle has them, (count,) int64."""
    key = np.array([seed, cycle], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count)
