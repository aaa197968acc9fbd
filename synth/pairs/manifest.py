"""Clean pairs in a table: a file with a row a pair, its images as paths or URLs."""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from synth.errors import UserError
from synth.images import codecs
from synth.pairs.facts import truth
from synth.pairs.files import ROLES, File, FilePair
from synth.pairs.remote import Remote
from synth.pairs.source import FileSource, LeftOut, Remark
from synth.pairs.split import SIDES, named_side, side_of
from synth.pairs.tables import EXTRA, read_table
from synth.paths import in_a_circle
from synth.storage import local_path
from synth.storage.bucket import is_known
from synth.tasks import TASKS

UNSAFE = set("/\\\n\r\t\0")
LOCAL_KINDS = ("file", "local", "asynclocal", "git")  # of URLs that a table of a stranger may not hold
LONGEST = 40  # letters of a file's name in the name of a scene
ALLOWED = "`follow_links: true` (--follow-links) allows that"


class ManifestSource(FileSource):
    """A table with a row a pair; `synth manifest` writes one.

    Columns: a, b and, where there are any, gt, depth (images: a URL, or a path from the manifest's own folder that does
    not leave it, unless `follow_links` says so), task, dataset, scene, licence, split (train, val or test; a scene has
    one), width and height (pixels of the images; where they are not given, those behind URLs are only known once they
    are read), indoor (true or false: whether the pair shows a room, where no weather falls). Further columns are passed
    over; what else columns are called, and is understood, stands in tables.py. Without `scene`, a pair's scene follows
    from the names of its images, and pairs that share a file are of one. Without `split`, a share `held_out` of the
    scenes is for test, as for folders.
    """

    kind = "manifest"
    placeholder = "pairs.parquet"
    own_splits = True

    manifest: str
    """A parquet or CSV file, or one of JSON lines, or its URL."""

    def pairs(self, task: str) -> Iterator[FilePair | LeftOut | Remark]:
        """In the order of their rows."""
        where, path = self.manifest, local_path(self.manifest)
        base = where.rpartition("/")[0] if path is None else path.parent
        names = TASKS[task].capture.modalities
        table = read_table(where, names)
        for remark in table.remarks:
            yield Remark(f"{where}: {remark}")
        rows: dict[int, dict[str, str]] = {}
        for number, cells in enumerate(table.rows):
            row = {name: str(cell).strip() for name, cell in cells.items() if name != EXTRA and not _is_empty(cell)}
            if row.get("task", task) not in TASKS:
                raise UserError(f"{where}: row {number}: task {row['task']!r}; it is one of {', '.join(TASKS)}")
            if row.get("task", task) == task:
                rows[number] = row
        scenes = _scenes({n: row for n, row in rows.items() if "scene" not in row}, tuple(names), base)
        sides: dict[str, str] = {}
        several: dict[str, int] = {}
        for number, row in rows.items():
            dataset = row.get("dataset", "manifest")
            scene, first = scenes.get(number) or (row["scene"], number)
            side = named_side(row["split"]) if "split" in row else side_of(scene, self.held_out, self.held_out_val)
            if side is None:
                raise UserError(f"{where}: row {number}: split {row['split']!r}; it is {', '.join(SIDES)}")
            if sides.setdefault(scene, side) != side:
                raise UserError(
                    f"{where}: row {number}: scene {scene!r} stands in {sides[scene]} and in {side}; it has one side: "
                    "mend the split, or give scenes that differ different names"
                )
            if self.split not in ("all", side):
                continue
            if first != number:
                yield LeftOut(scene, f"row {number} has the files of row {first}")
                continue
            if table.rows[number].get(EXTRA):
                yield LeftOut(scene, f"row {number} has more cells than columns; a name with a separator needs quotes")
                continue
            several[scene] = several.get(scene, -1) + 1
            name = f"{scene}-p{several[scene]}" if several[scene] else scene  # further pairs of a scene
            yield self._pair(row, base, task, dataset, name)

    def _pair(self, row: Mapping[str, str], base: Path | str, task: str, dataset: str, name: str) -> FilePair | LeftOut:
        if UNSAFE & set(f"{dataset}{name}"):
            return LeftOut(repr(name), "a dataset or scene with a slash or a line break in its name")
        try:
            images = {name: self._file(row.get(name), base) for name in TASKS[task].capture.modalities}
            gt, depth = (self._file(row.get(role), base) for role in ROLES)
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

    def _file(self, text: str | None, base: str | Path) -> File | None:
        """An image of a row.

        Raises ValueError where it leads out of the manifest's folder and must not, UserError as Bucket does.
        """
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
        if re.match(r"[A-Za-z]:[\\/]", text):
            raise ValueError(f"a path of Windows with its drive: {text}; give one from the manifest's folder")
        if isinstance(base, str):
            inner = posixpath.normpath(text.replace("\\", "/"))
            if inner.startswith(("/", "..")):
                raise ValueError(f"an image outside of the manifest's folder: {text}")
            return Remote(f"{base}/{inner}")
        return self._local(text, base)

    def _local(self, text: str, base: Path) -> Path:
        if "\\" in text and not (base / text).exists():
            text = text.replace("\\", "/")  # of a table from Windows
        if text.startswith("~") and not (base / text).exists():
            try:
                text = str(Path(text).expanduser())
            except RuntimeError:
                raise ValueError(f"an image in a home folder that is not known: {text}") from None
        path = base / text
        if self.follow_links:
            return path
        here, there = _places(base)
        plain = os.path.normpath(here / text)
        if not plain.startswith((f"{here}{os.sep}", f"{there}{os.sep}")):
            raise ValueError(f"an image outside of the manifest's folder: {text}; {ALLOWED}")
        if in_a_circle(path) or not path.resolve().is_relative_to(there):
            raise ValueError(f"a link that leads out of the manifest's folder; {ALLOWED}")
        return path


@lru_cache(maxsize=8)
def _places(base: Path) -> tuple[Path, Path]:
    """A folder as it is called, without steps up, and as it is without links."""
    return Path(os.path.normpath(base.absolute())), base.resolve()


def _is_empty(cell: Any) -> bool:
    """Whether a cell says nothing: none, no text, or the NaN that stands for it in a column of numbers."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def _scenes(
    rows: Mapping[int, Mapping[str, str]], images: tuple[str, ...], base: Path | str
) -> dict[int, tuple[str, int]]:
    """Of each row, the name of its scene, from what its files are called, and the first row of the same files.

    Rows that share a file are of one scene, so that no picture stands in two splits. A name follows from the paths (or
    URLs) of the first images of a scene, by that which comes first in the alphabet: no other scene's rows move it, nor
    does their order.
    """
    called = {n: tuple(_identity(row.get(name), base) for name in (*images, *ROLES)) for n, row in rows.items()}
    joined: dict[str, str] = {}  # file: another of its scene, and at last that which stands for all

    def whole(file: str) -> str:
        while joined[file] != file:
            joined[file] = file = joined[joined[file]]
        return file

    for files in called.values():
        first, *others = [joined.setdefault(file, file) and file for file in files if file] or [""]
        for other in others:
            joined[whole(other)] = whole(first)
    scenes = {n: whole(there[0]) if (there := [*filter(None, files)]) else f"row {n}" for n, files in called.items()}
    names: dict[str, tuple[str, str]] = {}  # of a scene: its first image and dataset
    for number, scene in scenes.items():
        name = next(filter(None, called[number]), scene), rows[number].get("dataset", "manifest")
        names[scene] = min(name, names.get(scene, name))
    firsts: dict[tuple[str, ...], int] = {}
    found = {}
    for number, scene in scenes.items():
        file, dataset = names[scene]
        digest = hashlib.blake2b(file.encode(errors="surrogateescape"), digest_size=4).hexdigest()
        stem = re.sub(r"[^\w.]+", "_", posixpath.splitext(posixpath.basename(file))[0])[:LONGEST]
        whole_row = all(called[number][: len(images)])
        found[number] = f"{dataset}-{stem}-{digest}", firsts.setdefault(called[number], number) if whole_row else number
    return found


def _identity(text: str | None, base: Path | str) -> str:
    """What an image is called whatever the spelling: its path from the table's folder, or its URL; of one of the web
    without its query, which may be a signature, unless that names the file."""
    if text is None:
        return ""
    if "://" in text:
        plain = text.partition("?")[0] if text.startswith(("http://", "https://")) else text
        return plain if posixpath.splitext(plain)[1].lower() in codecs.SUFFIXES else text
    path = posixpath.normpath(text.replace("\\", "/"))
    if path.startswith("/") and isinstance(base, Path):
        return path.removeprefix(f"{posixpath.normpath(base.absolute().as_posix())}/")
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
