"""Shards on a Ray cluster: a shard is a task, and a task whose worker or node is lost is begun again elsewhere."""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synth.dataset.generate import Job, Watch
from synth.engines.ahead import ahead
from synth.engines.local import prepare_process
from synth.errors import StoppedError, UserError, in_one_line
from synth.sample.plan import Shard

TRIES_AGAIN = 5  # of a task whose worker was lost, before the run gives up
WAITING_A_CPU = 2  # tasks submitted ahead for each CPU: a plan may have a million
REACHED_S = 10.0  # within which a cluster must answer
POLLED_S = 0.5  # how often the tally is read, and told to


@dataclass(frozen=True)
class RayEngine:
    """Tasks of one CPU each on the cluster at `address`, or on one that is started here for the run.

    workers: CPUs of the one that is started here, or the most tasks at once on the one that is joined. A folder to
    write to, and the sources, must be at the same path on every node; object storage is everywhere.
    """

    workers: int | None = None
    address: str | None = None

    def __call__(self, job: Job, shards: Sequence[Shard], pairs: int, failed: set[int], watch: Watch) -> None:
        """As synth.dataset.generate.Engine has it."""
        with self._cluster() as ray:
            tally = ray.remote(num_cpus=0)(_Tally).remote()
            work = ray.remote(num_cpus=1, max_retries=TRIES_AGAIN)(_work)
            given = ray.put((job, str(Path.cwd()), tally))
            cpus = int(ray.cluster_resources().get("CPU", 1))
            most = WAITING_A_CPU * cpus if self.address is None or self.workers is None else self.workers
            poll = partial(ray.wait, num_returns=1, timeout=POLLED_S)
            done: dict[int, int] = {}
            failed_pairs = set(failed)
            watch(0, len(failed_pairs))  # from here on a signal waits for the next call: raised within Ray it is lost
            for finished in ahead(enumerate(shards), most, lambda item: work.remote(given, *item), poll):
                for task in finished:
                    slot, samples, failed_now = _result(ray, task)
                    done[slot] = samples
                    failed_pairs |= failed_now
                if not finished:
                    told, failed_now = ray.get(tally.read.remote())
                    done |= {slot: max(samples, done.get(slot, 0)) for slot, samples in told.items()}
                    failed_pairs |= failed_now
                watch(sum(done.values()), len(failed_pairs))

    @contextmanager
    def _cluster(self) -> Iterator[Any]:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray advises: no GPU is hidden
        try:
            import ray
        except ImportError:
            raise UserError("--engine ray needs Ray; pip install 'mmaif[ray]'") from None
        ours = signal.getsignal(signal.SIGTERM)
        try:
            _reach(self.address)
            how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if self.address is None:
                ray.init(address="local", num_cpus=self.workers, include_dashboard=False, **how)
            else:
                ray.init(address=self.address, **how)
        except (OSError, ValueError, RuntimeError) as error:
            what = "started here" if self.address is None else "joined"
            where = "--engine ray" if self.address is None else f"--address {self.address}"
            raise UserError(f"{where}: no Ray cluster could be {what}: {in_one_line(error)}") from None
        signal.signal(signal.SIGTERM, ours)  # Ray puts its own in place
        try:
            yield ray
        finally:
            ray.shutdown()  # ends the tasks of this run, on a cluster that was joined too


def _reach(address: str | None) -> None:
    """Raises OSError where nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), REACHED_S).close()


class _Tally:
    """How far the tasks are: an actor, to which they tell it now and then."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}
        self._failed: set[int] = set()

    def tell(self, slot: int, samples: int, failed: set[int]) -> None:
        self._done[slot] = samples
        self._failed |= failed

    def read(self) -> tuple[dict[int, int], set[int]]:
        return self._done, self._failed


class _Told:
    """What a shard tells, passed on to the tally every POLLED_S seconds."""

    def __init__(self, tally: Any, slot: int) -> None:
        self._tally, self._slot, self._next = tally, slot, time.monotonic() + POLLED_S
        self.samples = 0
        self.pairs: set[int] = set()

    def done(self, samples: int) -> None:
        self.samples = samples
        if time.monotonic() >= self._next:
            self._tally.tell.remote(self._slot, samples, self.pairs)
            self._next = time.monotonic() + POLLED_S

    def failed(self, pair: int) -> None:
        self.pairs.add(pair)


def _work(given: tuple[Job, str, Any], slot: int, shard: Shard) -> tuple[int, int, set[int]]:
    """One shard on a worker: its slot, its samples, and the pairs that failed."""
    job, folder, tally = given
    os.chdir(folder)  # relative paths mean what they mean to who started the run
    prepare_process()
    told = _Told(tally, slot)
    job(shard, told)
    return slot, told.samples, told.pairs


def _result(ray: Any, task: Any) -> tuple[int, int, set[int]]:
    try:
        result: tuple[int, int, set[int]] = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause or error) from None  # what the job raised
    except ray.exceptions.RayError as error:
        raise StoppedError(f"a worker was lost {TRIES_AGAIN + 1} times ({in_one_line(error)})") from None
    return result
