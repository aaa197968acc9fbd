"""Samples for the eye: a few of a dataset's, spread over its shards, or of a recipe's, rendered without writing any."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby, pairwise
from typing import Any

from synth.dataset.description import is_shard, read_dataset, without_sidecars
from synth.dataset.shards import MEMBERS, Hashed, ShardWriter, read_facts, read_rows
from synth.errors import UnreadableError, UserError, in_one_line
from synth.sample.draft import draft
from synth.sample.plan import Plan
from synth.sample.record import Record, read_record
from synth.sample.render import render_draft
from synth.scene.capture import IMAGES
from synth.storage import Storage

PICTURES = tuple(name for name in MEMBERS if name != "json")
GOLDEN = 0.618
MOST_FOOTERS = 256  # sidecars that are asked for their rows where dataset.json does not say
MOST_SIBLINGS = 64  # of a pair, that a stranger's recipe is believed
EQUAL = 10**6  # rows that a shard is taken to have where nothing says
LARGEST = 1 << 28  # bytes of a sample: a stranger's row may name any number


@dataclass(frozen=True)
class Shown:
    """A sample as it is stored. pictures: PNG or JPEG bytes by member (a, b, target, and the clean pair if there)."""

    record: Record
    pictures: dict[str, bytes]


def from_shards(storage: Storage, count: int) -> list[Shown]:
    """`count` samples spread evenly over the finished shards, fewer where there are fewer; whole groups of siblings.

    Only the shards that they stand in are read. Raises UserError where there is no sample, or a shard is damaged.
    """
    stems = _finished(storage)
    each = _siblings(storage, stems)
    weights = [-(-weight // each) for weight in _weights(storage, stems)]
    found: list[Shown] = []
    for stem, places, weight in _spread(stems, weights, max(1, count // each)):
        rows = [row for row in read_rows(storage, f"{stem}.parquet") if row["status"] == "ok"]
        groups = (
            [list(group) for _, group in groupby(rows, key=lambda row: str(row.get("group")))] if each > 1 else None
        )
        parts = groups or [[row] for row in rows]
        numbers = sorted({place * len(parts) // weight for place in places}) if rows else []
        read = partial(storage.read, f"{stem}.tar")
        taken = [row for number in numbers for row in parts[number][: max(each, 1)]][: count - len(found)]
        found += [_read(read, row, storage.shown(f"{stem}.tar")) for row in taken]
    if not found:
        raise UserError(f"{storage.url}: no finished shard with a sample in it{without_sidecars(storage)}")
    return found


def failed_in(storage: Storage) -> int:
    """How many samples of a dataset could not be made, as its description says; 0 where it says nothing."""
    described = read_dataset(storage) or {}
    counts = described.get("counts")
    failed = counts.get("failed") if isinstance(counts, Mapping) else 0
    return failed if isinstance(failed, int) else 0


def from_recipe(plan: Plan, count: int) -> list[Shown]:
    """`count` samples spread over a recipe's, rendered; those whose pair cannot be read are left out. Whole groups of
    siblings.

    Raises UserError where none is left.
    """
    total, each = plan.recipe.samples, plan.recipe.instructions.per_pair
    groups = _places(-(-total // each), max(1, count // each))
    indices = [index for group in groups for index in range(group * each, min(group * each + each, total))][:count]
    found, reasons = [], []
    for index in indices:
        try:
            found.append(one_of(plan, index))
        except UnreadableError as error:
            reasons.append(str(error))
    if not found:
        raise UserError(f"{plan.recipe.name}: none of {len(indices)} samples can be made: {reasons[0]}")
    return found


def one_of(plan: Plan, index: int) -> Shown:
    """One sample, as a shard would hold it: it is written into one in memory. Raises UnreadableError."""
    tar = io.BytesIO()
    with ShardWriter(Hashed(tar)) as writer:
        drawn = draft(plan, index)
        writer.add(drawn, render_draft(plan, drawn))
    return _read(lambda start, size: tar.getvalue()[start : start + size], writer.rows[0], plan.recipe.name)


def read_sample(storage: Storage, stem: str, row: Mapping[str, Any]) -> Shown:
    """The sample of a row of a shard. Raises UserError where it is damaged."""
    return _read(partial(storage.read, f"{stem}.tar"), row, storage.shown(f"{stem}.tar"))


def _finished(storage: Storage) -> list[str]:
    sizes = storage.sizes()
    sides = [name.removesuffix(".parquet") for name in sizes if is_shard(name) and name.endswith(".parquet")]
    return sorted(stem for stem in sides if f"{stem}.tar" in sizes)


def _siblings(storage: Storage, stems: Sequence[str]) -> int:
    """How many samples show one degraded pair: as the recipe has it (`instructions.per_pair`), or the first shard."""
    described: Any = read_dataset(storage) or {}
    for key in ("recipe", "instructions", "per_pair"):
        described = described.get(key) if isinstance(described, Mapping) else None
    if isinstance(described, int) and 1 <= described <= MOST_SIBLINGS:
        return described
    rows = read_rows(storage, f"{stems[0]}.parquet") if stems else []
    counts = Counter(str(row["group"]) for row in rows if row.get("group") is not None)
    return min(max(counts.values(), default=1), MOST_SIBLINGS)


def _weights(storage: Storage, stems: Sequence[str]) -> list[int]:
    """How many samples each shard holds: as dataset.json has it, or the sidecars, or, of very many, one as another."""
    described = read_dataset(storage) or {}
    listed = described.get("shards")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    known = {str(entry.get("name")).removesuffix(".tar"): entry.get("samples") for entry in entries}
    weights = [count for stem in stems if isinstance(count := known.get(stem), int) and count >= 0]
    if len(weights) == len(stems) and any(weights):
        return weights
    if len(stems) > MOST_FOOTERS:
        return [EQUAL] * len(stems)
    return [0 if facts is None else facts.rows for facts in (read_facts(storage, f"{s}.parquet") for s in stems)]


def _places(total: int, count: int) -> list[int]:
    """`count` different numbers under `total`, spread evenly but not in step with groups; all where there are fewer.

    One of each of `count` equal parts: where in its part moves on by the golden ratio.
    """
    count = min(count, total)
    ends = [number * total // count for number in range(count + 1)] if count else []
    return [first + int(number * GOLDEN % 1 * (stop - first)) for number, (first, stop) in enumerate(pairwise(ends))]


def _spread(stems: Sequence[str], weights: Sequence[int], count: int) -> Iterator[tuple[str, list[int], int]]:
    """By shard, which of its samples are taken, out of how many."""
    ends = list(accumulate(weights))
    places = _places(ends[-1] if ends else 0, count)
    for stem, end, weight in zip(stems, ends, weights, strict=True):
        numbers = [place - (end - weight) for place in places if end - weight <= place < end]
        if numbers:
            yield stem, numbers, weight


def _read(read: Callable[[int, int], bytes], row: Mapping[str, Any], where: str) -> Shown:
    """A sample by its row, its bytes in one piece. read: from a start, so many bytes."""
    try:
        spans = {n: (row[f"{n}_offset"], row[f"{n}_size"]) for n in PICTURES if row.get(f"{n}_offset") is not None}
        start = min(offset for offset, _ in spans.values())
        size = max(offset + size for offset, size in spans.values()) - start
        record = read_record(row["record"])
        if not {*IMAGES, "target"} <= set(spans):
            raise ValueError("not a sample")
        if start < 0 or size > LARGEST or any(length < 0 for _, length in spans.values()):
            raise ValueError("its offsets are not those of a sample")
        data = read(start, size)
        if len(data) != size:
            raise ValueError("the tar is cut")
        pictures = {name: data[offset - start :][:length] for name, (offset, length) in spans.items()}
        for name, picture in pictures.items():
            if hashlib.sha256(picture).hexdigest() != row[f"{name}_sha256"]:
                raise ValueError(f"{name} is not the picture that its sidecar tells of")
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise UserError(
            f"{where}: sample {row.get('key')} is damaged ({in_one_line(error)}); run synth verify"
        ) from None
    return Shown(record, pictures)
