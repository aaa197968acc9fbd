"""What a run of `synth` says: the plan, how far it is, how it ended."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from synth.errors import StoppedError, UserError

if TYPE_CHECKING:
    from synth.dataset.description import Summary
    from synth.dataset.generate import Progress as Advance
    from synth.sample.plan import Plan
    from synth.storage import Storage

MOST_DATASETS = 40  # that are named one by one
STOPPED, TERMINATED = 130, 143  # exit codes of a program that was interrupted, or asked to end


class _Asked(BaseException):
    """SIGINT (Ctrl-C), or SIGTERM of a scheduler or a container, asks the run to end."""


class _Ears:
    """Hears both signals. While shards are made they are acted on where the run tells how far it is, several times a
    second: raised anywhere, an exception may be lost in a callback. At other times, and the second time, at once."""

    def __init__(self) -> None:
        self.heard, self.busy = 0, False

    def hear(self, number: int, _: object) -> None:
        if not self.busy or self.heard:
            self.heard = number
            raise _Asked
        self.heard = number

    def check(self, busy: bool) -> None:
        self.busy = busy
        if self.heard:
            raise _Asked


@contextmanager
def run(plan: "Plan", storage: "Storage") -> "Iterator[Advance]":
    """A bar around a run; gives the function that moves it.

    Ctrl-C, SIGTERM, a lost worker, a full disk and a server that is away become one StoppedError, which says what
    stands, what is missing and how to go on.
    """
    ears = _Ears()
    before = {number: signal.signal(number, ears.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with bar(plan.recipe.name, "samples") as advance:

            def progress(done: int, total: int) -> None:
                advance(done, total)
                ears.check(busy=done < total)

            yield progress
    except _Asked:
        told, code = ("asked to end", TERMINATED) if ears.heard == signal.SIGTERM else ("interrupted", STOPPED)
        raise StoppedError(f"{told}; {_outlook(plan, storage)}", code) from None
    except StoppedError as error:
        raise StoppedError(f"{error}; {_outlook(plan, storage)}", error.code) from None
    except OSError as error:
        raise StoppedError(f"{error}; {_outlook(plan, storage)}") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _outlook(plan: "Plan", storage: "Storage") -> str:
    from synth.dataset.description import survey

    try:
        standing = survey(storage, plan.shards)
    except (OSError, UserError):
        return "finished shards stay: run the same command to go on"
    shards = plan.shards
    there = sum(standing.holds(shard) for shard in shards)
    return f"{there} of {len(shards)} shards stand, {len(shards) - there} are missing: run the same command to go on"


def say_plan(plan: "Plan", listed: int) -> None:
    """Samples, shards, the datasets, and what is left out: so many of it one by one."""
    from synth.sample.doubts import doubts_of
    from synth.sample.draft import all_look_like_rooms

    recipe = plan.recipe
    typer.echo(f"{recipe.name}: {recipe.samples} samples of {recipe.crop.size} px in {shards(len(plan.shards))}")
    for pool in plan.pools[:MOST_DATASETS]:
        typer.echo(f"  {pool.task}  {pool.dataset}: {len(pool.pairs)} pairs, weight {pool.weight:.3g}")
    if len(plan.pools) > MOST_DATASETS:
        typer.echo(f"  … and {len(plan.pools) - MOST_DATASETS} datasets more")
    for remark in plan.remarks:
        typer.echo(f"  {remark}")
    for item in plan.left_out[:listed]:
        typer.echo(f"  left out: {item.scene}: {item.reason}")
    if len(plan.left_out) > listed:
        typer.echo(f"  left out: {len(plan.left_out) - listed} more; --dry-run lists them all")
    for task in sorted({pool.task for pool in plan.pools}):
        if all_look_like_rooms(plan, task):
            typer.echo(
                f"  warning: {task}: its pairs look like rooms, where no weather should fall; flag those from outside "
                "(indoor: false, in pair.yaml or a column of a manifest), or set degradations.indoor"
            )
    for doubt in doubts_of(plan):
        pairs = f"{doubt.pairs} of {doubt.looked_at} pairs that were looked at"
        typer.echo(f"  warning: {doubt.task}  {doubt.dataset}: {doubt.said} ({pairs})")
    if plan.profiles:
        typer.echo(f"  warning: {plan.profiles} pairs have a colour profile that is not sRGB; it is ignored")
    if plan.deep:
        typer.echo(
            f"  note: {plan.deep} pairs have more than 8 bits: divided by what the brighter image of each needs of 10, "
            "12, 14 or 16 (shards/FILES.md); source.notes in each record says by what"
        )


def say_summary(summary: "Summary", storage: "Storage") -> None:
    """What stands now. Raises UserError where no sample could be made."""
    typer.echo(
        f"{storage.url}: {summary.samples} samples in {shards(summary.shards)} ({summary.made} made now), "
        f"{summary.bytes / 1e6:.1f} MB"
    )
    for reason, times in summary.reasons.most_common():
        typer.echo(f"  failed: {times} samples: {reason}", err=True)
    if summary.samples == 0:
        raise UserError(f"{storage.url}: every sample failed; mend the sources, then run synth retry")
    if summary.failed:
        typer.echo("  once the sources are mended: synth retry, with the same options", err=True)


def shards(count: int) -> str:
    """So many, in words."""
    return f"{count:,} shard{'s' * (count != 1)}"


@contextmanager
def bar(name: str, unit: str) -> "Iterator[Advance]":
    """A bar on stderr; gives the function that moves it. unit: what is counted, in the plural."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    drawn = Progress(*columns, console=Console(stderr=True))
    row = drawn.add_task(name, total=None, rate="")

    def advance(done: int, total: int) -> None:
        drawn.start()  # not before there is something to show: the run may be refused
        elapsed = time.monotonic() - begun
        drawn.update(row, completed=done, total=total, rate=f"{done / elapsed:.1f} {unit}/s" if elapsed > 0 else "")

    try:
        yield advance
    finally:
        if drawn.live.is_started:
            drawn.stop()
