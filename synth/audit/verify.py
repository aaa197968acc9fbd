"""`synth verify`: whether a dataset is what its own description says, byte by byte and sample by sample."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

from synth.audit.check_shard import Check, ShardReport, check_shard
from synth.audit.faults import Fault
from synth.audit.records import Expected
from synth.dataset.description import DATASET, is_shard, read_dataset
from synth.dataset.pictures import Shown
from synth.dataset.shards import read_facts
from synth.engines.ahead import ahead
from synth.errors import StoppedError, UserError, with_kind
from synth.recipe.schema import hash_resolved
from synth.sample.record import FORMAT_VERSION, MALFORMED
from synth.storage import Storage
from synth.storage.whole import PART

DECODED = 256  # pictures of so many samples are decoded where the user does not say
UNDER_WAY = 2  # shards for each worker: one that it looks at, and one that waits for it
MOST_SHARDS = 10**6  # they are called by six digits
MOST_LISTED = 10_000  # faults that are kept; the rest is counted


@dataclass
class Verdict:
    """What was looked at, and what is wrong with it.

    broken: stems of the shards that must be made again. untold: faults beyond `MOST_LISTED`.
    """

    faults: list[Fault]
    broken: set[str]
    shards: int = 0
    samples: int = 0
    failed: int = 0
    decoded: int = 0
    bytes: int = 0
    untold: int = 0

    def add(self, fault: Fault) -> None:
        """One more fault; a shard that has one is broken."""
        if fault.shard:
            self.broken.add(fault.shard)
        if len(self.faults) < MOST_LISTED:
            self.faults.append(fault)
        else:
            self.untold += 1

    @property
    def count(self) -> int:
        return len(self.faults) + self.untold


def find_faults(
    storage: Storage,
    decode: int | None = DECODED,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Look at every file of a dataset.

    decode: of how many samples, spread evenly, the pictures are decoded; None: of all. Hashes, headers, rows and
    records are looked at in all. workers: processes (1: this one); each holds one shard's rows and one member at a
    time. progress: called with the shards done and all of them.
    Raises UserError where there is no dataset, or one of a newer version.
    """
    sizes = storage.sizes()
    if not _stems(sizes) and DATASET not in sizes:
        raise UserError(f"{storage.url}: no dataset; neither {DATASET} nor a shard is there")
    verdict = Verdict([], set())
    for name in sorted(sizes):
        if name.endswith((".tar", ".parquet")) and not is_shard(name) and not name.startswith(PART):
            told = f"{name}: no shard (a copy, or a trace of macOS), but a reader of all *.tar would take it: remove it"
            verdict.add(Fault("", "", told))
    described = _described(storage, verdict)
    entries = _entries(described, verdict)
    checks = list(_checks(storage, described, entries, sizes, decode, verdict))
    reports = []
    shown = Shown()
    for report in _checked(checks, workers):
        for fault in report.faults:
            verdict.add(fault)
        verdict.untold += report.untold
        for scene, there in shown.add(report.stem, {scene: first[0] for scene, first in report.shown.items()}):
            _, name, key = report.shown[scene]
            told = f"scene {name} has other pictures than in {there} (source.sha256): its files changed between runs"
            verdict.add(Fault(report.stem, key, told))
        verdict.shards, verdict.bytes = verdict.shards + 1, verdict.bytes + report.bytes
        verdict.samples, verdict.failed = verdict.samples + report.samples, verdict.failed + report.failed
        verdict.decoded += report.decoded
        reports.append((report.stem, report.first, report.stop))
        if progress is not None:
            progress(len(reports), len(checks))
    _whole(described, entries, reports, verdict)
    return verdict


def _described(storage: Storage, verdict: Verdict) -> dict[str, Any]:
    """`dataset.json`, or nothing where it is missing or damaged, which is a fault."""
    try:
        described = read_dataset(storage)
    except UserError as error:
        verdict.add(Fault("", "", str(error)))
        return {}
    if described is None:
        verdict.add(Fault("", "", f"{DATASET} is missing"))
        return {}
    version, kind = described.get("version"), described.get("kind")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise UserError(
            f"{storage.url}: format version {version}; this tool knows {FORMAT_VERSION}: install a newer one"
        )
    if version not in range(1, FORMAT_VERSION + 1):
        verdict.add(Fault("", "", f"{DATASET}: version is {version!r}, not 1 to {FORMAT_VERSION}"))
    if kind != "images":
        raise UserError(f"{storage.url}: a dataset of kind {kind!r}; verify knows images")
    if described.get("complete") is not True:
        verdict.add(Fault("", "", f"{DATASET}: complete is false: run synth generate again to finish it"))
    return described


def _entries(described: Mapping[str, Any], verdict: Verdict) -> dict[str, Mapping[str, Any]]:
    """What `dataset.json` says of each shard, by stem."""
    entries: dict[str, Mapping[str, Any]] = {}
    listed = described.get("shards", [])
    for entry in listed if isinstance(listed, list) else [listed]:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not is_shard(name) or not name.endswith(".tar"):
            verdict.add(Fault("", "", f"{DATASET}: shards: {name!r} names no shard"))
        elif name.removesuffix(".tar") in entries:
            verdict.add(Fault("", "", f"{DATASET}: shards: {name} stands twice"))
        else:
            entries[name.removesuffix(".tar")] = entry
    return entries


def _checks(
    storage: Storage,
    described: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    sizes: Mapping[str, int],
    decode: int | None,
    verdict: Verdict,
) -> Iterator[Check]:
    """One for each shard that should be there or is. A shard of which a file is missing is a fault at once."""
    stems = _stems(sizes)
    expected, step, total = _recipe(described, verdict)
    planned = {f"{number:06d}" for number in range(-(-total // step))} if step else set()
    finished = described.get("complete") is True
    spread = total or _guessed(storage, stems)
    for stem in sorted(planned | set(stems) | set(entries)):
        tar, side = f"{stem}.tar" in sizes, f"{stem}.parquet" in sizes
        if planned and stem not in planned:
            verdict.add(Fault("", "", f"{stem}: the recipe's {total} samples have no such shard; remove its files"))
        elif finished and stem not in entries:
            verdict.add(Fault(stem, "", f"not in {DATASET}"))
        if not side or not tar:
            lacking = [name for name, there in (("tar", tar), ("parquet", side)) if not there]
            if side or finished or not described:  # a run that is not through may have left a tar without its mark
                verdict.add(Fault(stem, "", f"{' and '.join(f'{stem}.{name}' for name in lacking)} missing"))
            continue
        start = int(stem) * step
        yield Check(
            storage,
            stem,
            (start, min(start + step, total)) if stem in planned else None,
            expected,
            _metadata(described),
            entries.get(stem),
            decode,
            spread,
        )


def _stems(sizes: Mapping[str, int]) -> list[str]:
    """The shards of which a file is there, in order."""
    return sorted({name.partition(".")[0] for name in sizes if is_shard(name)})


def _guessed(storage: Storage, stems: Sequence[str]) -> int:
    """How many samples a dataset without a description has, if all its shards are like the first."""
    facts = read_facts(storage, f"{stems[0]}.parquet") if stems else None
    return 0 if facts is None else facts.rows * len(stems)


def _recipe(described: Mapping[str, Any], verdict: Verdict) -> tuple[Expected | None, int, int]:
    """What the recipe says of each sample, the samples of a shard and of the whole; None, 0 and 0 where unknown."""
    if not described:
        return None, 0, 0
    try:
        recipe = described["recipe"]
        step, total = int(recipe["samples_per_shard"]), int(recipe["samples"])
        if step < 1 or total < 1 or total > MOST_SHARDS * step:
            raise ValueError(f"{total} samples in shards of {step}")
        if described.get("recipe_sha256") != hash_resolved(recipe):
            verdict.add(Fault("", "", f"{DATASET}: recipe_sha256 is not of the recipe beside it"))
        return Expected.from_recipe(recipe, described.get("sources"), described.get("effects")), step, total
    except MALFORMED as error:
        verdict.add(Fault("", "", f"{DATASET}: recipe is no resolved recipe ({with_kind(error)})"))
        return None, 0, 0


def _metadata(described: Mapping[str, Any]) -> dict[str, Any]:
    """What each sidecar must say of its dataset, versions as data."""
    names = {
        "version": "version",
        "recipe": "recipe_sha256",
        "source": "source_fingerprint",
        "effects": "effects",
        "libraries": "libraries",
    }
    told = {key: described[name] for key, name in names.items() if name in described}
    return told | ({"version": str(told["version"])} if "version" in told else {})


def _count(entry: Mapping[str, Any], key: str) -> int:
    value = entry.get(key)
    return value if isinstance(value, int) else 0


def _checked(checks: Sequence[Check], workers: int) -> Iterator[ShardReport]:
    """The shards in order, in this process or in several."""
    workers = min(workers, len(checks))
    if workers <= 1:
        yield from map(check_shard, checks)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker)
    try:
        for finished in ahead(checks, UNDER_WAY * workers, lambda check: pool.submit(check_shard, check), _oldest):
            yield from (future.result() for future in finished)
    except BrokenProcessPool:
        raise StoppedError("a worker process died (killed, or out of memory)") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _oldest(under_way: list[Future[ShardReport]]) -> tuple[list[Future[ShardReport]], list[Future[ShardReport]]]:
    """Waits for the shard that was begun first, since they are told in order."""
    wait(under_way[:1])
    return under_way[:1], under_way[1:]


def _start_worker() -> None:
    """The parent hears Ctrl-C; a worker has one thread of OpenCV."""
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _whole(
    described: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    reports: Sequence[tuple[str, int, int]],
    verdict: Verdict,
) -> None:
    """The counts of the whole, and, where no recipe says it, keys without gaps from shard to shard."""
    if not described:  # else the recipe says where each shard begins
        for (before, _, stop), (stem, first, _) in pairwise([("the dataset", 0, 0), *reports]):
            if min(stop, first) >= 0 and first != stop:
                verdict.add(Fault(stem, "", f"begins with key {first:09d}, where {before} ends with {stop - 1:09d}"))
    if described.get("complete") is not True:
        return
    counts = described.get("counts")
    counts = counts if isinstance(counts, Mapping) else {}
    for key, listed in (("samples", "samples"), ("failed", "failed")):
        total = sum(_count(entry, listed) for entry in entries.values())
        if counts.get(key) != total:
            verdict.add(Fault("", "", f"{DATASET}: counts.{key} is {counts.get(key)}, its shards have {total}"))
