"""`trainer evaluate`: every method on every case, scored, put into tables and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from trainer.console import progress
from trainer.data.format import DATASET
from trainer.data.images import Image, write_image
from trainer.errors import NAMED_WRONGLY, UserError
from trainer.evaluation import methods as known
from trainer.evaluation import obedience
from trainer.evaluation.cases import AS_THEY_ARE, Case, OfPairs, OfShards
from trainer.evaluation.figures import draw_groups
from trainer.evaluation.methods import Method
from trainer.evaluation.references.openfocus import OpenFocus
from trainer.evaluation.scoring import Row, score, what_of
from trainer.evaluation.sheets import sheet
from trainer.evaluation.tables import first_of, markdown
from trainer.inference.captions import labelled_row


class Results(NamedTuple):
    """Rows of tables: a row a method and case; a row a method and two cases of a group."""

    scores: list[Row]
    control: list[Row]


def evaluate(cases: OfShards | OfPairs, networks: known.Networks, out: Path, openfocus: Path | None = None) -> str:
    """Measure, and write OUT/{report.md, results.parquet, control.parquet, groups.png, sheets/}; returns the report.

    openfocus: the program, for one more reference on focused pairs. Progress goes to stderr. Raises UserError.
    """
    _make(out)
    others = {} if openfocus is None else {known.OPENFOCUS: partial(OpenFocus, openfocus, cases)}
    methods, fusers = known.methods_for(networks, isinstance(cases, OfShards), others)
    if networks.shuffled:
        sentences = known.shuffled([known.Said(c.key, c.group, c.task, c.instruction) for c in cases])
        methods |= {f"{name}{known.SHUFFLED}": known.of(fuser, sentences) for name, fuser in fusers.items()}
    results = measure(cases, methods, progress(cases.count))
    text = markdown(results.scores, results.control, list(methods))
    (out / "report.md").write_text(text, encoding="utf-8")
    write_rows(results.scores, out / "results.parquet")
    if results.control:
        write_rows(results.control, out / "control.parquet")
    draw_groups(results.scores, list(methods), out / "groups.png")
    for name in fusers:
        _write_sheets(cases, methods[name], name, results.scores, out / "sheets")
    return text


def _make(out: Path) -> None:
    """The folder, before hours of work. Raises UserError, also where a dataset stands in it: to its readers tables are
    sidecars."""
    if (out / DATASET).exists():
        raise UserError(f"--out {out}: a dataset stands there, and tables beside its sidecars break it; name another")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in NAMED_WRONGLY:
            raise
        raise UserError(f"--out {out}: no folder can be made there ({error.strerror}); name another place") from None


def measure(cases: Iterable[Case], methods: Mapping[str, Method], tell: Callable[[int], None] | None = None) -> Results:
    """Group by group, in the order of the cases. tell: called with the number of cases done after each group."""
    results, done = Results([], []), 0
    for _, members in groupby(cases, key=lambda case: case.group):
        group = list(members)
        taking = {name: method for name, method in methods.items() if known.takes(name, group[0].task)}
        _score(group, {name: [method(each) for each in group] for name, method in taking.items()}, results)
        done += len(group)
        if tell is not None:
            tell(done)
    return results


def _score(group: Sequence[Case], outputs: Mapping[str, list[Image]], results: Results) -> None:
    what = [what_of(case) for case in group]
    if group[0].kind == AS_THEY_ARE:
        for name, fused in outputs.items():
            results.scores.extend(
                {"method": name, **row, **score(case, picture)}
                for row, case, picture in zip(what, group, fused, strict=True)
            )
        return
    untouched = known.closed_form(group[0])
    dummies = {obedience.NOTHING: [untouched] * len(group)}
    if group[0].kind == "full":
        dummies[obedience.EVERYTHING] = obedience.targets_of(group)[:1] * len(group)
    of_group = {key: what[0][key] for key in ("group", "task", "dataset", "scene")}
    for name, fused in {**outputs, **dummies}.items():
        obeyed = {row["key"]: row for row in obedience.nearest(group, fused, untouched)}
        for row, case, picture in zip(what, group, fused, strict=True):
            values = score(case, picture) if name in outputs else {}
            said = {key: obeyed.get(case.key, {}).get(key) for key in ("obeys", "chance")}
            results.scores.append({"method": name, **row, **values, **said})
        results.control.extend({"method": name, **of_group, **row} for row in obedience.control(group, fused))


def _write_sheets(cases: Iterable[Case], method: Method, name: str, rows: Sequence[Row], folder: Path) -> None:
    """The best, the median and the worst of each task, at native size: OUT/sheets/<name>-<task>.png."""
    marks = marked([row for row in rows if row["method"] == name])
    shown: dict[str, dict[str, Image]] = {}
    for case in cases:
        for task, mark in marks.get(case.key, ()):
            pictures = [("a", case.a), ("b", case.b), (mark, method(case))]
            pictures += [] if case.target is None else [("target", case.target)]
            shown.setdefault(task, {})[mark] = labelled_row(pictures, case.instruction)
    folder.mkdir(exist_ok=True)
    for task, found in shown.items():
        write_image(folder / f"{name.replace('/', '_')}-{task or 'all'}.png", sheet(list(found.values())))


def marked(rows: Sequence[Row]) -> dict[str, list[tuple[str, str]]]:
    """By key of a case that is to be shown: of which task it is the best, the median or the worst, and how it did."""
    found: dict[str, list[tuple[str, str]]] = {}
    metric = first_of(rows)
    for task in dict.fromkeys(row["task"] for row in rows):
        ordered = sorted((row for row in rows if row["task"] == task), key=lambda row: row.get(metric, 0.0))
        for mark, at in (("worst", 0), ("median", len(ordered) // 2), ("best", -1)):
            row = ordered[at]
            found.setdefault(row["key"], []).append((task, f"{mark}, {metric} {row.get(metric, 0.0):.2f}"))
    return found


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """A Parquet file, a column a key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = list(dict.fromkeys(key for row in rows for key in row))
    pq.write_table(pa.table({key: [row.get(key) for row in rows] for key in keys}), path)
