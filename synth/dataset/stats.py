"""`synth stats`: what a dataset is made of, from its sidecars alone, one shard in memory at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from synth.dataset.description import DATASET, at_once, is_shard, read_dataset, without_sidecars
from synth.dataset.shards import MEMBERS, read_rows
from synth.degradations.base import REGISTRY
from synth.errors import UserError, with_kind
from synth.sample.record import MALFORMED, Entry, Record, read_record
from synth.storage import Storage

BINS = 20  # of a histogram of severities, over [0, 1]
FINE = 400  # of one of a quantity, over the range in which it makes sense: drawn, they are brought together
MOST_AT_ONCE, BLOCK_BYTES = 32, 16 << 20  # sidecars that are read together: how many, and how large in all
KINDS = (".tar", ".parquet")  # of the two files of a shard
MOST_SCENES = 1_000_000  # names that are held to count them
LIGHT = ["status", "reason", "task", "kind", "dataset", "scene", "licence", "height", "width", "effects"]
HEAVY = ["record", *(f"{name}_{part}" for name in MEMBERS for part in ("name", "size"))]


@dataclass
class Histogram:
    """How often a value fell into each of equal parts of [low, high]; values outside count for the nearest part."""

    low: float
    high: float
    unit: str
    counts: list[int]

    def add(self, value: float) -> None:
        """Count one value."""
        share = (value - self.low) / (self.high - self.low)
        self.counts[min(max(int(share * len(self.counts)), 0), len(self.counts) - 1)] += 1

    def drawn(self, bars: int = BINS) -> "Histogram":
        """The same with few parts, over the range that has values."""
        filled = [number for number, count in enumerate(self.counts) if count]
        if len(self.counts) <= bars or not filled:
            return self
        first, stop = filled[0], filled[-1] + 1
        each = -(-(stop - first) // bars)
        parts = [sum(self.counts[at : at + each]) for at in range(first, stop, each)]
        step = (self.high - self.low) / len(self.counts)
        return Histogram(self.low + first * step, self.low + (first + each * len(parts)) * step, self.unit, parts)


@dataclass
class Stats:
    """Counts over the samples of a dataset. All but failed and reasons are of the samples that could be made.

    by_task, by_image: by (effect, task), (effect, images it is on: a, b or both). alone: samples with that effect and
    no other. kept: those that ask for it to stay. numbers: of different effects. sources: by (task, dataset, licence).
    sizes: by (height, width). scenes: by dataset, different ones. strengths: by effect, of severities (in [0, 1], once
    for each image), or of the quantity that takes their place. members, member_bytes: by kind of member and suffix.
    notes: what was left out, or is not as a finished dataset has it, a line each.
    Records alone tell by_image, kept, strengths, targets and members; where none are read, these are empty.
    """

    name: str = ""
    shards: int = 0
    bytes: int = 0
    samples: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    by_task: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_image: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    numbers: Counter[int] = field(default_factory=Counter)
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    members: Counter[str] = field(default_factory=Counter)
    member_bytes: Counter[str] = field(default_factory=Counter)
    strengths: dict[str, Histogram] = field(default_factory=dict)
    scenes: dict[str, set[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of a sidecar; without the column `record`, what that alone tells stays uncounted."""
        if row["status"] != "ok":
            self.failed += 1
            self.reasons[str(row["reason"])] += 1
            return
        self.samples += 1
        task, effects = str(row["task"]), list(row["effects"] or [])
        self.tasks[task] += 1
        self.kinds[str(row["kind"])] += 1
        self.numbers[len(effects)] += 1
        self.effects.update(effects)
        self.by_task.update((effect, task) for effect in effects)
        self.alone.update(effects if len(effects) == 1 else [])
        self.sources[task, str(row["dataset"]), str(row["licence"])] += 1
        if sum(map(len, self.scenes.values())) < MOST_SCENES:
            self.scenes.setdefault(str(row["dataset"]), set()).add(str(row["scene"]))
        self.sizes[int(row["height"]), int(row["width"])] += 1
        if "record" in row:
            self._add_record(read_record(row["record"]))
            for name in MEMBERS:
                if row.get(f"{name}_size") is not None:
                    kind = f"{name}.{str(row[f'{name}_name']).rpartition('.')[2]}" if name != "json" else "json"
                    self.members[kind] += 1
                    self.member_bytes[kind] += int(row[f"{name}_size"])

    def _add_record(self, record: Record) -> None:
        self.targets[str(record["target"]["kind"])] += 1
        images: dict[str, set[str]] = {}
        kept: set[str] = set()
        for entry in record["degradations"]:
            effect = str(entry["effect"])
            images.setdefault(effect, set()).add(str(entry["image"]))
            if entry["asked"] == "keep":
                kept.add(effect)
            self._add_strength(effect, entry)
        self.kept.update(kept)
        self.by_image.update((effect, "both" if len(on) > 1 else next(iter(on))) for effect, on in images.items())

    def _add_strength(self, effect: str, entry: Entry) -> None:
        if entry["severity"] is not None:
            histogram = self.strengths.setdefault(f"{effect}: severity", Histogram(0, 1, "severity", [0] * BINS))
            histogram.add(float(entry["severity"]))
            return
        known = REGISTRY.get(effect)
        for name, quantity in known.quantities.items() if known is not None else ():
            value = entry["params"].get(name)
            if quantity.strength and isinstance(value, int | float) and quantity.high > quantity.low:
                empty = Histogram(quantity.low, quantity.high, f"{name}, {quantity.unit}", [0] * FINE)
                self.strengths.setdefault(f"{effect}: {name}", empty).add(float(value))

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data, in a fixed order."""
        return {
            "name": self.name,
            "shards": self.shards,
            "bytes": self.bytes,
            "samples": self.samples,
            "failed": self.failed,
            "notes": self.notes,
            "reasons": dict(self.reasons.most_common()),
            "tasks": dict(sorted(self.tasks.items())),
            "kinds": dict(self.kinds.most_common()),
            "effects": {
                effect: {
                    "samples": count,
                    "alone": self.alone[effect],
                    "kept": self.kept[effect],
                    "tasks": {t: n for (e, t), n in sorted(self.by_task.items()) if e == effect},
                    "images": {i: n for (e, i), n in sorted(self.by_image.items()) if e == effect},
                }
                for effect, count in ranked(self.effects)
            },
            "numbers_of_effects": {str(number): count for number, count in sorted(self.numbers.items())},
            "strengths": {
                name: {"low": h.low, "high": h.high, "unit": h.unit, "counts": h.counts}
                for name, h in sorted((name, h.drawn()) for name, h in self.strengths.items())
            },
            "sources": [
                {"task": t, "dataset": d, "licence": licence, "samples": n, "scenes": len(self.scenes.get(d, ()))}
                for (t, d, licence), n in sorted(self.sources.items())
            ],
            "sizes": {f"{width}×{height}": n for (height, width), n in sorted(self.sizes.items())},
            "targets": dict(sorted(self.targets.items())),
            "members": {
                name: {"count": n, "bytes": self.member_bytes[name]} for name, n in sorted(self.members.items())
            },
        }


def ranked(counter: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, those that come equally often by name."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def in_bytes(size: float) -> str:
    """Bytes for a reader: 53.2 MB."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size:.0f} B"


def gather(storage: Storage, records: bool = True, progress: Callable[[int, int], None] | None = None) -> Stats:
    """Count over all finished shards of a dataset.

    records: also what only records tell (strengths, images, what is kept, targets, members). progress: called with the
    shards done and all of them. Raises UserError where there is no finished shard, or a sidecar is damaged.
    """
    sizes = storage.sizes()
    sides = sorted(name for name in sizes if is_shard(name) and name.endswith(".parquet"))
    if not sides:
        raise UserError(f"{storage.url}: no finished shard{without_sidecars(storage)}")
    name, notes = _described(storage, sizes)
    stats = Stats(name=name, notes=notes)
    columns = LIGHT + (HEAVY if records else [])
    for block in _blocks(sides, sizes):
        found = at_once(storage, partial(_rows, storage, columns), block)
        for side, rows in zip(block, found, strict=True):
            try:
                for row in rows:
                    stats.add(row)
            except MALFORMED as error:
                raise UserError(
                    f"{storage.shown(side)}: rows as no sidecar has them ({with_kind(error)}); run synth verify"
                ) from None
            stats.shards += 1
            stats.bytes += sizes[side] + sizes.get(f"{side.removesuffix('.parquet')}.tar", 0)
            if progress is not None:
                progress(stats.shards, len(sides))
    return stats


def _described(storage: Storage, sizes: Mapping[str, int]) -> tuple[str, list[str]]:
    """The name of a dataset, and what is not counted, or cannot be told: sidecars tell all but the name."""
    described: Mapping[str, Any] = {}
    notes = []
    try:
        found = read_dataset(storage)
        described, why = found or {}, f"{DATASET} is missing" if found is None else ""
    except UserError as error:
        why = str(error)
    if why:
        notes.append(f"{why}: counted is what the sidecars tell, under the name of the place")
    elif described.get("complete") is not True:
        notes.append(f"{DATASET}: complete is false: counted are the shards that are finished")
    listed = described.get("shards")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    stems = {kind: {name[:6] for name in sizes if is_shard(name) and name.endswith(kind)} for kind in KINDS}
    named = {name[:6] for name in (str(entry.get("name")) for entry in entries) if is_shard(name)}
    tars, sides = (stems[kind] for kind in KINDS)
    for missing, those, counted in (
        (".parquet", (tars | named) - sides, "not counted"),
        (".tar", sides - tars, "counted"),
    ):
        if those:
            more = f" and {len(those) - 1:,} more are" if len(those) > 1 else " is"
            notes.append(f"{min(those)}{missing}{more} missing: {counted} in what follows")
    name = described.get("name")
    return name if isinstance(name, str) else storage.url.rstrip("/").rpartition("/")[2], notes


def _rows(storage: Storage, columns: list[str], side: str) -> list[dict[str, Any]]:
    return read_rows(storage, side, columns)


def _blocks(sides: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Sidecars that are read together: several requests under way, and no more rows in memory than a block has."""
    block: list[str] = []
    for side in sides:
        if block and (len(block) == MOST_AT_ONCE or sum(sizes[name] for name in block) + sizes[side] > BLOCK_BYTES):
            yield block
            block = []
        block.append(side)
    if block:
        yield block
