"""From a plan to a dataset: what is there already, what is missing, who makes it, and when to give up."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from synth.dataset.card import CARD, is_card, write_card
from synth.dataset.description import (
    DATASET,
    Standing,
    Summary,
    another,
    is_ours,
    is_shard,
    metadata,
    seal,
    survey,
    write_dataset,
)
from synth.dataset.pictures import Known, known_in
from synth.dataset.shards import Hashed, ShardWriter, read_rows, sidecar
from synth.errors import StoppedError, UnreadableError, UserError
from synth.sample.draft import draft
from synth.sample.plan import Plan, Shard
from synth.sample.render import Sample, render_draft
from synth.storage import Storage


class Report(Protocol):
    """What a shard in the making tells of itself."""

    def done(self, samples: int) -> None:
        """So many of the shard's samples are made."""

    def failed(self, pair: int) -> None:
        """The pair of this number in the plan could not be read."""


class Watch(Protocol):
    """What an engine tells of its run, now and then. May raise, which ends the run."""

    def __call__(self, done: int, failed_pairs: int) -> None:
        """done: samples so far. failed_pairs: different pairs that could not be read, those of earlier runs too."""


Progress = Callable[[int, int], None]  # samples done, of how many, in this run
Job = Callable[[Shard, Report], None]  # goes to other processes: it can be pickled


class Engine(Protocol):
    """Who does a job on each of some shards: in any order, in other processes or on other machines.

    pairs: how many the plan has. failed: numbers of those that failed in earlier runs. Raises StoppedError where a
    worker is lost for good, and what a job or `watch` raises.
    """

    def __call__(self, job: Job, shards: Sequence[Shard], pairs: int, failed: set[int], watch: Watch) -> None: ...


@dataclass(frozen=True)
class FailureLimit:
    """When so many pairs cannot be read that something else is wrong: a disk that is not mounted, a wrong folder.

    pairs: from this many on, and share: over this part of all pairs of the plan.
    """

    pairs: int = 10
    share: float = 0.05

    def reached(self, failed: int, planned: int) -> bool:
        return failed >= self.pairs and failed > self.share * planned


@dataclass(frozen=True)
class Run:
    """How a run is made: who works, who is told how far it is, and when it is given up."""

    engine: Engine
    progress: Progress
    limit: FailureLimit

    def do(self, job: Job, shards: Sequence[Shard], pairs: int, failed: set[int]) -> None:
        """Let the engine do a job on shards. pairs, failed: as `Engine` has them. Raises StoppedError at the limit."""
        samples = sum(shard.stop - shard.start for shard in shards)

        def watch(done: int, failed_pairs: int) -> None:
            self.progress(done, samples)
            if self.limit.reached(failed_pairs, pairs):
                raise StoppedError(
                    f"{failed_pairs} of {pairs} pairs cannot be read, over the limit of {self.limit.pairs} pairs and "
                    f"{self.limit.share:.0%}; mend the sources, or raise --max-failed-pairs or --max-failed-share"
                )

        self.engine(job, shards, pairs, failed, watch)


def generate(
    plan: Plan, storage: Storage, run: Run, overwrite: bool = False, extend: bool = False, part: slice | None = None
) -> Summary | None:
    """Make what is missing of a dataset, and finish it.

    overwrite: another dataset of this tool is removed first. extend: one with fewer samples is made larger. part:
    only these shards, and the dataset is left open (None is returned).
    Raises UserError, StoppedError, OSError; finished shards stay.
    """
    missing, standing = _open(plan, storage, overwrite, extend, part)
    if missing:
        failed = _failed_pairs(plan, storage, standing)
        with _swept(storage, alone=part is None):
            known = _known(plan, storage, standing, part is not None)
            run.do(partial(write_shard, plan, storage, known=known), missing, count_pairs(plan), failed)
    return None if part is not None else _sealed(plan, storage, missing)


def retry(plan: Plan, storage: Storage, run: Run) -> Summary:
    """Make the samples again that failed, their sources mended; the others are kept as they are, to the byte.

    Raises UserError where the dataset is not complete.
    """
    missing, standing = _open(plan, storage, overwrite=None, extend=False, part=None)
    if missing:
        raise UserError(
            f"{storage.url}: {len(missing)} of {len(plan.shards)} shards are missing; run synth generate first"
        )
    broken = [shard for shard in plan.shards if standing.facts[shard.stem].failed]
    if broken:
        write_dataset(plan, storage, [], complete=False)
        with _swept(storage, alone=True):
            known = _known(plan, storage, standing, part=False)
            run.do(partial(mend_shard, plan, storage, known=known), broken, count_pairs(plan), set())
    return _sealed(plan, storage, broken)


def close(plan: Plan, storage: Storage) -> Summary:
    """Finish a dataset whose shards several runs made. Raises UserError where one is missing, or is of another one."""
    _open(plan, storage, overwrite=None, extend=False, part=slice(0, 0))
    storage.sweep()
    return _sealed(plan, storage, [])


def _sealed(plan: Plan, storage: Storage, made: Sequence[Shard]) -> Summary:
    summary = seal(plan, storage, [shard.stem for shard in made])
    write_card(storage)
    return summary


def count_pairs(plan: Plan) -> int:
    """How many pairs a plan draws from."""
    return sum(len(pool.pairs) for pool in plan.pools)


def write_shard(plan: Plan, storage: Storage, shard: Shard, report: Report, known: Known | None = None) -> None:
    """Render the samples of a shard and commit it: the tar, then the sidecar, which is the mark that it is there.

    known: the pictures of the scenes in finished shards. Raises UserError where a scene would have others.
    """

    def fill(writer: ShardWriter) -> None:
        for done, index in enumerate(range(shard.start, shard.stop), 1):
            _render_into(writer, plan, index, report, known)
            report.done(done)

    _commit(plan, storage, shard, fill)


def mend_shard(plan: Plan, storage: Storage, shard: Shard, report: Report, known: Known | None = None) -> None:
    """Render the failed samples of a shard again and write it anew, the others copied as they stand.

    known: as `write_shard` has it.
    """
    rows = read_rows(storage, f"{shard.stem}.parquet")

    def fill(writer: ShardWriter) -> None:
        for done, row in enumerate(rows, 1):
            if row["status"] == "ok":
                writer.copy(row, old)
            else:
                _render_into(writer, plan, row["index"], report, known)
            report.done(done)

    with storage.open(f"{shard.stem}.tar", ahead=True) as old:
        _commit(plan, storage, shard, fill)


def _render_into(writer: ShardWriter, plan: Plan, index: int, report: Report, known: Known | None) -> None:
    drawn = draft(plan, index)
    try:
        sample: Sample = render_draft(plan, drawn)
    except UnreadableError as error:
        writer.fail(drawn, str(error))
        report.failed(drawn.pair_number)
    except Exception as error:
        error.add_note(f"while sample {index} of {plan.recipe.name} was made ({drawn.task}, {drawn.pair.scene})")
        raise
    else:
        if known is not None:
            known.check(drawn.task, sample.record["source"])
        writer.add(drawn, sample)


def _commit(plan: Plan, storage: Storage, shard: Shard, fill: Callable[[ShardWriter], None]) -> None:
    with storage.create(f"{shard.stem}.tar") as file:
        hashed = Hashed(file)
        with ShardWriter(hashed) as writer:
            fill(writer)
    facts = {"tar_bytes": str(hashed.tell()), "tar_sha256": hashed.hexdigest()}
    storage.write(f"{shard.stem}.parquet", sidecar(writer.rows, metadata(plan) | facts))


def _open(
    plan: Plan, storage: Storage, overwrite: bool | None, extend: bool, part: slice | None
) -> tuple[list[Shard], Standing]:
    """The shards that a run has to make, and what stands, once the place is known to hold this dataset or nothing.

    Writes `dataset.json` with `complete: false` where shards are missing, and sweeps away unfinished files. Where the
    place holds another dataset, its files are removed (overwrite; None: it is no option of the command), or UserError
    names what differs.
    """
    standing = survey(storage, plan.shards)
    if CARD in standing.sizes and not is_card(storage.read(CARD)):
        raise UserError(
            f"{storage.shown(CARD)} is no dataset's card, and one would be written there; choose another --out"
        )
    if (other := another(plan, storage, standing, extend)) is not None:
        if not overwrite:
            replaced = "" if overwrite is None else ", or replace it with --overwrite"
            raise UserError(f"{other}; choose another --out{replaced}")
        if not is_ours(storage, standing):
            raise UserError(f"{other}; --overwrite leaves what is no dataset of this tool: choose another --out")
        for name in sorted(name for name in standing.sizes if is_shard(name) or name == DATASET):
            storage.remove(name)
        standing = Standing({}, {})
    if part is None:
        storage.sweep()  # nobody else is at work here
    missing = [shard for shard in plan.shards[part or slice(None)] if not standing.holds(shard)]
    if missing:
        write_dataset(plan, storage, [], complete=False)
    return missing, standing


@contextmanager
def _swept(storage: Storage, alone: bool) -> Iterator[None]:
    """Takes away what workers that were ended left unfinished; not where other runs are at work too."""
    try:
        yield
    finally:
        if alone:
            storage.sweep()


def _known(plan: Plan, storage: Storage, standing: Standing, part: bool) -> Known | None:
    """The pictures of the scenes in shards that stand; None where none does."""
    stems = [shard.stem for shard in plan.shards if standing.holds(shard)]
    return known_in(storage, stems, part) if stems else None


def _failed_pairs(plan: Plan, storage: Storage, standing: Standing) -> set[int]:
    """Numbers of the pairs that failed in shards that stand."""
    failed: set[int] = set()
    for shard in plan.shards:
        if standing.holds(shard) and standing.facts[shard.stem].failed:
            rows: list[dict[str, Any]] = read_rows(storage, f"{shard.stem}.parquet", ["index", "status"])
            failed |= {draft(plan, row["index"]).pair_number for row in rows if row["status"] == "failed"}
    return failed
