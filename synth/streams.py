"""Random numbers by name: each generator is a function of (seed, number, stream) and of nothing else."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator, Philox
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

Name = TypeVar("Name", bound=str)


class _Key(ISeedSequence):
    """A key for Philox as it stands. `Philox(key=…)` is the same, but first asks the system for random numbers."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        return self._words


def stream(seed: int, number: int, name: str) -> Generator:
    """The generator of one named stream.

    `number` is the group of a sample for all that concerns its pixels, its index for its instruction. The key of the
    counter-based Philox generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a hash
    of all three, so that neither the order of work nor the number of samples or streams moves a draw.
    """
    digest = hashlib.blake2b(f"{seed}/{number}/{name}".encode(), digest_size=16).digest()
    return Generator(Philox(_Key(np.frombuffer(digest, "<u8"))))  # type: ignore[arg-type]


def field_seed(rng: Generator) -> int:
    """A 63-bit seed for a random field (noise, flakes), small enough for every reader of JSON with 64-bit integers."""
    return int(rng.integers(0, 2**63 - 1))


def drawn_of(shares: Mapping[Name, float], rng: Generator) -> Name:
    """One of some names, by the share of each."""
    names = sorted(shares)
    total = math.fsum(shares.values())
    return names[int(rng.choice(len(names), p=[shares[name] / total for name in names]))]


@dataclass(frozen=True)
class Streams:
    """The generators of one group: called with a name, a new generator at its beginning."""

    seed: int
    group: int

    def __call__(self, name: str) -> Generator:
        return stream(self.seed, self.group, name)
