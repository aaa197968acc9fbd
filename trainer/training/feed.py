"""Where a run's batches come from: each sample of its shards once a cycle, or a pool of samples on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from trainer.config import Config
from trainer.console import say
from trainer.data.batches import Batch, Batches, Needs, Step
from trainer.data.cache import ShardCache
from trainer.data.latents import Latents
from trainer.data.mixture import Mixture
from trainer.data.pool import Growing, Pool, PoolConfig
from trainer.data.prompts import Sentences
from trainer.data.shards import Encoded, IndexedShards, Reading, Sample, Shards, StreamedShards, open_either
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.text import TextEncoder
from trainer.training.run import Run
from trainer.training.schedule import of_couples, planned, steps


class Feed(ABC):
    """shards: those by which frozen parts are fitted or measured. fingerprint: names what a run must find again."""

    shards: Shards[Sample | Encoded]
    fingerprint: str | None = None

    @abstractmethod
    def batches(
        self, run: Run, autoencoder: Autoencoder, text: TextEncoder, needs: Needs
    ) -> Generator[list[Batch], None, None]:
        """Each step's batches of this rank, from where the run stands."""

    text: TextEncoder | None = None
    """Known with the batches."""

    def shown(self) -> dict[str, float]:
        """For the log."""
        return {} if self.text is None or not self.text.cut else {"cut": self.text.cut}

    def close(self) -> None:
        self.shards.close()
        if self.text is not None and self.text.cut:
            say(f"warning: {self.text.cut} sentences were cut at {self.text.max_tokens} tokens (text.max_tokens)")


def open_feed(config: Config, urls: list[str]) -> Feed:
    """What a config asks for. Raises UserError."""
    if config.pool is None:
        return Cycles(config, urls)
    if config.data:
        raise UserError("data: a pool is filled from the one folder that --shards names; leave out data, or pool")
    return Pooled(config, config.pool, urls)


def open_data(config: Config, urls: list[str]) -> IndexedShards[Any] | StreamedShards | Mixture:
    """The shards of --shards, or the datasets of `data`, one or several, which hold couples where the config wants
    some. Raises UserError.
    """
    shards = _opened(config, urls)
    if config.training.couples:
        shards.check_couples()
    return shards


def _opened(config: Config, urls: list[str]) -> IndexedShards[Any] | StreamedShards | Mixture:
    if bool(urls) == bool(config.data):
        told = "both say what to train on" if urls else "neither says what to train on"
        raise UserError(f"--shards, and `data` in the config: {told}; give one of them")
    run, window = config.run, config.order.window if config.order.kind == "window" else None
    cache = None if run.shard_cache is None else ShardCache(Path(run.shard_cache), int(run.shard_cache_gib * 2**30))
    reading = Reading(run.workers, window, cache)
    if urls:
        return open_either(urls, config.seed, reading)
    opened: list[IndexedShards[Any]] = []
    for number, dataset in enumerate(config.data):
        shards = open_either(list(dataset.shards), config.seed, reading, dataset)
        if isinstance(shards, StreamedShards):
            raise UserError(f"data[{number}]: tars without sidecars have no samples to draw by weight; use --shards")
        opened.append(shards)
    return Mixture(opened, [dataset.weight for dataset in config.data], config.seed)


class Cycles(Feed):
    """Each sample once a cycle, in an order that (seed, position) alone decides.

    In a step of couples every other sample gives its turn to a mate of the one before it: it is not seen in that cycle,
    and the mate once more.
    """

    made: Batches | None = None

    def __init__(self, config: Config, urls: list[str]) -> None:
        self.config = config
        self.shards: IndexedShards[Any] | StreamedShards | Mixture = open_data(config, urls)
        self.fingerprint = self.shards.fingerprint

    def batches(
        self, run: Run, autoencoder: Autoencoder, text: TextEncoder, needs: Needs
    ) -> Generator[list[Batch], None, None]:
        indexed = not isinstance(self.shards, StreamedShards)  # a stream does not know its repeats
        for part in self.shards.parts if isinstance(self.shards, Mixture) else (self.shards,):
            if isinstance(part, IndexedShards) and isinstance(part.samples, Latents):
                part.samples.check(autoencoder)
        self.text = text
        sentences = Sentences(text, self.shards.tars)
        cache_mb = self.config.run.cache_mb if indexed else 0
        self.made = batches = Batches(self.shards, autoencoder, sentences, cache_mb, needs)
        return batches.run(self._steps(run))

    def _steps(self, run: Run) -> Iterator[Step]:
        training = self.config.training
        for step in steps(run.seen, training):
            couples = of_couples(step, training.batch_size, training.couples)
            yield planned(run.ranks.share(step, couples), self.config.run.micro_batch, couples)

    def shown(self) -> dict[str, float]:
        broken = self.shards.broken
        shown = {"broken": broken} if broken else {}
        return super().shown() | shown | ({} if self.encode_ms is None else {"encode_ms": self.encode_ms})

    @property
    def encode_ms(self) -> float | None:
        """Milliseconds that a sample took to be encoded on the way; None where none was."""
        return 1000 * self.made.seconds / self.made.encoded if self.made and self.made.encoded else None

    def close(self) -> None:
        super().close()
        if self.encode_ms is not None:
            say(
                f"encoding took {self.encode_ms:.0f} ms a sample, of {self.made.encoded if self.made else 0}; "
                "`trainer encode` does it once for all runs"
            )


class Pooled(Feed):
    """Windows of samples in a pool, which may still be filling."""

    pool: Pool | None = None

    def __init__(self, config: Config, settings: PoolConfig, urls: list[str]) -> None:
        self.config, self.settings, self.growing = config, settings, Growing(urls)
        self.shards = self.growing.first(config.seed, settings.patience)
        if config.training.couples:
            self.shards.check_couples()

    def batches(
        self, run: Run, autoencoder: Autoencoder, text: TextEncoder, needs: Needs
    ) -> Generator[list[Batch], None, None]:
        self.text = text
        self.pool = Pool(self.growing, autoencoder, text, self.settings, self.config.seed, needs)
        return self.pool.run(self._steps(run))

    def _steps(self, run: Run) -> Iterator[Step]:
        """By the stage at which the run is when the step begins."""
        while run.seen < self.config.training.samples:
            stage = self.settings.stage(run.share())
            step = range(run.seen, min(run.seen + stage.batch_size, self.config.training.samples))
            couples = of_couples(step, stage.batch_size, self.config.training.couples)
            yield planned(run.ranks.share(step, couples), self.config.run.micro_batch, couples, stage.window)

    def shown(self) -> dict[str, float]:
        return super().shown() | ({} if self.pool is None else self.pool.shown())

    def close(self) -> None:
        super().close()
        if self.pool is not None:
            self.pool.close()
