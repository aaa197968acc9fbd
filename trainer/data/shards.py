"""The reader of shards of kind `images`, as shards/FORMAT.md has them: from what the user names to samples.

Listing (what the user names → tars), index (sidecars → where a sample's bytes lie), places (bytes), samples (decode)
and order (position → number) stand in files of their own; here they become what training asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from trainer.data.format import sidecar_of
from trainer.data.listing import expand
from trainer.data.order import number_at
from trainer.data.places import at_once, exists
from trainer.data.samples import Sample, Samples
from trainer.data.stream import StreamedShards
from trainer.errors import UserError

__all__ = ["IndexedShards", "Sample", "Shards", "StreamedShards", "open_shards"]


class Shards(Protocol):
    """What training needs of a set of shards.

    Samples are numbered by their position in training: 0, 1, 2, … without end. What stands at a position is a pure
    function of (seed, position), so the state of a run is one integer, the samples seen.
    """

    fingerprint: str
    """Names what the order of samples depends on: a run is resumed on the same shards alone."""

    def at(self, position: int) -> int:
        """The number of the sample at a position of the run; equal numbers are equal samples."""

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        """The samples with these numbers, decoded. Raises UserError."""

    def close(self) -> None: ...


def open_shards(urls: list[str], seed: int, workers: int = 0, clean: bool = False) -> IndexedShards | StreamedShards:
    """Shards with sidecars are read at random, tars without are streamed. Raises UserError.

    clean: samples come with their clean pair. A set in which some shards have sidecars and some have none is refused:
    those without are unfinished.
    """
    tars = expand(urls)
    for url, there in zip(tars, at_once(exists, tars), strict=True):
        if not there:
            raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces")
    sidecars = at_once(exists, [sidecar_of(url) for url in tars])
    bare = [url for url, there in zip(tars, sidecars, strict=True) if not there]
    if bare and len(bare) < len(tars):
        raise UserError(f"{bare[0]}: no sidecar (.parquet) beside it, so it is unfinished; leave it out or finish it")
    return StreamedShards(tars, seed, clean) if bare else IndexedShards(Samples(tars, clean), seed, workers)


class IndexedShards:
    """Shards with sidecars: any sample by its number, every sample once in a cycle, read by threads."""

    def __init__(self, samples: Samples, seed: int, workers: int = 0) -> None:
        self.samples, self.seed = samples, seed
        index = samples.index
        self.tars, self.failed, self.fingerprint = index.tars, index.failed, index.fingerprint
        self.sizes, self.bytes = index.sizes, index.bytes
        self._pool = ThreadPoolExecutor(workers, "reader") if workers else None

    def __len__(self) -> int:
        return len(self.samples)

    def at(self, position: int) -> int:
        return number_at(self.seed, position, len(self))

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        read = self.samples.__getitem__
        return list(self._pool.map(read, numbers) if self._pool else map(read, numbers))

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
