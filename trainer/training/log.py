"""What a run tells: one JSON object a line in OUT/log.jsonl, and progress on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeAlias

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from trainer.console import say
from trainer.errors import UserError
from trainer.files import atomically
from trainer.training.gauges import Gauges

Sums: TypeAlias = Callable[[Mapping[str, float]], dict[str, float]]
"""Values by name → their sums over all processes."""


class RunLog:
    """The log of a run that stands at `seen` of `total` samples.

    Lines past that point (of a lost end) are dropped, and so are those that no run wrote; the latter are told of.
    path: None for a process that only adds to the sums. over_all: sums over all processes, where there are several.
    board: the folder for TensorBoard's copy, if there is to be one. Raises UserError where that is not installed.
    """

    def __init__(
        self, path: Path | None, seen: int, total: int, over_all: Sums = dict, board: Path | None = None
    ) -> None:
        self.gauges: Gauges | None = None
        """What is told of the machine at each line."""
        self._board = None if board is None or path is None else _board(board, seen)
        self._file, self._over_all = None if path is None else _opened(path, seen), over_all
        self._seen, self._time, self._waited = seen, time.perf_counter(), 0.0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        columns = (TextColumn("{task.completed}/{task.total} samples"), BarColumn(), TextColumn("{task.description}"))
        quiet = self._file is None
        self._progress = Progress(
            *columns, TimeRemainingColumn(), console=Console(stderr=True, quiet=quiet), transient=True, disable=quiet
        )
        self._task = self._progress.add_task("", total=total, completed=seen)

    def waited(self, seconds: float) -> None:
        """So long was waited for data."""
        self._waited += seconds

    def add(self, count: int, means: Mapping[str, Tensor]) -> None:
        """Means over `count` samples, (), or a value of each, (count,); the next line shows the means of all. No host
        sync."""
        for name, value in means.items():
            value = value.detach()
            value = value.sum() if value.ndim else value * count
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
            self._counts[name] = self._counts.get(name, 0) + count

    def write(self, samples: int, now: Mapping[str, float | Tensor]) -> None:
        """A line: the means of what was added since the last one, the loss first, and what holds now."""
        clock = time.perf_counter()
        taken = max(clock - self._time, 1e-9)
        speed, waiting = (samples - self._seen) / taken, self._waited / taken
        self._seen, self._time, self._waited = samples, clock, 0.0
        sums = self._over_all({name: float(total) for name, total in self._sums.items()})
        counts = self._over_all({name: float(count) for name, count in self._counts.items()})
        means = {name: total / counts[name] for name, total in sums.items()}
        self._sums, self._counts = {}, {}
        if self._file is None:
            return
        line = {"samples": samples, **means, **{name: float(value) for name, value in now.items()}}
        line |= {"samples_per_s": round(speed, 2), "waiting": round(waiting, 4)}
        if self.gauges is not None:
            line |= self.gauges(speed)
        self.note(line)
        losses = (f"{name} {value:.5f}" for name, value in means.items() if name.startswith("loss"))
        text = "  ".join([*losses, f"{speed:.1f} samples/s"])
        self._progress.update(self._task, completed=samples, description=text)
        if not self._progress.console.is_terminal:
            say(f"{samples:>10} samples  {text}")

    def note(self, line: Mapping[str, float]) -> None:
        """A line as it is; `samples` is the stand of the run that it is of."""
        if self._file is None:
            return
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in line.items():
                self._board.add_scalar(name, value, line["samples"])

    def __enter__(self) -> RunLog:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, seen: int) -> Any:
    """TensorBoard's writer, which passes over what it had after `seen`. Raises UserError."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("run.tensorboard: the package is not installed; pip install tensorboard") from None
    return SummaryWriter(str(folder), purge_step=seen + 1)


def _opened(path: Path, seen: int) -> TextIO:
    """The file of a log, to be written on after the lines up to `seen` samples."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    numbers = [_samples_of(line) for line in lines]
    kept = [line for line, number in zip(lines, numbers, strict=True) if number is not None and number <= seen]
    foreign = sum(number is None and bool(line) for line, number in zip(lines[:-1], numbers, strict=False))
    if foreign:
        say(f"{path}: {foreign} lines that are none of a log are left out")
    atomically(path, lambda new: new.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8"))
    return path.open("a", encoding="utf-8")


def _samples_of(line: str) -> int | None:
    """The samples that a line of the log stands for; None for any other line."""
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    samples = values.get("samples") if isinstance(values, dict) else None
    return samples if isinstance(samples, int) else None
