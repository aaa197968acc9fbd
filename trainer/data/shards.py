"""The reader of shards, as shards/FORMAT.md has them: from what the user names to samples.

Listing (what the user names → tars), index (sidecars → where a sample's bytes lie), places (bytes), samples (decode)
and order (position → number) stand in files of their own; here they become what training asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Lock
from typing import Generic, NamedTuple, Protocol, TypeVar

from trainer.console import say
from trainer.data.cache import ShardCache
from trainer.data.choice import ALL, Only
from trainer.data.format import LATENTS, sidecar_of
from trainer.data.index import schema_of
from trainer.data.latents import Encoded, Latents
from trainer.data.listing import expand
from trainer.data.mates import Mates
from trainer.data.order import Order
from trainer.data.places import at_once, can_be_had, exists, is_pipe
from trainer.data.samples import MOST_BROKEN, Broken, Sample, Samples, Stored
from trainer.data.stream import StreamedShards
from trainer.errors import UserError

__all__ = ["Encoded", "IndexedShards", "Reading", "Sample", "Shards", "StreamedShards", "open_either", "open_shards"]


S = TypeVar("S")
Seen = TypeVar("Seen", covariant=True)


class Shards(Protocol[Seen]):
    """What training needs of a set of shards.

    Samples are numbered by their position in training: 0, 1, 2, … without end. What stands at a position is a pure
    function of (seed, position), so the state of a run is one integer, the samples seen.
    """

    fingerprint: str
    """Names what the order of samples depends on: a run is resumed on the same shards alone."""

    def at(self, position: int) -> int:
        """The number of the sample at a position of the run; equal numbers are equal samples."""

    def load(self, numbers: Sequence[int]) -> Sequence[Seen]:
        """The samples with these numbers, decoded. Raises UserError."""

    def check_couples(self) -> None:
        """Raises UserError where no pair stands under two instructions."""

    def couple(self, number: int, turn: int) -> tuple[int, int]:
        """Two samples of one pair under different instructions: a sample, or the next that has mates, and of its mates
        the one whose turn it is.
        """

    def close(self) -> None: ...


def open_shards(
    urls: list[str], seed: int, workers: int = 0, clean: bool = False, only: Only = ALL
) -> IndexedShards[Sample] | StreamedShards:
    """Shards of pictures: those with sidecars are read at random, tars without are streamed. Raises UserError.

    clean: samples come with their clean pair. only: which are taken, by what their sidecars say of them. A set in which
    some shards have sidecars and some have none is refused: those without are unfinished.
    """
    tars, indexed = _found(urls, only)
    return IndexedShards(Samples(tars, clean, only), seed, workers) if indexed else StreamedShards(tars, seed, clean)


class Reading(NamedTuple):
    """How shards are read."""

    workers: int = 0
    """Threads."""
    window: int | None = None
    """Of the order of samples (Order); none: over all of them."""
    cache: ShardCache | None = None
    """For shards of elsewhere."""


def open_either(
    urls: list[str], seed: int, reading: Reading, only: Only = ALL
) -> IndexedShards[Sample] | IndexedShards[Encoded] | StreamedShards:
    """The same, or shards of latents. Raises UserError."""
    tars, indexed = _found(urls, only)
    if not indexed:
        say(
            f"--shards {tars[0]}: streamed, since no sidecar (.parquet) can be had beside it: shards come in a drawn "
            "order, their samples as they lie; to go on, what was seen is read once more; nothing is held to its sha256"
        )
        return StreamedShards(tars, seed)
    if schema_of(tars[0])[1].get("mmaif.kind") == LATENTS:
        return IndexedShards(Latents(tars, only, reading.cache), seed, reading.workers, reading.window)
    return IndexedShards(Samples(tars, only=only, cache=reading.cache), seed, reading.workers, reading.window)


def _found(urls: list[str], only: Only) -> tuple[list[str], bool]:
    """The tars that are meant, and whether they have sidecars. Raises UserError."""
    tars = expand(urls)
    for url, there in zip(tars, at_once(exists, tars), strict=True):
        if not there:
            raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces")
    sidecars = at_once(lambda url: not is_pipe(url) and can_be_had(sidecar_of(url)), tars)
    bare = [url for url, there in zip(tars, sidecars, strict=True) if not there]
    if bare and len(bare) < len(tars):
        raise UserError(f"{bare[0]}: no sidecar (.parquet) beside it, so it is unfinished; leave it out or finish it")
    if bare and only.columns:
        raise UserError(
            f"{bare[0]}: no sidecar (.parquet) beside it, by which {', '.join(only.columns)} could be chosen"
        )
    return tars, not bare


class IndexedShards(Generic[S]):
    """Shards with sidecars: any sample by its number, every sample once in a cycle, read by threads."""

    def __init__(self, samples: Stored[S], seed: int, workers: int = 0, window: int | None = None) -> None:
        self.samples, self.seed = samples, seed
        index = samples.index
        self.tars, self.failed, self.fingerprint = index.tars, index.failed, index.fingerprint
        self.sizes, self.bytes = index.sizes, index.bytes
        self.order = Order(index.counts, window)
        self._pool = ThreadPoolExecutor(workers, "reader") if workers else None
        self._lock, self._broken = Lock(), set[int]()

    @property
    def broken(self) -> int:
        """Samples that could not be used, and were passed over."""
        return len(self._broken)

    def __len__(self) -> int:
        return len(self.samples)

    def at(self, position: int) -> int:
        return self.order.at(self.seed, position)

    def check_couples(self) -> None:
        if not self.mates:
            raise UserError(
                f"--shards {self.tars[0]}: no pair stands under two instructions in these shards, and training.couples "
                "wants some; make them by a recipe with instructions.per_pair: 2, or leave out training.couples"
            )

    def couple(self, number: int, turn: int) -> tuple[int, int]:
        return self.mates.couple(number, turn)

    @cached_property
    def mates(self) -> Mates:
        """Which samples are of one pair. Read from the sidecars once it is asked for."""
        return Mates(self.samples.index.groups())

    def load(self, numbers: Sequence[int]) -> list[S]:
        """In place of one that is broken comes the next that is not; over a share of MOST_BROKEN raises UserError."""
        return list(self._pool.map(self._read, numbers) if self._pool else map(self._read, numbers))

    def _read(self, number: int) -> S:
        while True:
            try:
                return self.samples[number]
            except Broken as error:
                with self._lock:
                    known = number in self._broken
                    self._broken.add(number)
                if self.broken > MOST_BROKEN * len(self):
                    raise UserError(
                        f"{error} ({self.broken} of {len(self)} samples cannot be used, over {MOST_BROKEN:.0%})"
                    ) from None
                if not known:
                    say(f"passed over: {error}")
                number = (number + 1) % len(self)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
