"""One run, whatever it trains: its folder, what it is made of, how it goes on, stops, tells and keeps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from trainer.config import Resumable
from trainer.console import say
from trainer.errors import UserError
from trainer.files import atomically
from trainer.locks import FolderLock
from trainer.training.checkpoint import (
    WAY_OUT,
    Learned,
    OtherRun,
    Stand,
    check_identity,
    has_checkpoint,
    load_checkpoint,
    newest,
    save_checkpoint,
)
from trainer.training.ema import EMA
from trainer.training.folder import WRITES, check_folder, claim_folder, lock_folder
from trainer.training.gauges import Gauges
from trainer.training.interrupt import Interruption
from trainer.training.log import RunLog
from trainer.training.ranks import Ranks
from trainer.training.sharding import here

T = TypeVar("T")
ENDING = 0.01
"""Share of a run by time that is kept for its end, at least."""
STAGES = ("identify", "resume", "claim", "with", "finish")
"""Of a run; the first may come several times, none may be left out but the last."""


class Run:
    """A run in the folder `out`, to be used in this order: `identify`, `resume`, `claim`, `with run:` around the loop
    over `each`, which calls `stepped`, and `finish`. Nothing is written, nor removed, before `claim`; from there to the
    end no other run can have the folder. What was learned is kept where the `with` ends without an error; another order
    raises RuntimeError.

    stop_after: pause at the first step that reaches so many samples. anew: whatever run is there, it is replaced.
    ranks: of several processes one writes; all must call the same. Raises UserError where the folder cannot be used,
    OtherRun where it holds a run of another config, or one that has seen more samples than this config asks for.
    """

    def __init__(
        self,
        out: Path,
        config: Resumable,
        stop_after: int | None = None,
        anew: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        check_folder(out, None if anew else config)
        self.out, self.config, self.pace = out, config, config.pace
        self._anew, self._stage, self.ranks = anew, -1, ranks or Ranks()
        self._goal = min(self.pace.samples, stop_after or self.pace.samples)
        self._identity: dict[str, str] = {}
        self._interruption = Interruption()
        self.fresh = anew or not has_checkpoint(out)
        self._behind = newest(out)
        if not self.fresh and self._behind > self.pace.samples:
            raise OtherRun(
                f"--out {out}: its run has seen {self._behind} samples, and {self.pace.samples} are fewer; "
                f"ask for {self._behind} or more, {WAY_OUT}"
            )
        self._lock: FolderLock | None = None  # of the leading rank, from `claim` on
        self.seen = 0
        """Samples behind it."""
        self.gauges: Gauges | None = None
        """What the log tells of the machine besides."""
        self._begun = time.monotonic()  # less what the run took before
        self._to_save = 0.0
        self._tenths = 0  # of the run, at the last look

    def identify(self, parts: Mapping[str, str | None]) -> None:
        """Names what the run is made of besides its config, such as {"shards": a hash}; None is nothing, or, of one
        that goes on, whatever it has.

        Raises OtherRun where the run that is there was made of something else.
        """
        self._reach("identify")
        self._identity |= {name: value for name, value in parts.items() if value is not None}
        if not self.fresh:
            self._identity |= check_identity(self.out, parts)

    def resume(
        self, model: nn.Module, averages: Mapping[str, EMA[Any]], optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> None:
        """Takes what is trained, and puts it back to where the run stands; any number of averages and optimizers.

        Raises OtherRun where no checkpoint can be used.
        """
        self._reach("resume")
        self._learned = Learned(model, averages, optimizers)
        if not self.fresh:
            stand = load_checkpoint(self.out, self._learned)
            self.seen, self._begun = stand.samples, self._begun - stand.seconds
            self._behind = self.seen  # damaged checkpoints after it are called so now
        self._saved = self.seen
        count, device = sum(p.numel() for p in model.parameters()), next(model.parameters()).device
        if self.ranks.leads:
            say(f"{self.out}: {count / 1e6:.2f} M parameters on {device}, samples {self.seen} to {self.pace.samples}")

    def claim(self, **beside: Callable[[Path], Any]) -> None:
        """Makes the folder, writes config.yaml, and what lies beside it by name: called with a path to write.

        Raises UserError where another run is writing there, or has since this one looked at the folder.
        """
        self._reach("claim")
        self.ranks.wait()  # until all have looked at the folder as it was
        if not self.ranks.leads:
            return
        self._lock = lock_folder(self.out)
        if newest(self.out) != self._behind:
            self._lock.release()
            raise UserError(f"--out {self.out}: another run has written there meanwhile; run the same command again")
        claim_folder(self.out, self.config, (*WRITES, *beside) if self._anew else ())
        for name, write in beside.items():
            if self.fresh or not (self.out / name).is_dir():
                atomically(self.out / name, write)

    def __enter__(self) -> Run:
        self._reach("with")
        self._stack = ExitStack()
        path = self.out / "log.jsonl" if self.ranks.leads else None
        board = self.out / "tensorboard" if self.pace.tensorboard else None
        log = RunLog(path, self.seen, self.pace.samples, self.ranks.total, board)
        log.gauges = self.gauges
        self._log = self._stack.enter_context(log)
        self._stack.enter_context(self._interruption)
        self._saved_at = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        over = False
        if error is None:
            self._save()
            over = self.share() >= 1  # which all ranks must ask
        if self._lock is not None and not over:  # else weights are still to come
            self._lock.release()

    def each(self, stream: Iterator[T]) -> Iterator[T]:
        """What an endless stream gives, until the run has what it wants or a signal stops it.

        What was learned is kept where the stream raises UserError, on whichever rank.
        """
        while self.seen < self._goal and self.share() < 1 and not self.ranks.any(self._interruption.asked):
            begun = time.perf_counter()
            item = _next(stream)
            if self.ranks.any(isinstance(item, UserError)):
                self._save()
                raise item if isinstance(item, UserError) else UserError(f"--out {self.out}: another process stopped")
            assert not isinstance(item, UserError)
            self._log.waited(time.perf_counter() - begun)
            yield item

    def share(self, more: int = 0) -> float:
        """Which of the whole run lies behind it after `more` samples; 1 where the samples or the time are used up."""
        of_samples = (self.seen + more) / self.pace.samples
        if self.pace.minutes is None:
            return of_samples
        seconds = 60 * self.pace.minutes
        of_time = (time.monotonic() - self._begun) / (seconds - self._end(seconds))
        return min(1.0, max(of_samples, self.ranks.largest(of_time)))

    def _end(self, seconds: float) -> float:
        """So long before the time is up a run of `seconds` has to stop, to write what it learned."""
        return min(seconds / 2, max(ENDING * seconds, 3 * self._to_save))

    def stepped(self, count: int, means: Mapping[str, Tensor], now: Mapping[str, float | Tensor]) -> None:
        """After a step of the optimizer on `count` samples, all ranks together: averages, log, checkpoint.

        means, now: for the log, the first averaged over samples (RunLog.add), the second as it is at a line.
        """
        before, self.seen, self._count = self.seen, self.seen + count, count
        for average in self._learned.averages.values():
            average.update(self._learned.model, self.seen, count)
        self._log.add(count // self.ranks.count, means)
        if crossed(before, self.seen, self.pace.log_every) or self.seen == self.pace.samples:
            self._log.write(self.seen, {**now, "share": self.share()})
        samples, minutes = self.pace.checkpoint_every, self.pace.checkpoint_minutes
        due = samples is not None and crossed(before, self.seen, samples)
        if due or (minutes is not None and self.ranks.any(time.monotonic() - self._saved_at > 60 * minutes)):
            self._save()

    def looks(self, every: int | None) -> bool:
        """Whether the step before was one after which to look at what was learned; None: ten times, and at the end."""
        if every is None:
            tenths = int(10 * self.share() + 1e-9)
            due, self._tenths = tenths > self._tenths, tenths
        else:
            due = crossed(self.seen - self._count, self.seen, every) or self.share() >= 1
        return due

    def note(self, values: Mapping[str, float]) -> None:
        """Values of now, in a line of the log of their own."""
        self._log.note({"samples": self.seen, **values})

    def finish(self, write: Callable[[Path], Any]) -> Path | None:
        """The weights' folder, which `write` makes, of a run that is complete; else None. Raises UserError."""
        self._reach("finish")
        try:
            return self._finish(write)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _finish(self, write: Callable[[Path], Any]) -> Path | None:
        if self.share() < 1:
            if self.ranks.leads:
                say(
                    f"{self.out}: stands at {self.seen} of {self.pace.samples} samples; "
                    "run the same command again to go on"
                )
            return None
        if self.ranks.leads:
            atomically(self.out / "weights", write)
        self.ranks.wait()
        return self.out / "weights"

    def _reach(self, stage: str) -> None:
        """Raises RuntimeError where this stage does not follow the one at which the run is."""
        number = STAGES.index(stage)
        if number - self._stage not in ((0, 1) if stage == "identify" else (1,)):
            raise RuntimeError(f"'{stage}' of a run out of its order, which is {', '.join(STAGES)}")
        self._stage = number

    def _save(self) -> None:
        """Writes a checkpoint, unless the newest is of now. Raises UserError where a weight is not finite."""
        if self.seen > self._saved:
            parameters = list(self._learned.model.named_parameters())
            wrong = (number for number, (_, p) in enumerate(parameters) if not bool(here(p).isfinite().all()))
            first = -self.ranks.largest(-next(wrong, math.inf))  # of all ranks, where each holds a part
            if first < math.inf:
                raise UserError(
                    f"--out {self.out}: {parameters[int(first)][0]} is not finite after {self.seen} samples; "
                    f"lower {self.config.RATE}, {WAY_OUT}"
                )
            begun = time.monotonic()
            if self.ranks.leads or self.ranks.sharded:
                stand = Stand(self.seen, begun - self._begun)
                save_checkpoint(self.out, stand, self._learned, self._identity, self.ranks.leads)
            self._to_save = max(self._to_save, time.monotonic() - begun)
        self._saved, self._saved_at = self.seen, time.monotonic()


def _next(stream: Iterator[T]) -> T | UserError:
    try:
        return next(stream)
    except UserError as error:
        return error


def or_anew(out: Path, restart: bool, work: Callable[[bool], T]) -> T:
    """`work(False)`; where the folder holds another run, and `restart` allows it, `work(True)`, which begins anew."""
    try:
        return work(False)
    except OtherRun:
        if not restart:
            raise
        say(f"{out}: holds another run; beginning anew in its place")
        return work(True)


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a multiple of `every` was reached on the way from `before` to `after`."""
    return after // every > before // every
