"""Clean pairs in a table: a parquet or CSV file with a row a pair, its images as paths or URLs."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from synth.errors import UserError, hint, listed
from synth.pairs.facts import truth
from synth.pairs.files import ROLES, File, FilePair
from synth.pairs.folder import NO_PAIRS, FolderSource
from synth.pairs.remote import Remote
from synth.pairs.source import FileSource, LeftOut
from synth.pairs.split import side_of
from synth.scene.capture import IMAGES
from synth.storage import local_path, open_storage
from synth.storage.bucket import is_known
from synth.tasks import TASKS

COLUMNS = (*IMAGES, *ROLES, "task", "dataset", "scene", "licence", "split", "width", "height", "indoor")
UNSAFE = set("/\\\n\r\t\0")
LOCAL_KINDS = ("file", "local", "asynclocal", "git")  # of URLs that a table of a stranger may not hold


class ManifestSource(FileSource):
    """A table with a row a pair; `synth manifest` writes one.

    Columns: a, b and, where there are any, gt, depth (images: a URL, or a path from the manifest's own folder that does
    not leave it), task, dataset, scene, licence, split (train or test; a scene has one), width and height (pixels of
    the images; where they are not given, those behind URLs are only known once they are read), indoor (true or false:
    whether the pair shows a room, where no weather falls). Further columns are passed over. Without `scene`, a pair is
    its own, named by its row. Without `split`, a share `held_out` of the scenes is for test, as for folders.
    """

    kind = "manifest"
    placeholder = "pairs.parquet"
    own_splits = True

    manifest: str
    """A parquet or CSV file, or its URL."""

    def pairs(self, task: str) -> Iterator[FilePair | LeftOut]:
        """In the order of their rows."""
        where, path = self.manifest, local_path(self.manifest)
        base = where.rpartition("/")[0] if path is None else path.parent
        sides: dict[str, str] = {}
        several: dict[str, int] = {}
        for number, cells in enumerate(read_table(where, TASKS[task].capture.modalities)):
            row = {name: str(cell) for name, cell in cells.items() if not _is_empty(cell)}
            if row.get("task", task) not in TASKS:
                raise UserError(f"{where}: row {number}: task {row['task']!r}; it is one of {', '.join(TASKS)}")
            if row.get("task", task) != task:
                continue
            dataset = row.get("dataset", "manifest")
            scene = row.get("scene", f"{dataset}-{number:09d}")
            side = row.get("split") or side_of(scene, self.held_out)
            if side not in ("train", "test"):
                raise UserError(f"{where}: row {number}: split {side!r}; it is train or test")
            if sides.setdefault(scene, side) != side:
                raise UserError(
                    f"{where}: row {number}: scene {scene!r} stands in train and in test; it has one side: mend the "
                    "split, or give scenes that differ different names"
                )
            several[scene] = several.get(scene, -1) + 1
            if self.split in ("all", side):
                name = f"{scene}-p{several[scene]}" if several[scene] else scene  # further pairs of a scene
                yield self._pair(row, base, task, dataset, name)

    def _pair(self, row: Mapping[str, str], base: Path | str, task: str, dataset: str, name: str) -> FilePair | LeftOut:
        if UNSAFE & set(f"{dataset}{name}"):
            return LeftOut(repr(name), "a dataset or scene with a slash or a line break in its name")
        try:
            images = {name: _file(row.get(name), base) for name in TASKS[task].capture.modalities}
            gt, depth = (_file(row.get(role), base) for role in ROLES)
            size = _size(row)
            indoor = truth("indoor", row["indoor"]) if "indoor" in row else None
        except ValueError as error:
            return LeftOut(name, str(error))
        files = tuple(file for file in images.values() if file is not None)
        if len(files) < len(images):
            return LeftOut(name, f"no image {next(image for image, file in images.items() if file is None)}")
        settings = self.depth_kind, self.align, size
        licence = row.get("licence", self.licence)
        return FilePair(task, dataset, name, licence, files, gt, depth, *settings, indoor=indoor)


def read_table(where: str, images: Collection[str]) -> list[dict[str, Any]]:
    """The rows of a manifest. Raises UserError where it is missing, no table, or lacks the column of an image."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = local_path(where)
    folder, _, name = where.rpartition("/")
    try:
        data = open_storage(folder).read(name) if path is None else path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{where}: no such manifest") from None
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror or error}") from None
    if name.endswith(".parquet"):
        try:
            table = pq.read_table(io.BytesIO(data))
            kept = table.select([column for column in COLUMNS if column in table.column_names])
            columns, rows = table.column_names, kept.to_pylist()
        except pa.ArrowException:
            raise UserError(f"{where}: not a parquet file that can be read") from None
    elif name.endswith(".csv"):
        try:
            reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
            rows, columns = list(reader), list(reader.fieldnames or [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{where}: not a CSV file in UTF-8: {error}") from None
    else:
        raise UserError(f"{where}: a manifest is a .parquet or a .csv file")
    for needed in images:
        if needed not in columns:
            raise UserError(f"{where}: no column {needed!r}{hint(needed, columns)}; it needs {' and '.join(images)}")
    return rows


def _is_empty(cell: Any) -> bool:
    """Whether a cell says nothing: none, no text, or the NaN that stands for it in a column of numbers."""
    return cell is None or cell == "" or cell != cell


def _file(text: str | None, base: str | Path) -> File | None:
    """An image of a row. Raises ValueError where it leads out of the manifest's folder, UserError as Bucket does."""
    if text is None:
        return None
    if "://" in text:
        kind = text.partition("://")[0]
        if "::" in text:
            raise ValueError("a URL with '::' in it, which leads through another one")
        if kind.lower() in LOCAL_KINDS:
            raise ValueError(f"a {kind}:// URL; give a path from the manifest's folder")
        if not is_known(kind):
            raise ValueError(f"a {kind}:// URL, a kind that is not known")
        return Remote(text)
    parts = Path(text).parts
    if Path(text).is_absolute() or ".." in parts:
        raise ValueError(f"an image outside of the manifest's folder: {text}")
    if isinstance(base, str):
        return Remote(f"{base}/{text}")
    path = base / text
    try:
        inside = path.resolve().is_relative_to(base.resolve())
    except RuntimeError:  # of pathlib: links in a circle
        inside = False
    if not inside:
        raise ValueError("a link that leads out of the manifest's folder")
    return path


def _size(row: Mapping[str, str]) -> tuple[int, int] | None:
    """(height, width) where the row has both. Raises ValueError where they are no numbers of pixels."""
    height, width = row.get("height"), row.get("width")
    if height is None or width is None:
        return None
    try:
        size = float(height), float(width)
    except ValueError:
        size = 0.0, 0.0
    if not all(1 <= pixels < 1 << 31 and pixels.is_integer() for pixels in size):
        raise ValueError(f"height {height} and width {width} are no numbers of pixels")
    return int(size[0]), int(size[1])


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
