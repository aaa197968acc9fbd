"""Shards on this machine: in this process, or in spawned ones that render one shard at a time each."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from synth.dataset.generate import Job, Watch
from synth.engines.ahead import ahead
from synth.engines.memory import keep_memory
from synth.errors import StoppedError
from synth.images.codecs import log_level
from synth.sample.plan import Shard

POLLED_S = 0.2  # how often the counts of the workers are read
WAITING = 3  # shards submitted for each worker: to look after all of a million takes the parent's whole time


@dataclass(frozen=True)
class LocalEngine:
    """Worker processes, spawned (1: this process); by default all cores that this process may use."""

    workers: int | None = None

    def __call__(self, job: Job, shards: Sequence[Shard], pairs: int, failed: set[int], watch: Watch) -> None:
        """As synth.dataset.generate.Engine has it."""
        workers = min(self.workers or default_workers(), len(shards))
        if workers == 1:
            _here(job, shards, failed, watch)
        else:
            _spawned(workers, job, shards, pairs, failed, watch)


def _here(job: Job, shards: Sequence[Shard], failed: set[int], watch: Watch) -> None:
    prepare_process()
    told = _Told(watch, set(failed))
    for shard in shards:
        job(shard, told)
        told.before += shard.stop - shard.start


class _Told:
    """Passes on what a shard tells, at once."""

    def __init__(self, watch: Watch, failed_pairs: set[int]) -> None:
        self._watch, self._failed, self._done, self.before = watch, failed_pairs, 0, 0

    def done(self, samples: int) -> None:
        self._done = self.before + samples
        self._watch(self._done, len(self._failed))

    def failed(self, pair: int) -> None:
        self._failed.add(pair)


def _spawned(workers: int, job: Job, shards: Sequence[Shard], pairs: int, failed: set[int], watch: Watch) -> None:
    context = multiprocessing.get_context("spawn")
    counts = context.RawArray(ctypes.c_uint64, len(shards))  # each worker writes its shard's own slot: no lock
    fates = context.RawArray(ctypes.c_uint8, pairs)  # 1: it failed
    failed_pairs = np.ctypeslib.as_array(fates)
    failed_pairs[list(failed)] = 1
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(job, counts, fates))

    def submit(item: tuple[int, Shard]) -> Future[None]:
        with _unheard(signal.SIGINT):  # by a worker that starts here and knows no better yet
            return pool.submit(_work, *item)

    def poll(under_way: list[Future[None]]) -> tuple[set[Future[None]], set[Future[None]]]:
        return wait(under_way, timeout=POLLED_S, return_when=FIRST_COMPLETED)

    try:
        for finished in ahead(enumerate(shards), WAITING * workers, submit, poll):
            for future in finished:
                future.result()
            watch(sum(counts), int(failed_pairs.sum()))
    except BrokenProcessPool:
        raise StoppedError("a worker process died (killed, or out of memory)") from None
    finally:
        for process in multiprocessing.active_children():
            process.terminate()  # idle ones at the end of a run; after an interruption those at work too
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """Puts off a signal; processes that are started meanwhile never hear it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: dict[str, Any] = {}


def _start_worker(job: Job, counts: Any, fates: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare_process()
    _worker.update(job=job, counts=counts, fates=fates)


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def prepare_process() -> None:
    """One thread of OpenCV for each worker, and memory that stays. What it warns of, rows of failed samples say."""
    cv2.setNumThreads(1)
    log_level(2)
    keep_memory()


class _Shared:
    """Writes what a shard tells where the parent reads it."""

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def done(self, samples: int) -> None:
        _worker["counts"][self._slot] = samples

    def failed(self, pair: int) -> None:
        _worker["fates"][pair] = 1


def _work(slot: int, shard: Shard) -> None:
    _worker["job"](shard, _Shared(slot))


def default_workers() -> int:
    """All cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
