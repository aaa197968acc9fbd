"""Tables of pairs as files: parquet, CSV with any separator, or JSON lines, and what their columns are called."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from synth.errors import UserError, hint, in_one_line
from synth.pairs.files import ROLES
from synth.scene.capture import IMAGES, ImageName
from synth.storage import local_path, open_storage

COLUMNS = (*IMAGES, *ROLES, "task", "dataset", "scene", "licence", "split", "width", "height", "indoor")
SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
KINDS = "a manifest is a .parquet, .csv, .tsv or .jsonl file"
SEPARATORS = ",;\t|"
WIDE = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}  # files that begin so
EXTRA = None  # the key under which csv puts cells beyond the header's

WORDS: dict[str, tuple[str, ...]] = {
    "visible": ("visible", "vis", "vi", "viz", "visual", "rgb"),
    "infrared": ("infrared", "ir", "inf", "thermal", "tir", "lwir", "nir"),
    "under": ("under", "underexposed", "under_exposed", "underexposure", "under_exposure", "ue"),
    "over": ("over", "overexposed", "over_exposed", "overexposure", "over_exposure", "oe"),
    "near": ("near", "near_focus", "nearfocus", "foreground"),
    "far": ("far", "far_focus", "farfocus", "background"),
}
"""What people call the images of a modality, besides its own name."""
OTHERS: dict[str, tuple[str, ...]] = {
    "a": ("image_a", "img_a", "image1", "image_1", "img1", "img_1", "source_1"),
    "b": ("image_b", "img_b", "image2", "image_2", "img2", "img_2", "source_2"),
    "gt": ("ground_truth", "groundtruth", "full_clear", "all_in_focus", "reference"),
    "depth": ("depth_map",),
    "scene": ("scene_id",),
    "split": ("subset", "partition"),
    "licence": ("license",),
}
"""What else columns are called."""
OF_A_FILE = re.compile(r"_(path|file|image|img|filename|filepath|file_name|url)$")


@dataclass(frozen=True)
class Table:
    """Rows by the names of `COLUMNS`, and what was taken for which of them."""

    rows: list[dict[str | None, Any]]
    remarks: tuple[str, ...]


def is_table(place: str) -> bool:
    """Whether a path or a URL names a table, rather than a folder."""
    return _suffix(place) in SUFFIXES


def read_table(where: str, images: Mapping[ImageName, str]) -> Table:
    """The rows of a manifest.

    images: what a task's images are of, by name. Raises UserError where it is missing, no table, or lacks the column of
    an image.
    """
    path, suffix = local_path(where), _suffix(where)
    folder, _, name = where.rpartition("/")
    try:
        data = open_storage(folder).read(name) if path is None else path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{where}: no such manifest") from None
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror or error}") from None
    if suffix not in SUFFIXES:
        raise UserError(f"{where}: {KINDS}")
    if suffix == ".parquet":
        return _of_parquet(where, data, images)
    text = _text(where, data, "JSON lines" if suffix.endswith("l") or suffix == ".ndjson" else "a CSV file")
    if suffix in (".csv", ".tsv"):
        rows, columns = _of_csv(where, text, images)
    else:
        rows, columns = _of_json(where, text)
    names, remarks = _names(where, columns, images)
    kept = [
        {names[key]: cell for key, cell in row.items() if key in names} | ({EXTRA: row[EXTRA]} if EXTRA in row else {})
        for row in rows
    ]
    return Table(_checked(where, kept, images), remarks)


def _suffix(place: str) -> str:
    """In small letters; of an address of the web without what is asked of it."""
    asked = place.startswith(("http://", "https://"))
    return PurePosixPath(place.partition("?")[0] if asked else place).suffix.lower()


def _text(where: str, data: bytes, kind: str) -> str:
    """The text of a file in UTF-8, with or without its mark. Raises UserError."""
    wide = WIDE.get(data[:2]) or ("UTF-16" if b"\0" in data[:4] else None)
    if wide is not None:
        raise UserError(f"{where}: not {kind} in UTF-8, but in {wide}; save it again, as `CSV UTF-8` or plain UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not {kind} in UTF-8: {error}; save it again in UTF-8") from None


def _of_parquet(where: str, data: bytes, images: Mapping[ImageName, str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names, remarks = _names(where, pq.read_schema(io.BytesIO(data)).names, images)
        table = pq.read_table(io.BytesIO(data), columns=list(names))
        rows = table.rename_columns([names[column] for column in table.column_names]).to_pylist()
    except pa.ArrowException:
        raise UserError(f"{where}: not a parquet file that can be read") from None
    return Table(_checked(where, rows, images), remarks)


def _of_csv(where: str, text: str, images: Mapping[ImageName, str]) -> tuple[list[dict[Any, Any]], list[str]]:
    """The rows, and the columns of the header. The separator is the one that makes most known columns of it."""
    said = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)  # a first line that Excel writes and reads
    if said is not None:
        text = text[said.end() :]
    head = text.partition("\n")[0]
    known = {separator: len(_known(head.split(separator), images)) for separator in SEPARATORS}
    separator = said[1] if said is not None else max(SEPARATORS, key=lambda mark: known[mark])
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        rows, columns = list(reader), list(reader.fieldnames or [])
    except csv.Error as error:
        raise UserError(f"{where}: not a CSV file in UTF-8: {error}") from None
    return rows, columns


def _of_json(where: str, text: str) -> tuple[list[dict[Any, Any]], list[str]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: line {number}: not JSON: {in_one_line(error, 100)}") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: line {number}: no object; a row is {{'a': PATH, 'b': PATH, …}}")
        rows.append(row)
    return rows, list(dict.fromkeys(key for row in rows for key in row))


def _plain(column: str) -> str:
    """A column's name without what does not tell it: case, spaces, `_path`."""
    name = re.sub(r"[\s\-.]+", "_", str(column).strip().lower())
    return OF_A_FILE.sub("", name)


def _kinds(images: Mapping[ImageName, str]) -> dict[str, str]:
    return {str(image): kind for image, kind in images.items()}


def _words(name: str, images: Mapping[ImageName, str]) -> tuple[str, ...]:
    """What a column of ours may be called besides its own name. images: by name, what they are of."""
    others = OTHERS.get(name, ())
    kind = _kinds(images).get(name)
    return others if kind is None else (kind, *WORDS.get(kind, ()), *others)


def _known(columns: Iterable[str], images: Mapping[ImageName, str]) -> list[str]:
    words = {word for name in COLUMNS for word in (name, *_words(name, images))}
    return [column for column in columns if _plain(column.strip('"')) in words]


def _names(
    where: str, columns: Sequence[str], images: Mapping[ImageName, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What each column that is known stands for, and what is to be said of it.

    Raises UserError where an image has no column, or more than one could be it.
    """
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise UserError(f"{where}: two columns are called {twice[0]!r}; each has a name of its own")
    names: dict[str, str] = {}
    remarks = []
    for name in COLUMNS:
        own = [column for column in columns if str(column).strip() == name] or [
            column for column in columns if str(column).strip().lower() == name
        ]
        others = [column for column in columns if _plain(column) in (name, *_words(name, images))]
        found = own[:1] or others
        kind = _kinds(images).get(name)
        if len(found) > 1 and kind is not None:
            shown = " and ".join(repr(column) for column in found[:2])
            raise UserError(f"{where}: the columns {shown} could both be {name} ({kind}); call one of them {name}")
        if found:
            names[found[0]] = name
            if not own and _plain(found[0]) != name:
                remarks.append(f"column {found[0]!r} is taken for {name}")
        elif kind is not None:
            needs = " and ".join(f"{image} ({kind})" for image, kind in images.items())
            raise UserError(f"{where}: no column {name!r}{hint(name, map(str, columns))}; it needs {needs}")
    return names, tuple(remarks)


def _checked(
    where: str, rows: list[dict[str | None, Any]], images: Mapping[ImageName, str]
) -> list[dict[str | None, Any]]:
    """The rows. Raises UserError where they hold pictures, which should be files."""
    for name in (*images, *ROLES):
        for number, row in enumerate(rows):
            cell = row.get(name)
            if isinstance(cell, bytes | dict | list):
                raise UserError(
                    f"{where}: row {number}: {name} holds {type(cell).__name__}, not a path or a URL; pictures inside "
                    "a table are not read: write them to files beside it"
                )
            if cell is not None:
                break  # a column is of one kind
    return rows
