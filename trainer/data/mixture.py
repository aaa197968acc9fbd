"""Several datasets as one: by weight, and each sample of a dataset once in that dataset's own cycle."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from trainer.data.order import permutation
from trainer.data.samples import Sample
from trainer.data.shards import Encoded, IndexedShards

BLOCK = 1024
"""Positions in which every dataset has its share, to within one sample."""


class Mixture:
    """Indexed shards, interleaved. Of each BLOCK positions a dataset has as many as its weight says, in an order that
    is permuted anew for each block by (seed, block); so what stands at a position is a pure function of (seed,
    position).

    Numbers of samples run on from one dataset to the next.
    """

    def __init__(self, parts: Sequence[IndexedShards[Any]], weights: Sequence[float], seed: int) -> None:
        self.parts, self.seed = list(parts), seed
        self._starts = [0, *accumulate(len(part) for part in self.parts)]
        self.shares = shares_of(weights, BLOCK)
        """Of a block, in samples."""
        self._slots = np.repeat(np.arange(len(self.parts)), self.shares)
        named = ";".join(f"{part.fingerprint} {share}" for part, share in zip(self.parts, self.shares, strict=True))
        self.fingerprint = hashlib.sha256(named.encode()).hexdigest()
        self.tars = [tar for part in self.parts for tar in part.tars]
        self.failed, self.bytes = sum(part.failed for part in self.parts), sum(part.bytes for part in self.parts)
        self.sizes = set[tuple[int, int]]().union(*(part.sizes for part in self.parts))

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def broken(self) -> int:
        """Samples that could not be read, and were passed over."""
        return sum(part.broken for part in self.parts)

    def at(self, position: int) -> int:
        block, place = divmod(position, BLOCK)
        slots = self._slots[permutation(self.seed, block, BLOCK)]
        which = int(slots[place])
        within = block * self.shares[which] + int((slots[:place] == which).sum())
        # each dataset in an order of its own, so that two of one length do not walk in step
        return self._starts[which] + self.parts[which].order.at(self.seed + 1 + which, within)

    def check_couples(self) -> None:
        """Raises UserError where none of them has couples; where some have, couples are drawn from these alone."""
        if not any(part.mates for part in self.parts):
            self.parts[0].check_couples()

    def couple(self, number: int, turn: int) -> tuple[int, int]:
        which = bisect_right(self._starts, number) - 1
        for more in range(len(self.parts)):
            there = (which + more) % len(self.parts)
            if self.parts[there].mates:
                within = (number - self._starts[which]) % len(self.parts[there])
                first, second = self.parts[there].couple(within, turn)
                return self._starts[there] + first, self._starts[there] + second
        raise ValueError("none of the datasets has couples; see check_couples")

    def load(self, numbers: Sequence[int]) -> list[Sample | Encoded]:
        wanted: dict[int, list[int]] = {}
        for number in numbers:
            which = bisect_right(self._starts, number) - 1
            wanted.setdefault(which, []).append(number - self._starts[which])
        found = {
            (which, own): sample
            for which, owns in wanted.items()
            for own, sample in zip(owns, self.parts[which].load(owns), strict=True)
        }
        places = ((bisect_right(self._starts, number) - 1, number) for number in numbers)
        return [found[which, number - self._starts[which]] for which, number in places]

    def close(self) -> None:
        for part in self.parts:
            part.close()


def shares_of(weights: Sequence[float], total: int) -> list[int]:
    """Whole shares of a total in proportion to weights, at least one each: by the largest remainders."""
    exact = [weight / sum(weights) * total for weight in weights]
    shares = [max(1, int(share)) for share in exact]
    order = sorted(range(len(exact)), key=lambda i: (int(exact[i]) - exact[i], i))
    while sum(shares) < total:
        shares[order.pop(0)] += 1
    while sum(shares) > total:
        shares[shares.index(max(shares))] -= 1
    return shares
