"""Which samples show one degraded pair under different instructions: those of one group (shards/FORMAT.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Mates:
    """Samples by number, 0 … len - 1, and the others of their groups.

    groups: of each sample, (N,) integers, equal where two are of one group. True where there is a group of several.
    """

    def __init__(self, groups: Sequence[int] | np.ndarray) -> None:
        _, self._group, counts = np.unique(groups, return_inverse=True, return_counts=True)
        self._order = np.argsort(self._group, kind="stable")
        self._counts, self._starts = counts, np.cumsum(counts) - counts
        self._coupled = np.flatnonzero(counts[self._group] > 1)

    def __len__(self) -> int:
        """Samples that have a mate."""
        return len(self._coupled)

    def couple(self, number: int, turn: int) -> tuple[int, int]:
        """A sample, or the next that has mates, and of these, which take turns, the one whose turn it is."""
        place = int(np.searchsorted(self._coupled, number)) % len(self._coupled)
        return self.nth(place, turn)

    def nth(self, place: int, turn: int) -> tuple[int, int]:
        """The same of the sample at a place among those that have mates."""
        first = int(self._coupled[place])
        group = self._group[first]
        others = self._order[self._starts[group] :][: self._counts[group]]
        others = others[others != first]
        return first, int(others[turn % len(others)])
