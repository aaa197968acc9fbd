"""Results of runs in one small file, so that a table can be made again, or gone on with, where the runs are gone."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.ablation.measure import by_what

OF_A_RUN = ("name", "set", "seed", "samples", "minutes", "parameters")
NUMBERS = ("psnr", "signed", "best offset", "best gain", "blocks", "shuffled", "base", "round trip")


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
