"""Results of runs in one small file, so that a table can be made again, or gone on with, where the runs are gone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.ablation.measure import by_what, what_of

OF_A_RUN = ("name", "set", "seed", "samples", "minutes", "parameters")
NUMBERS = ("psnr", "signed", "best offset", "best gain", "blocks", "shuffled", "base", "round trip")
DRAWN = 4000
"""Times scenes are drawn anew for an interval."""


def pack(out: Path, file: Path) -> int:
    """Writes a row for every sample of every result in `out`, and how long steps take; returns how many results."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    results = [result for result in results if "sets" in result]
    rows = [
        {"run": result["name"], "in": name} | {key: row[key] for key in ("task", "scene", "kind", "effects", *NUMBERS)}
        for result in results
        for name, scores in result["sets"].items()
        for row in scores["rows"]
    ]
    table = pa.Table.from_pylist(rows)
    for name in NUMBERS:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.float32()))
    runs = [{key: result[key] for key in OF_A_RUN} for result in results]
    steps = out / "factorial-steps.json"
    about = {"runs": json.dumps(runs), "steps": steps.read_text(encoding="utf-8") if steps.exists() else ""}
    pq.write_table(table.replace_schema_metadata(about), file, compression="zstd")
    return len(results)


def unpack(file: Path, out: Path) -> int:
    """The inverse, without weights: results in `out`, where there are none of that name; returns how many."""
    table = pq.read_table(file)
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if about["steps"] and not (out / "factorial-steps.json").exists():
        (out / "factorial-steps.json").write_text(about["steps"], encoding="utf-8")
    rows: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in table.to_pylist():
        rows[row.pop("run")][row.pop("in")].append(row)
    written = 0
    for result in json.loads(about["runs"]):
        path = out / f"{result['name']}.json"
        if path.exists():
            continue
        sets = {
            name: {measure: by_what(each, measure) for measure in NUMBERS} | {"rows": each}
            for name, each in rows[result["name"]].items()
        }
        path.write_text(json.dumps(result | {"sets": sets}, indent=1) + "\n", encoding="utf-8")
        written += 1
    return written


def compare(out: Path, first: str, second: str, groups: Sequence[str]) -> str:
    """A table of how far form `first` is above form `second`, in dB, by set and group: runs NAME-SEED, of all seeds
    that both have, a sample's scores averaged over them; 95% intervals by scene.
    """
    seeds = [
        path.stem.removeprefix(f"{first}-")
        for path in sorted(out.glob(f"{first}-*.json"))
        if (out / f"{second}-{path.stem.removeprefix(f'{first}-')}.json").exists()
    ]
    ours, theirs = (
        [json.loads((out / f"{name}-{seed}.json").read_text(encoding="utf-8"))["sets"] for seed in seeds]
        for name in (first, second)
    )
    lines = [
        f"| {first} above {second}, seeds {', '.join(seeds)} | {' | '.join(groups)} |",
        "|---" * (len(groups) + 1) + "|",
    ]
    for name in sorted(ours[0]):
        rows = ours[0][name]["rows"]
        above = np.mean([_psnrs(mine[name]) - _psnrs(other[name]) for mine, other in zip(ours, theirs, strict=True)], 0)
        cells = []
        for group in groups:
            chosen = [number for number, row in enumerate(rows) if group in ("all", *what_of(row))]
            cells.append(cell(*by_scene(above[chosen], [rows[number] for number in chosen])) if chosen else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_scene(values: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """The mean of a value of each sample, and 95% of what it is where scenes are drawn anew."""
    scenes: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        scenes.setdefault(f"{row['task']} {row['scene']}", []).append(number)
    each = zip(*((values[i].sum(), len(i)) for i in scenes.values()), strict=True)
    sums, sizes = (np.array(column) for column in each)
    drawn = np.random.default_rng(0).integers(len(sums), size=(DRAWN, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def cell(mean: float, low: float, high: float) -> str:
    """Bold where the interval excludes zero."""
    bold = "**" if low > 0 or high < 0 else ""
    return f"{bold}{mean:+.2f}{bold} ({low:+.2f} to {high:+.2f})"


def _psnrs(scores: Mapping[str, Any]) -> np.ndarray:
    return np.array([row["psnr"] for row in scores["rows"]])
