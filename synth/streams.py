"""Random numbers by name: each generator is a function of (seed, number, stream) and of nothing else."""

import hashlib

from numpy.random import Generator, Philox


def stream(seed: int, number: int, name: str) -> Generator:
    """The generator of one named stream.

    `number` is the group of a sample for all that concerns its pixels, its index for its instruction. The key of the
    counter-based Philox generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a hash
    of all three, so that neither the order of work nor the number of samples or streams moves a draw.
    """
    digest = hashlib.blake2b(f"{seed}/{number}/{name}".encode(), digest_size=16).digest()
    return Generator(Philox(key=int.from_bytes(digest, "little")))


def field_seed(rng: Generator) -> int:
    """A 63-bit seed for a random field (noise, flakes), small enough for every reader of JSON with 64-bit integers."""
    return int(rng.integers(0, 2**63 - 1))
