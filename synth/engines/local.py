"""Shards on this machine: in this process, or in spawned ones that render one shard at a time each."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2

from synth.engines.memory import keep_memory
from synth.errors import UserError
from synth.generate import write_shard
from synth.plan import Plan, Shard

POLLED_S = 0.2  # how often the counts of the workers are read


def run(plan: Plan, shards: Sequence[Shard], out: Path, workers: int, progress: Callable[[int], None]) -> None:
    """Render shards with a number of worker processes (1: in this process).

    progress: called now and then with the number of samples done so far. Raises UserError where a worker died: what
    was committed stays, and the same command goes on.
    """
    if workers == 1 or len(shards) == 1:
        _prepare_process()
        done = 0
        for shard in shards:
            write_shard(plan, shard, out, lambda n, before=done: progress(before + n))  # type: ignore[misc]
            done += shard.stop - shard.start
        return
    context = multiprocessing.get_context("spawn")
    counts = context.RawArray(ctypes.c_uint64, len(shards))  # each worker writes its shard's own slot: no lock
    pool = ProcessPoolExecutor(
        min(workers, len(shards)), context, initializer=_start_worker, initargs=(plan, out, counts)
    )
    try:
        waiting = {pool.submit(_write, shard, slot) for slot, shard in enumerate(shards)}
        while waiting:
            finished, waiting = wait(waiting, timeout=POLLED_S, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            progress(sum(counts))
    except BrokenProcessPool:
        raise UserError(
            "a worker process died (killed, or out of memory); finished shards stay: run the same command to go on"
        ) from None
    finally:
        for process in multiprocessing.active_children():
            process.terminate()  # idle ones at the end of a run; after an interruption those at work too
        pool.shutdown(wait=True, cancel_futures=True)


_worker: dict[str, Any] = {}


def _start_worker(plan: Plan, out: Path, counts: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _prepare_process()
    _worker.update(plan=plan, out=out, counts=counts)


def _end_with_parent() -> None:
    """A worker whose parent was killed has nobody to work for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare_process() -> None:
    """One thread of OpenCV for each worker, and memory that stays."""
    cv2.setNumThreads(1)
    keep_memory()


def _write(shard: Shard, slot: int) -> None:
    def count(done: int) -> None:
        _worker["counts"][slot] = done

    write_shard(_worker["plan"], shard, _worker["out"], count)


def default_workers() -> int:
    """All cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
