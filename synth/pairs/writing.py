"""Tables of pairs, written."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synth.errors import UserError, listed
from synth.pairs.files import FilePair
from synth.pairs.folder import NO_PAIRS, FolderSource
from synth.tasks import TASKS


def write_manifest(root: Path, out: Path) -> int:
    """Write the pairs of a folder as a manifest, their paths from the manifest's own folder; returns how many.

    root: `<task>/<dataset>-<scene>/{a,b[,gt][,depth]}.*`, or the folder of one task with `<dataset>-<scene>/…`, whose
    name is then the task. out: .parquet or .csv, in a folder that holds root. Raises UserError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if out.suffix not in (".parquet", ".csv"):
        raise UserError(f"{out}: a manifest is a .parquet or a .csv file")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    if not root.resolve().is_relative_to(out.parent.resolve()):
        raise UserError(f"{out}: a manifest names images below its own folder; put it into one that holds {root}")
    rows = list(_rows(root, out.parent))
    if not rows:
        raise UserError(f"{root}: {NO_PAIRS}")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), out, compression="zstd")
    else:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return len(rows)


def _rows(root: Path, base: Path) -> Iterator[dict[str, Any]]:
    folders = {task: root / task for task in TASKS if (root / task).is_dir()}
    if not folders:
        task = next((task for task in TASKS if task == root.resolve().name), None)
        if task is None:
            raise UserError(f"{root}: of which task? it holds none of {listed(TASKS)}, and is none itself")
        folders = {task: root}
    for task, folder in folders.items():
        for pair in FolderSource(folder=folder).pairs(task):
            if isinstance(pair, FilePair):
                yield _row(pair, base)


def _row(pair: FilePair, base: Path) -> dict[str, Any]:
    files = dict(zip(TASKS[pair.task].capture.modalities, pair.images, strict=True)) | {
        "gt": pair.gt,
        "depth": pair.depth,
    }
    named = {
        role: file.resolve().relative_to(base.resolve()).as_posix() if isinstance(file, Path) else None
        for role, file in files.items()
    }
    sizes = {None if header is None else header.size for header in pair.headers()}
    height, width = (sizes.pop() if len(sizes) == 1 else None) or (None, None)  # what differs, a plan must see
    facts = {"task": pair.task, "dataset": pair.dataset, "scene": pair.scene, "width": width, "height": height}
    return named | facts | {"indoor": pair.indoor}
