"""A pool of ready samples on the device, from shards that are still being made: each is seen many times, never twice
the same: a window of it, and one of eight symmetries, drawn at each visit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trainer.data.batches import Batch, Crops, Needs, Step, group_of, network_inputs
from trainer.data.format import sidecar_of
from trainer.data.images import from_bytes, to_bytes
from trainer.data.labels import labels_of
from trainer.data.mates import Mates
from trainer.data.places import is_remote
from trainer.data.shards import IndexedShards, open_shards
from trainer.data.windows import Windows
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import fuse_base
from trainer.frozen.text import Prompts, TextEncoder, padded_to
from trainer.model.inputs import Whole, in_range
from trainer.schema import Section

POLL = 0.2
"""Seconds between looks for new shards."""
GPU_SHARE = 0.6
"""Of a GPU's memory, for a pool without a size."""
SHARD = re.compile(r"\d+")
"""Names of a dataset's shards, without .tar: no copy of one, as "000000 (1)"."""
CHANNELS = 9
"""Of a sample in the pool: red, green and blue of a, b and target."""


class Kept(NamedTuple):
    """All samples of a shard, decoded."""

    images: Tensor
    """(n, H, W, CHANNELS) uint8."""
    instructions: list[str]
    keys: list[str]
    records: list[dict[str, Any]]


class Growing:
    """The folder of a dataset in the making, or of a finished one. Raises UserError where it is none."""

    def __init__(self, urls: list[str]) -> None:
        if len(urls) != 1 or is_remote(urls[0]) or urls[0].endswith(".tar"):
            raise UserError(f"--shards {' '.join(urls)}: a pool is filled from one folder of this machine; name that")
        self.folder = Path(urls[0])
        self._known: set[str] = set()

    def new(self) -> list[str]:
        """The shards that were finished since the last call, in the order of their names."""
        tars = sorted(
            str(tar)
            for tar in self.folder.glob("*.tar")
            if SHARD.fullmatch(tar.stem) and Path(sidecar_of(str(tar))).is_file()
        )
        found = [tar for tar in tars if tar not in self._known]
        self._known.update(found)
        return found

    def first(self, seed: int, patience: float) -> IndexedShards:
        """The shards that are there once there is one. Raises UserError after so many seconds without."""
        begun = time.monotonic()
        while not (tars := Growing([str(self.folder)]).new()):
            if time.monotonic() - begun > patience:
                raise UserError(
                    f"--shards {self.folder}: no finished shard after {patience:.0f} s; is `synth` at work?"
                )
            time.sleep(POLL)
        shards = open_shards(tars, seed)
        assert isinstance(shards, IndexedShards)
        return shards


class WholeShards(Dataset[Kept | None]):
    """Shards by the path of their tar, for a DataLoader."""

    def __getitem__(self, tar: str) -> Kept | None:
        """None, after a while, for the empty name: there was no new shard."""
        if not tar:
            time.sleep(POLL)
            return None
        shards = open_shards([tar], 0)
        assert isinstance(shards, IndexedShards)
        samples = shards.load(range(len(shards)))
        if len({sample.a.shape for sample in samples}) > 1:
            raise UserError(f"--shards {tar}: samples of different sizes; a pool takes shards of one size of crop")
        images = np.stack([np.concatenate([s.a, s.b, s.target], axis=2) for s in samples])
        return Kept(
            torch.from_numpy(images),
            [s.instruction for s in samples],
            [s.key for s in samples],
            [s.record for s in samples],
        )


class Stage(Section):
    """A part of a run by pool."""

    until: float = Field(gt=0, le=1)
    """Share of the run at which it ends."""
    window: int | None = Field(default=None, ge=16)
    """Side in pixels of the window that is drawn from a sample; none: the whole sample."""
    batch_size: int = Field(ge=1, le=2**20)
    """Samples in a step."""


class PoolConfig(Section):
    """The `pool:` of a config."""

    stages: tuple[Stage, ...] = Field(min_length=1)
    """From small windows to whole samples, say; the last ends at 1."""
    gib: float | None = Field(default=None, gt=0)
    """Of the device's memory that it may take, the newest samples then replace the oldest; none: 0.6 of a GPU's, 2 of
    other memory."""
    at_least: int = Field(default=1024, ge=1)
    """Samples that are there before training begins."""
    symmetries: bool = True
    """Whether a visit turns and mirrors the pictures."""
    workers: int = Field(default=1, ge=0, le=1024)
    """Processes that read and decode shards."""
    patience: float = Field(default=120.0, gt=0)
    """Seconds to wait for the first shard, and for `at_least`."""

    @model_validator(mode="after")
    def _ends(self) -> PoolConfig:
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"stages end at {ends}: each later than the one before, and the last at 1")
        return self

    def stage(self, share: float) -> Stage:
        """That of a run of which such a share is behind it."""
        return next((stage for stage in self.stages if share < stage.until), self.stages[-1])


class Pool:
    """Samples on the autoencoder's device, filled by a thread as shards are finished, until close().

    What a batch holds depends on what was there when it was drawn: such a run does not repeat bit for bit.
    """

    images: Tensor
    """(N, H, W, CHANNELS) uint8."""
    prompts: Prompts
    """Of N sentences."""
    labels: Tensor
    """(N, 2, E)."""

    def __init__(
        self,
        growing: Growing,
        autoencoder: Autoencoder,
        text: TextEncoder,
        config: PoolConfig,
        seed: int,
        needs: Needs,
    ) -> None:
        self.growing, self.autoencoder, self.text = growing, autoencoder, text
        self.config, self.seed, self.needs = config, seed, needs
        self.loaded = 0
        """Samples that came in."""
        self.room = 0
        """Samples that the pool holds at most; known with the first shard."""
        self.visits = 0
        self.keys: list[str] = []
        self._groups = np.empty(0, dtype=np.int64)
        """Of each sample a number that its group alone has."""
        self._known = 0
        self._mates: Mates | None = None
        self._lock, self._stop = Lock(), Event()
        self._error: Exception | None = None
        on_gpu = autoencoder.device.type == "cuda"
        self._read = torch.cuda.Event() if on_gpu else None
        self._written = torch.cuda.Event() if on_gpu else None
        processes = {"multiprocessing_context": "fork", "prefetch_factor": 1} if config.workers else {}
        loader = DataLoader(
            WholeShards(),
            batch_size=None,
            sampler=self._appearing(),
            num_workers=config.workers,
            collate_fn=_as_it_is,
            **processes,  # type: ignore[arg-type]
        )
        self._loaded = iter(loader)  # here, since processes are forked from the main thread alone
        self._thread = Thread(target=self._fill, name="pool", daemon=True)
        self._thread.start()

    @property
    def filled(self) -> int:
        """Samples that are there."""
        return min(self.loaded, self.room)

    def shown(self) -> dict[str, float]:
        """For the log: samples that came in, and how often each was seen on average."""
        return {"pool": self.loaded, "visits": self.visits / max(1, self.loaded)}

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def run(self, steps: Iterator[Step]) -> Generator[list[Batch], None, None]:
        """The batches of each step."""
        for step in steps:
            self._wait(
                lambda: self.filled >= min(self.config.at_least, self.room or self.config.at_least),
                lambda: (
                    f"{self.loaded} samples after {self.config.patience:.0f} s, and pool.at_least is "
                    f"{self.config.at_least}; is `synth` at work?"
                ),
            )
            if step.couples:
                self._wait(
                    self._paired,
                    lambda: (
                        f"no pair stands under two instructions in {self.filled} samples, and training.couples "
                        "wants some; make them by a recipe with instructions.per_pair: 2, or train without "
                        "(--set training.couples=0)"
                    ),
                )
            self._check()
            yield [self.batch(positions, step.window, step.couples) for positions in step.parts]

    def _wait(self, ready: Callable[[], bool], complaint: Callable[[], str]) -> None:
        """Raises UserError where that is not so within the patience of the config."""
        begun = time.monotonic()
        while not ready():
            self._check()
            if time.monotonic() - begun > self.config.patience:
                raise UserError(f"--shards {self.growing.folder}: {complaint()}")
            time.sleep(POLL)

    @torch.no_grad()
    def batch(self, positions: range, window: int | None, couples: bool = False) -> Batch:
        """Samples drawn for these positions, with replacement; couples: of groups of several, two of each, in one
        window, of which there are some (`run` waits for them).
        """
        device, count = self.autoencoder.device, len(positions)
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, positions.start], dtype=np.uint64)))

        with self._lock:
            if self._written is not None:
                self._written.wait()
            drawn = self._couples(generator, count // 2) if couples else generator.integers(self.filled, size=count)
            chosen = torch.from_numpy(drawn)
            height, width = self.images.shape[1:3]
            side = min(height, width) if window is None else min(window, height, width)
            several = count // 2 if couples else count
            windows = Windows.draw(generator, several, (height, width), (side, side), self.config.symmetries)
            windows = (windows.twice() if couples else windows).to(device)
            keys = tuple(self.keys[number] for number in chosen.tolist())
            chosen = chosen.to(device)
            images = self.images.index_select(0, chosen)
            prompts = Prompts(*(part.index_select(0, chosen) for part in self.prompts))
            labels = self.labels.index_select(0, chosen) if self.needs.effects else None
            if self._read is not None:
                self._read.record()
        self.visits += count
        a, b = (from_bytes(part) for part in images[..., :6].split(3, dim=3))
        base = to_bytes(fuse_base(a, b))  # solved on the whole sample, and in bytes: as the network is given it
        whole = None if not self.needs.pixels else Whole.of(torch.stack([a, b, in_range(base)], dim=1))
        images = windows.cut(torch.cat([images, base.movedim(1, 3)], dim=3))  # (B, side, side, 12)
        a, b, target, base = (from_bytes(part) for part in images.split(3, dim=3))
        latents = torch.stack([self.autoencoder.encode(picture) for picture in (a, b, base, target)], dim=1)
        pixels = torch.stack([a, b, base], dim=1) if self.needs.pixels else None
        inputs = network_inputs(self.autoencoder, latents[:, :3], pixels, prompts)
        if whole is not None:
            inputs = inputs._replace(whole=windows.glance(whole))
        crops = Crops(a, b, target) if self.needs.crops else None
        target = self.autoencoder.normalise(latents[:, 3])
        return Batch(inputs, target, keys, positions, crops, labels, couples=couples)

    def _mates_now(self) -> Mates:
        """Which samples that are there now stand in one group."""
        if self._mates is None:
            self._mates = Mates(self._groups[: self.filled])
        return self._mates

    def _paired(self) -> bool:
        """Whether a couple is there; once there, others take its place."""
        with self._lock:
            return bool(self._mates_now())

    def _couples(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Where so many samples that have mates lie, each beside one of these, (2 count,)."""
        mates = self._mates_now()
        draws = generator.integers((len(mates), 2**31), size=(count, 2)).tolist()
        return np.array([mates.nth(place, turn) for place, turn in draws], dtype=np.int64).reshape(-1)

    def _bytes(self) -> float:
        """That it may take."""
        if self.config.gib is not None:
            return self.config.gib * 2**30
        device = self.autoencoder.device
        return GPU_SHARE * torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 2 * 2**30

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _fill(self) -> None:
        side = torch.cuda.Stream(self.autoencoder.device) if self._read is not None else None
        try:
            with nullcontext() if side is None else torch.cuda.stream(side):
                for kept in self._loaded:
                    if kept is not None and not self._stop.is_set():
                        self._put(kept)
        except Exception as error:  # to be raised where the training waits
            self._error = error

    def _appearing(self) -> Iterator[str]:
        """Shards as they are finished, and between them empty names, until the pool is closed."""
        while not self._stop.is_set():
            yield from self.growing.new() or [""]

    @torch.no_grad()
    def _put(self, kept: Kept) -> None:
        """Takes a shard's samples in, in place of the oldest where there is no room."""
        device = self.autoencoder.device
        images, prompts = kept.images.to(device), self.text.at_once(kept.instructions)
        labels = torch.stack([labels_of(record, self.needs.effects) for record in kept.records]).to(device)
        if not self.room:
            each = images[0].nbytes + sum(part[0].nbytes for part in prompts)
            self.room = max(1, int(self._bytes() / each))
            self.images = images.new_empty(self.room, *images.shape[1:])
            self.prompts = Prompts(*(part.new_empty(self.room, *part.shape[1:]) for part in prompts))
            self.labels = labels.new_empty(self.room, *labels.shape[1:])
            self.keys = [""] * self.room
            self._groups = np.zeros(self.room, dtype=np.int64)
        if images.shape[1:] != self.images.shape[1:]:
            raise UserError(f"--shards {self.growing.folder}: shards of different sizes of crop; a pool takes one")
        prompts = padded_to(prompts, self.prompts.mask.shape[1])
        names = [group_of(record, key) for record, key in zip(kept.records, kept.keys, strict=True)]
        numbers = {name: self._known + number for number, name in enumerate(dict.fromkeys(names))}
        groups, self._known = np.array([numbers[name] for name in names]), self._known + len(numbers)
        with self._lock:
            if self._read is not None:
                self._read.wait()
            self.prompts = padded_to(self.prompts, prompts.mask.shape[1])  # where a longer sentence has come
            first = 0
            while first < len(images):  # in one piece, or in two around the end
                place = (self.loaded + first) % self.room
                last = min(len(images), first + self.room - place)
                held = (self.images, self.labels, *self.prompts)
                for ours, theirs in zip(held, (images, labels, *prompts), strict=True):
                    ours[place : place + last - first] = theirs[first:last]
                self.keys[place : place + last - first] = kept.keys[first:last]
                self._groups[place : place + last - first] = groups[first:last]
                first = last
            self._mates = None
            if self._written is not None:
                self._written.record()
            self.loaded += len(images)


def _as_it_is(kept: Any) -> Any:
    return kept
