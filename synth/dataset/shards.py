"""Shards: a tar and its sidecar, whole or not at all (shards/FORMAT.md)."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, Self, cast

from synth.errors import UserError
from synth.images import codecs
from synth.sample.draft import Draft, key_of
from synth.sample.render import Sample
from synth.scene.capture import IMAGES, ImageName
from synth.storage import Storage

CLEAN = {name: f"clean_{name}" for name in IMAGES}
"""The members that hold the clean pair, by image."""
MEMBERS = tuple(sorted((*IMAGES, *CLEAN.values(), "json", "target")))
"""In the order in the tar: by name, as webdataset writes."""


class Hashed:
    """A file that is written from its start to its end, and its hash."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest, self._size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._size

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@dataclass
class ShardWriter:
    """Writes samples into a tar and gathers the rows of its sidecar. A context: leaving it ends the tar."""

    file: Hashed
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.tar = tarfile.open(fileobj=cast(IO[bytes], self.file), mode="w", format=tarfile.USTAR_FORMAT)
        return self

    def __exit__(self, *_: object) -> None:
        self.tar.close()

    def add(self, draft: Draft, sample: Sample) -> None:
        """Append the members of a sample, and its row."""
        record = sample.record
        written = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        members: dict[str, tuple[str, bytes]] = {
            **{name: _stored(sample, name) for name in sample.inputs},
            **{CLEAN[name]: (".png", codecs.encode_png(image)) for name, image in (sample.clean or {}).items()},
            "json": ("", written.encode()),
            "target": (".png", codecs.encode_png(sample.target)),
        }
        row = _row(draft, "ok", None) | {
            "kind": record["kind"],
            "instruction": record["instruction"],
            "phrase_split": record["phrase_split"],
            "height": record["size"][0],
            "width": record["size"][1],
            "effects": list(dict.fromkeys(item["effect"] for item in record["degradations"])),
            "record": written,
        }
        for name in (name for name in MEMBERS if name in members):
            suffix, data = members[name]
            file_name = f"{draft.key}.{name}{suffix}"
            row |= {
                f"{name}_name": file_name,
                f"{name}_offset": self._append(file_name, data),
                f"{name}_size": len(data),
                f"{name}_sha256": hashlib.sha256(data).hexdigest(),
            }
        self.rows.append(row)

    def copy(self, row: dict[str, Any], tar: BinaryIO) -> None:
        """Append a sample as it stands in another tar, by its row there. Raises UserError where its bytes changed."""
        moved = dict(row)
        for name in (name for name in MEMBERS if row[f"{name}_offset"] is not None):
            tar.seek(row[f"{name}_offset"])
            data = tar.read(row[f"{name}_size"])
            if hashlib.sha256(data).hexdigest() != row[f"{name}_sha256"]:
                raise UserError(
                    f"{row[f'{name}_name']}: not the bytes that were written; mend it: synth verify --repair"
                )
            moved[f"{name}_offset"] = self._append(row[f"{name}_name"], data)
        self.rows.append(moved)

    def fail(self, draft: Draft, reason: str) -> None:
        """A row for a sample that could not be made."""
        self.rows.append(_row(draft, "failed", reason))

    def _append(self, name: str, data: bytes) -> int:
        """One member; returns the offset of its bytes, which follow a header of one block."""
        header_at = self.file.tell()
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(data), 0, 0o444
        self.tar.addfile(info, io.BytesIO(data))
        return header_at + tarfile.BLOCKSIZE


def _stored(sample: Sample, name: ImageName) -> tuple[str, bytes]:
    """An input's suffix and bytes."""
    made, encoding = sample.inputs[name], sample.encodings[name]
    if encoding == "png":
        return ".png", codecs.encode_png(made.image)
    if encoding == "jpeg" and made.file is not None:
        return ".jpg", made.file
    return ".jpg", codecs.encode_jpeg(made.image, codecs.FINE)


def _row(draft: Draft, status: str, reason: str | None) -> dict[str, Any]:
    return {
        "key": draft.key,
        "index": draft.index,
        "group": key_of(draft.group),
        "status": status,
        "reason": reason,
        "task": draft.task,
        "dataset": draft.pair.dataset,
        "scene": draft.pair.scene,
        "licence": draft.pair.licence,
        "effects": [],
    }


def sidecar(rows: list[dict[str, Any]], metadata: dict[str, str]) -> bytes:
    """The parquet of a shard's rows, in key order, with the dataset's metadata in its schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, whole, size = pa.string(), pa.int64(), pa.int32()
    fields = [pa.field("key", text), pa.field("index", whole)]
    fields += [
        pa.field(name, text) for name in ("group", "status", "reason", "task", "kind", "instruction", "phrase_split")
    ]
    fields += [pa.field(name, text) for name in ("dataset", "scene", "licence")]
    fields += [pa.field("height", size), pa.field("width", size), pa.field("effects", pa.list_(text))]
    fields += [pa.field("record", text)]
    for name in MEMBERS:
        fields += [pa.field(f"{name}_name", text), pa.field(f"{name}_offset", whole)]
        fields += [pa.field(f"{name}_size", whole), pa.field(f"{name}_sha256", text)]
    schema = pa.schema(fields, metadata={f"mmaif.{key}": value for key, value in metadata.items()})
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    data: bytes = buffer.getvalue().to_pybytes()
    return data


@dataclass(frozen=True)
class SidecarFacts:
    """What a sidecar's footer says: the metadata of its dataset, without their prefix, and of its rows.

    failed: whether a row of it has failed.
    """

    metadata: dict[str, str]
    rows: int
    failed: bool


def read_facts(storage: Storage, name: str, size: int | None = None) -> SidecarFacts | None:
    """The footer of a sidecar of `size` bytes, where they are known; None where there is none that can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with storage.open(name, size) as file:
            footer = pq.read_metadata(file)
        raw = footer.schema.to_arrow_schema().metadata or {}
        facts = {k.decode().removeprefix("mmaif."): v.decode() for k, v in raw.items() if k.startswith(b"mmaif.")}
        return SidecarFacts(facts, footer.num_rows, _lowest_status(footer) != "ok")
    except FileNotFoundError:
        return None
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if _of_the_disk(error):
            raise
        return None


def _of_the_disk(error: Exception) -> bool:
    """Whether a disk or a server failed, rather than pyarrow, which calls bytes that make no sense an OSError too."""
    return isinstance(error, OSError) and (error.errno is not None or isinstance(error, ConnectionError))


def _lowest_status(footer: Any) -> str | None:
    """The first word in the column `status`, in the order of the alphabet, from its statistics: failed before ok."""
    column = footer.schema.names.index("status") if "status" in footer.schema.names else None
    if column is None or footer.num_row_groups == 0:
        return None
    statistics = [footer.row_group(i).column(column).statistics for i in range(footer.num_row_groups)]
    return min((str(s.min) for s in statistics if s is not None and s.has_min_max), default=None)


def read_rows(storage: Storage, name: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a sidecar. Raises UserError where it is missing or damaged."""
    try:
        with storage.open(name) as file:
            return rows_in(file, storage.shown(name), columns)
    except FileNotFoundError:
        raise UserError(f"{storage.shown(name)}: no such sidecar; generate it again") from None


def rows_in(file: BinaryIO, shown: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """The rows of an open sidecar, which messages call `shown`. Raises UserError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(file, columns=columns, use_threads=False).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError, KeyError, OSError) as error:
        if _of_the_disk(error):
            raise
        raise UserError(f"{shown}: a damaged sidecar; remove it and generate again") from None
    return rows
