"""`trainer evaluate`: every method on every sample of shards, or of a folder of pairs, scored and shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from trainer.console import say
from trainer.data.format import CLEAN
from trainer.data.images import Image, write_image
from trainer.data.index import schema_of
from trainer.data.samples import Sample
from trainer.data.shards import IndexedShards, open_shards
from trainer.errors import UserError
from trainer.evaluation import methods as known
from trainer.evaluation import obedience
from trainer.evaluation.figures import draw_groups
from trainer.evaluation.labels import labelled_row
from trainer.evaluation.methods import Method
from trainer.evaluation.scoring import Row, score, what_of
from trainer.evaluation.sheets import sheet
from trainer.evaluation.tables import markdown


class Results(NamedTuple):
    """Rows of tables: a row a method and sample; a row a method and two samples of a group."""

    scores: list[Row]
    control: list[Row]


def evaluate(
    shards: Sequence[str],
    weights: Sequence[Path],
    out: Path,
    *,
    limit: int | None = None,
    shuffled: bool = False,
    device: str | None = None,
    tell: bool = False,
) -> str:
    """Measure on shards with sidecars, and write OUT/{report.md, results.parquet, control.parquet, groups.png, sheets/}.

    limit: samples at most, whole groups of them. shuffled: each network once more with the sentences of other samples.
    tell: a line of progress on stderr. Returns the report. Raises UserError.
    """
    first = open_with_clean(shards)
    methods, fusers = known.methods_for(weights, device)
    if shuffled:
        sentences = known.shuffled([_said(sample) for sample in _some(first, limit)])
        methods |= {f"{name}{known.SHUFFLED}": known.of(fuser, sentences) for name, fuser in fusers.items()}
    results = measure(_some(first, limit), methods, _progress(len(first), limit) if tell else None)
    out.mkdir(parents=True, exist_ok=True)
    text = markdown(results.scores, results.control, list(methods))
    (out / "report.md").write_text(text, encoding="utf-8")
    write_rows(results.scores, out / "results.parquet")
    write_rows(results.control, out / "control.parquet")
    draw_groups(results.scores, list(methods), out / "groups.png")
    for name in fusers:
        _write_sheets(first, methods[name], name, results.scores, out / "sheets")
    first.close()
    return text


def open_with_clean(urls: Sequence[str]) -> IndexedShards[Sample]:
    """Shards with sidecars, with the clean pair where they have it. Raises UserError."""
    reader = open_shards(list(urls), 0)
    if not isinstance(reader, IndexedShards):
        raise UserError(f"--shards {reader.tars[0]}: no sidecar (.parquet) beside it, which is needed here")
    if all(f"{member}_name" in schema_of(reader.tars[0])[0] for member in CLEAN):
        reader.close()
        reader = open_shards(list(urls), 0, clean=True)
        assert isinstance(reader, IndexedShards)
    if not len(reader):
        raise UserError(f"--shards {' '.join(urls)}: no sample in them")
    return reader


def _some(reader: IndexedShards[Sample], limit: int | None) -> Iterator[Sample]:
    """Samples in their order, whole groups, at most `limit`."""
    done = 0
    for _, members in groupby(_each(reader), key=lambda sample: what_of(sample)["group"]):
        group = list(members)
        done += len(group)
        if limit is not None and done > limit:
            return
        yield from group


def _each(reader: IndexedShards[Sample]) -> Iterator[Sample]:
    for number in range(len(reader)):
        yield reader.load([number])[0]


def measure(
    samples: Iterator[Sample], methods: Mapping[str, Method], tell: Callable[[int], None] | None = None
) -> Results:
    """Group by group, in the order of the samples. tell: called with the samples done after each group."""
    results, done = Results([], []), 0
    for _, members in groupby(samples, key=lambda sample: what_of(sample)["group"]):
        group = list(members)
        _score(group, {name: [method(each) for each in group] for name, method in methods.items()}, results)
        done += len(group)
        if tell is not None:
            tell(done)
    return results


def _score(group: Sequence[Sample], outputs: Mapping[str, Sequence[Image]], results: Results) -> None:
    untouched = known.closed_form(group[0])
    dummies = {obedience.NOTHING: [untouched] * len(group)}
    if group[0].record.get("kind") == "full":
        dummies[obedience.EVERYTHING] = [group[0].target] * len(group)
    for name, fused in (outputs | dummies).items():
        obeyed = {row["key"]: row for row in obedience.nearest(group, fused, untouched)}
        what = [what_of(sample) for sample in group]
        for row, sample, picture in zip(what, group, fused, strict=True):
            values = score(sample, picture) if name in outputs else {}
            said = obeyed.get(sample.key, {})
            results.scores.append(
                {"method": name, **row, **values, "obeys": said.get("obeys"), "chance": said.get("chance")}
            )
        of_group = {key: what[0][key] for key in ("group", "task", "dataset", "scene")}
        results.control.extend({"method": name, **of_group, **row} for row in obedience.control(group, fused))


def _write_sheets(reader: IndexedShards[Sample], method: Method, name: str, rows: Sequence[Row], folder: Path) -> None:
    """The best, the median and the worst of each task by PSNR, at native size: OUT/sheets/<name>-<task>.png."""
    marks = marked([row for row in rows if row["method"] == name])
    shown: dict[str, dict[str, Image]] = {}
    for sample in _each(reader):
        for task, mark in marks.get(sample.key, ()):
            pictures = [("a", sample.a), ("b", sample.b), (mark, method(sample)), ("target", sample.target)]
            shown.setdefault(task, {})[mark] = labelled_row(pictures, sample.instruction)
    folder.mkdir(exist_ok=True)
    for task, found in shown.items():
        write_image(folder / f"{name.replace('/', '_')}-{task or 'all'}.png", sheet(list(found.values())))


def marked(rows: Sequence[Row]) -> dict[str, list[tuple[str, str]]]:
    """By key of a sample that is to be shown: of which task it is the best, the median or the worst, and how it did."""
    found: dict[str, list[tuple[str, str]]] = {}
    for task in dict.fromkeys(row["task"] for row in rows):
        ordered = sorted((row for row in rows if row["task"] == task), key=lambda row: row["PSNR"])
        for mark, at in (("worst", 0), ("median", len(ordered) // 2), ("best", -1)):
            row = ordered[at]
            found.setdefault(row["key"], []).append((task, f"{mark}, {row['PSNR']:.2f} dB"))
    return found


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """A Parquet file, a column a key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = list(dict.fromkeys(key for row in rows for key in row))
    pq.write_table(pa.table({key: [row.get(key) for row in rows] for key in keys}), path)


def _said(sample: Sample) -> tuple[str, str, str, str]:
    what = what_of(sample)
    return what["key"], what["group"], what["task"], sample.instruction


def _progress(samples: int, limit: int | None) -> Callable[[int], None]:
    begun, total = time.monotonic(), min(samples, limit or samples)

    def tell(done: int) -> None:
        left = (time.monotonic() - begun) / done * (total - done)
        say(f"{done} of {total} samples, about {left / 60:.0f} min left")

    return tell
