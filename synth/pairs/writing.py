"""Tables of pairs, written: of folders of pairs, of public data sets, and by a user's own patterns."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import UserError, hint, listed
from synth.pairs.files import FilePair
from synth.pairs.folder import NO_IMAGE, NO_PAIRS, FolderSource
from synth.pairs.layout import LayoutSource, file_pair, name_of, remarks_of, scene_of, with_remarks
from synth.pairs.layouts import Listing, images_below
from synth.pairs.patterns import by_patterns
from synth.pairs.public_sets import Role
from synth.pairs.source import LeftOut
from synth.pairs.split import SIDES, Split, named_side
from synth.storage.whole import write_files
from synth.tasks import TASKS

WRITTEN = (".parquet", ".csv", ".jsonl")
FOLDERS = "folders"  # the layout of this tool's own: a folder a pair
NAMED = 3  # pairs left out that are named
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a user says of the pairs to be written.

    layout: as layouts.py names it, or `folders`. patterns: by role, in place of a layout. dataset: what they are
    called. split, licence: of all of them. follow_links: as of sources.
    """

    task: str | None = None
    layout: str | None = None
    patterns: Mapping[Role, str] | None = None
    dataset: str | None = None
    split: str | None = None
    licence: str | None = None
    follow_links: bool = False


def write_manifest(
    root: Path, out: Path, wanted: Wanted = Wanted(), say: Say = lambda _: None, overwrite: bool = False
) -> int:
    """Write the pairs of a folder as a manifest, their paths from the manifest's own folder; returns how many.

    root: `<task>/<dataset>-<scene>/{a,b[,gt][,depth]}.*`, or the folder of one task with `<dataset>-<scene>/…`, whose
    name is then the task; or a public data set, laid out as layouts.py knows it. out: .parquet, .csv or .jsonl, in a
    folder that holds root. say: told how it was read, and what is left out. overwrite: a table that stands there and
    says something else, which may have been edited, is lost; without it, it is refused. Raises UserError, StoppedError
    where the disk is full.
    """
    if out.suffix.lower() not in WRITTEN:
        raise UserError(f"{out}: a manifest is a .parquet, .csv or .jsonl file")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    if not root.resolve().is_relative_to(out.parent.resolve()):
        raise UserError(f"{out}: a manifest names images below its own folder; put it into one that holds {root}")
    _check(wanted)
    rows = [row | _said(wanted) for row in _rows(root, out.parent, wanted, say)]
    if not rows:
        raise UserError(f"{root}: {NO_PAIRS}")
    sides = Counter(row["split"] for row in rows)
    if set(sides) == {None}:
        for row in rows:
            del row["split"]
    else:
        say("split: " + ", ".join(f"{sides[side]} {side}" for side in SIDES if sides[side]))
    if apart := [row["scene"] for row in rows if row["a"] is not None and row["width"] is None]:
        say(f"of two sizes, or not readable: {len(apart)} pairs, which a recipe will leave out: {_few(apart)}")
    data = _encoded(rows, out.suffix.lower())
    if not overwrite and out.is_file() and not _says(out, data):
        raise UserError(f"{out}: another table stands there; name another file, or --overwrite it")
    write_files({out: data})
    return len(rows)


def _check(wanted: Wanted) -> None:
    """Raises UserError where what is wanted goes not together, or is not known."""
    if wanted.task is not None and wanted.task not in TASKS:
        raise UserError(f"--task {wanted.task}: no such task{hint(wanted.task, TASKS)}")
    if wanted.split is not None and named_side(wanted.split) is None:
        raise UserError(f"--split {wanted.split}: it is {', '.join(SIDES)}")
    if wanted.dataset is not None and set(wanted.dataset) & set("-/"):
        raise UserError(
            f"--dataset {wanted.dataset}: a name without hyphens and slashes, as {wanted.dataset.replace('-', '_')}"
        )
    if wanted.patterns is not None:
        if wanted.layout is not None:
            raise UserError("--layout and patterns both say which images belong together: give one of them")
        if not {"a", "b"} <= set(wanted.patterns):
            raise UserError("patterns: --a and --b are needed, as --a 'vi/{scene}.png' --b 'ir/{scene}.png'")
        if wanted.task is None:
            raise UserError(f"patterns: of which task? --task is one of {listed(TASKS)}")


def _said(wanted: Wanted) -> dict[str, Any]:
    """Columns that the user says of all pairs."""
    split: Split | None = None if wanted.split is None else named_side(wanted.split)
    told = {"split": split, "licence": wanted.licence}
    return {key: value for key, value in told.items() if value is not None}


def _rows(root: Path, base: Path, wanted: Wanted, say: Say) -> Iterator[dict[str, Any]]:
    if wanted.patterns is not None:
        assert wanted.task is not None
        names, unused = images_below(root, wanted.follow_links)
        listing = with_remarks(by_patterns(wanted.patterns, names, wanted.task), unused)
        yield from _listed(root, base, listing, wanted, say)
        return
    tasks = _own_tasks(root, wanted)
    if wanted.layout == FOLDERS and not tasks:
        raise UserError(f"{root}: of which task? it holds none of {listed(TASKS)}, and is none itself; --task says it")
    if tasks and wanted.layout in (None, FOLDERS):
        found = [row for task, folder in tasks.items() for row in _of_folders(task, folder, root, base, wanted, say)]
        if found or wanted.layout == FOLDERS:
            yield from found
            return
    source = LayoutSource(layout=root, way=wanted.layout, follow_links=wanted.follow_links)
    try:
        listing = source.listing(wanted.task)
    except UserError:
        if tasks or not _looks_own(root):
            raise
        raise UserError(
            f"{root}: of which task? it holds none of {listed(TASKS)}, and is none itself; --task says it"
        ) from None
    yield from _listed(root, base, listing, wanted, say)


def _own_tasks(root: Path, wanted: Wanted) -> dict[str, Path]:
    """The folders of pairs of each task, where a folder is laid out as this tool has it."""
    below = {task: root / task for task in TASKS if (root / task).is_dir() and wanted.task in (None, task)}
    if below:
        return below
    task = wanted.task or next((task for task in TASKS if task == root.resolve().name), None)
    return {} if task is None else {task: root}


def _looks_own(root: Path) -> bool:
    """Whether a folder below it holds an image called a and another called b."""
    names = [Path(name) for name in images_below(root, follow_links=False)[0]]
    with_a, with_b = ({name.parent for name in names if name.stem == stem} for stem in ("a", "b"))
    return bool(with_a & with_b)


def _of_folders(task: str, folder: Path, root: Path, base: Path, wanted: Wanted, say: Say) -> Iterator[dict[str, Any]]:
    settings = {} if wanted.dataset is None else {"dataset": wanted.dataset}
    if not any(path.is_dir() for path in folder.iterdir()):
        return
    items = list(FolderSource(folder=folder, follow_links=wanted.follow_links, **settings).pairs(task))  # type: ignore[arg-type]
    out = [item for item in items if isinstance(item, LeftOut)]
    pairs = [item for item in items if isinstance(item, FilePair)]
    told = [item for item in out if not item.reason.startswith(NO_IMAGE)]
    if told and not pairs:
        raise UserError(
            f"{folder}: no pair in it; of {len(out)} left out, the first: {told[0].scene}: {told[0].reason}"
        )
    if out and pairs:
        say(f"left out: {len(out)} of {task}: " + "; ".join(f"{item.scene}: {item.reason}" for item in out[:NAMED]))
    for pair in pairs:
        yield _row(pair, root, base, None)


def _listed(root: Path, base: Path, listing: Listing, wanted: Wanted, say: Say) -> Iterator[dict[str, Any]]:
    for remark in remarks_of(root, listing):
        say(remark)
    task, several = listing.layout.task, dict[str, int]()
    dataset = wanted.dataset or name_of(root)
    source = LayoutSource(layout=root)
    for found in listing.pairs:
        scene = scene_of(dataset, found, several)
        row = _row(file_pair(source, task, dataset, scene, found), root, base, found.split)
        yield row | {"scene": f"{dataset}-{found.scene}"}


def _row(pair: FilePair, root: Path, base: Path, split: Split | None) -> dict[str, Any]:
    files = dict(zip(TASKS[pair.task].capture.modalities, pair.images, strict=True)) | {
        "gt": pair.gt,
        "depth": pair.depth,
    }
    above = root.resolve().relative_to(base.resolve())
    named = {
        role: (above / file.relative_to(root)).as_posix() if isinstance(file, Path) else None
        for role, file in files.items()
    }
    sizes = {None if header is None else header.size for header in pair.headers()}
    height, width = (sizes.pop() if len(sizes) == 1 else None) or (None, None)  # what differs, a plan must see
    facts = {"task": pair.task, "dataset": pair.dataset, "scene": pair.scene, "split": split}
    return named | facts | {"width": width, "height": height, "indoor": pair.indoor}


def _few(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def _encoded(rows: list[dict[str, Any]], suffix: str) -> bytes:
    """A table as the bytes of its file."""
    if suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        packed = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), packed, compression="zstd")
        return packed.getvalue()
    text = io.StringIO()
    if suffix == ".jsonl":
        text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()


def _says(out: Path, data: bytes) -> bool:
    """Whether a file holds this table; of parquet whether its rows do, since each pyarrow writes other bytes."""
    there = out.read_bytes()
    if there == data or out.suffix.lower() != ".parquet":
        return there == data
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return bool(pq.read_table(io.BytesIO(there)).equals(pq.read_table(io.BytesIO(data))))
    except pa.ArrowException:
        return False
