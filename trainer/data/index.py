"""The rows of sidecars in memory: number → bytes. About 110 bytes a sample, and no Python loop over rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from trainer.data.choice import ALL, COLUMNS, Only
from trainer.data.format import CLEAN, MEMBERS, PICTURES, check_format, sidecar_of
from trainer.data.places import at_once, is_remote, read
from trainer.errors import UserError
from trainer.files import one_line

LARGEST = {"offset": 2**50, "size": 2**31, "height": 2**20, "width": 2**20}
"""Bytes and pixels beyond which a sidecar is not believed."""
PARTS = ("offset", "size", "hash", "name")
MEMBER = ("name", "offset", "size", "sha256")
"""Columns of a sidecar for each member."""
HASHED = 8
"""Bytes kept of each member's sha256: enough to tell damage, a fifth of the memory."""


class Member(NamedTuple):
    """One file of a sample in its tar."""

    name: str
    """Without the key: "a.png", "json"."""
    offset: int
    size: int
    hash: bytes
    """The first bytes of its sha256."""

    def is_whole(self, data: bytes | memoryview) -> bool:
        """Whether these are its bytes."""
        return hashlib.sha256(data).digest()[:HASHED] == self.hash


class Entry(NamedTuple):
    """Where a sample lies."""

    tar: str
    key: str
    members: list[Member]


class Index:
    """The samples of shards with sidecars by their number, 0 … len - 1, in the order of the rows.

    members: those to be found. only: which rows are taken. Rows that failed are left out and counted in `failed`.
    kind: of the shards; those of another are refused. Raises UserError.
    """

    def __init__(
        self, tars: list[str], members: Sequence[str] = MEMBERS, only: Only = ALL, kind: str = PICTURES
    ) -> None:
        self.tars, self.members, self._only, self._kind = tars, tuple(members), only, kind
        self._shards = at_once(partial(_read_sidecar, members=self.members, only=only, kind=kind), tars)
        self._ends = np.cumsum([len(shard.rows) for shard in self._shards])
        self.failed = sum(shard.failed for shard in self._shards)
        self.sizes = set[tuple[int, int]]().union(*(shard.sizes for shard in self._shards))
        """Heights and widths that occur."""
        self.bytes = sum(shard.content for shard in self._shards)
        """Of the members."""
        self.fingerprint = hashlib.sha256(b"".join(shard.digest for shard in self._shards)).hexdigest()
        """Names the samples and their order: keys and bytes of each shard, in the order of the shards."""
        if not len(self):
            wanted = "".join(f", {name} {', '.join(values)}" for name, values in only if name in COLUMNS and values)
            raise UserError(f"--shards {tars[0]}: no sample in {len(tars)} shards ({self.failed} rows failed{wanted})")

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def counts(self) -> list[int]:
        """Samples of each shard."""
        return [len(shard.rows) for shard in self._shards]

    @property
    def digests(self) -> list[bytes]:
        """Of each shard what names its samples: their keys and bytes."""
        return [shard.digest for shard in self._shards]

    def groups(self) -> np.ndarray:
        """Of each sample a number that those of its group share, (N,) int64: of entries of latents those that show one
        window. A sample of a shard that knows no groups is alone. Raises UserError.
        """
        found = at_once(partial(_read_groups, only=self._only, kind=self._kind), self.tars)
        numbers = [group + start for group, start in zip(found, [0, *self._ends[:-1]], strict=True)]
        if [len(group) for group in found] != self.counts:
            raise UserError(f"{sidecar_of(self.tars[0])}: the sidecars changed while they were read; run it again")
        return np.concatenate(numbers)

    @property
    def version(self) -> int:
        """Of the shard format, the newest that any shard has."""
        return max(int(shard.told["mmaif.version"]) for shard in self._shards)

    def told(self, name: str) -> str | None:
        """What the sidecars' metadata tell under a name. Raises UserError where they do not agree."""
        found = {shard.told.get(name) for shard in self._shards}
        if len(found) > 1:
            raise UserError(
                f"{sidecar_of(self.tars[0])}: {name} is not that of the other shards; name those of one kind"
            )
        return found.pop()

    def __getitem__(self, number: int) -> Entry:
        """Where sample `number` lies. Raises IndexError."""
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        which = int(np.searchsorted(self._ends, number, "right"))
        shard = self._shards[which]
        at = int(number) - int(self._ends[which]) + len(shard.rows)
        row = shard.rows[at]
        names, offsets, sizes = (row[part].tolist() for part in ("name", "offset", "size"))
        hashes = [word.tobytes() for word in row["hash"]]
        members = map(Member, [shard.names[name] for name in names], offsets, sizes, hashes)
        return Entry(self.tars[which], shard.keys[at].as_py(), list(members))


class _Shard(NamedTuple):
    """What is kept of a sidecar."""

    rows: np.ndarray
    """(N,) of `_row_type`: for each member its offset, size, hash, and the number of its name in `names`."""
    keys: Any
    """(N,) pyarrow strings."""
    names: list[str]
    failed: int
    sizes: set[tuple[int, int]]
    digest: bytes
    content: int
    """Bytes of all members."""
    told: dict[str, str]
    """The sidecar's metadata."""


def _row_type(members: int) -> np.dtype:
    return np.dtype([(part, kind, members) for part, kind in zip(PARTS, ("<i8", "<u4", "<u8", "<u4"), strict=True)])


def schema_of(tar: str) -> tuple[list[str], dict[str, str]]:
    """The columns of a tar's sidecar, and its metadata. Raises UserError."""
    import pyarrow.parquet as pq

    with _opened(sidecar_of(tar)) as source:
        schema = pq.ParquetFile(source).schema_arrow
        return schema.names, _told(schema)


def good_rows(tar: str) -> Any:
    """The rows of a shard of pictures that did not fail, in their order, with all columns but those of its members: a
    pyarrow table. Raises UserError.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    url = sidecar_of(tar)
    with _opened(url) as source:
        file = pq.ParquetFile(source)
        of_members = {f"{member}_{part}" for member in (*MEMBERS, *CLEAN) for part in MEMBER}
        names = [name for name in file.schema_arrow.names if name not in of_members]
        if "status" not in names:
            raise UserError(f"{url}: no column 'status'; {_way_out('status')}")
        table = file.read(columns=names, use_threads=False).replace_schema_metadata()
    return table.filter(pc.not_equal(table["status"], "failed"))


def column_of(tar: str, name: str) -> list[Any]:
    """A column of a tar's sidecar. Raises UserError."""
    import pyarrow.parquet as pq

    with _opened(sidecar_of(tar)) as source:
        return pq.ParquetFile(source).read(columns=[name], use_threads=False)[name].to_pylist()


def _read_sidecar(tar: str, members: Sequence[str], only: Only, kind: str) -> _Shard:
    import pyarrow.compute as pc

    url = sidecar_of(tar)
    table, metadata = _read_table(url, members, only.columns, kind)
    _check_length(tar, metadata.get("mmaif.tar_bytes"))
    total, good = table.num_rows, pc.not_equal(table["status"], "failed")
    if not pc.all(good, skip_nulls=False).as_py():
        table = table.filter(good)
    if only.columns:
        taken = only.of(table)
        total, table = total - int((~taken).sum()), table.filter(taken).drop_columns(only.columns)
    _check(table, url)
    rows = np.empty(table.num_rows, _row_type(len(members)))
    keys, names = table["key"].combine_chunks(), list[str]()
    before = _length(keys, url) + 1  # a member is called <key>.<name>
    for column, member in enumerate(members):
        rows["offset"][:, column] = table[f"{member}_offset"].to_numpy()
        rows["size"][:, column] = table[f"{member}_size"].to_numpy()
        rows["hash"][:, column] = _hashes(table, f"{member}_sha256", url)
        found = pc.utf8_slice_codeunits(table[f"{member}_name"], before).combine_chunks().dictionary_encode()
        rows["name"][:, column] = found.indices.to_numpy() + len(names)
        names += found.dictionary.to_pylist()
    digest = hashlib.sha256(rows["hash"].tobytes())
    digest.update(_text(keys))
    shapes = np.unique(table["height"].to_numpy() << 32 | table["width"].to_numpy())
    return _Shard(
        rows=rows,
        keys=keys,
        names=names,
        failed=total - len(rows),
        sizes={divmod(shape, 1 << 32) for shape in shapes.tolist()},
        digest=digest.digest(),
        content=int(rows["size"].sum(dtype=np.int64)),
        told=metadata,
    )


def _read_groups(tar: str, only: Only, kind: str) -> np.ndarray:
    """Of each sample of a shard that is taken the number, below their count, of the first that is of its group."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with _opened(sidecar_of(tar)) as source:
        file = pq.ParquetFile(source)
        grouped = "group" in file.schema_arrow.names
        columns = ["key", "status", *only.columns, *(["group"] if grouped else [])]
        table = file.read(columns=columns, use_threads=False)
    table = table.filter(pc.not_equal(table["status"], "failed"))
    table = table.filter(only.of(table)) if only.columns else table
    if not grouped:
        return np.arange(table.num_rows)
    names = table["group"].fill_null(table["key"]).to_pylist()
    if kind != PICTURES:
        names = [name + key[len(name) :] for name, key in zip(names, table["key"].to_pylist(), strict=True)]
    firsts: dict[str, int] = {}
    return np.array([firsts.setdefault(name, row) for row, name in enumerate(names)], dtype=np.int64)


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    """A sidecar as a source for pyarrow. What goes wrong with it inside raises UserError."""
    import pyarrow as pa

    try:
        # one thread, no Python file object: Arrow's pool may abort the interpreter at its exit (apache/arrow#50482)
        with pa.BufferReader(read(url)) if is_remote(url) else pa.OSFile(url) as source:
            yield source
    except FileNotFoundError:
        raise UserError(f"{url}: gone since it was found; put it back") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{url}: cannot be read as parquet ({one_line(error)}); copy it again") from None


def _told(schema: Any) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in (schema.metadata or {}).items()}


def _read_table(url: str, members: Sequence[str], more: Sequence[str], kind: str) -> tuple[Any, dict[str, str]]:
    """The columns that are needed, in their types, and the metadata. more: columns by which rows are chosen."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"key": pa.string(), "status": pa.string(), "height": pa.int64(), "width": pa.int64()}
    types |= {name: pa.list_(pa.string()) if name == "effects" else pa.string() for name in more}
    for member in members:
        types |= {f"{member}_{part}": pa.string() for part in ("name", "sha256")}
        types |= {f"{member}_{part}": pa.int64() for part in ("offset", "size")}
    columns = list(types)
    with _opened(url) as source:
        file = pq.ParquetFile(source)
        schema = file.schema_arrow
        told = _told(schema)
        check_format(told.get("mmaif.version"), told.get("mmaif.kind"), url, (kind,))
        missing = [name for name in columns if name not in schema.names]
        if missing:
            raise UserError(f"{url}: no column '{missing[0]}'; {_way_out(missing[0])}")
        table = file.read(columns=columns, use_threads=False).replace_schema_metadata()
        table.validate(full=True)
    for name in columns:
        if table[name].type != types[name]:
            try:
                table = table.set_column(table.column_names.index(name), name, table[name].cast(types[name]))
            except pa.ArrowException:
                raise UserError(
                    f"{url}: column '{name}' is of {table[name].type}, not {types[name]}; make the shard again"
                ) from None
    return table.select(columns), told


def _check(table: Any, url: str) -> None:
    """Refuses rows of samples that miss a value, or whose bytes no tar can hold. Raises UserError."""
    import pyarrow.compute as pc

    for name in table.column_names:
        column, most = table[name], LARGEST.get(name.rpartition("_")[2])
        if column.null_count:
            _refuse(table, pc.index(pc.is_null(column), True).as_py(), name, url)
        if most is not None:
            values = column.to_numpy()
            if len(values) and not 0 <= values.min() <= values.max() <= most:
                _refuse(table, int(np.argmax((values < 0) | (values > most))), name, url)


def _check_length(tar: str, told: str | None) -> None:
    """Refuses a tar of this machine that is longer or shorter than its sidecar says: it was appended to, or cut, and
    the rows are not all of its samples, or more. Raises UserError.
    """
    if told is None or not told.isdecimal() or is_remote(tar):
        return
    try:
        there = Path(tar).stat().st_size
    except OSError:
        return  # told where its samples are read
    if str(there) != told:
        since = "cut" if there < int(told) else "appended to"
        raise UserError(
            f"{tar}: {there} bytes, its sidecar says {told}: it was {since} since; copy the shard again, "
            "or take its sidecar away, and it is streamed"
        )


def _length(keys: Any, url: str) -> int:
    """Of each key. Raises UserError."""
    import pyarrow.compute as pc

    least, most = pc.min_max(pc.binary_length(keys)).values()
    if least != most:
        raise UserError(f"{url}: keys of {least} to {most} characters; those of a shard have one length")
    return least.as_py() or 0


def _hashes(table: Any, name: str, url: str) -> np.ndarray:
    """The first bytes of the hashes in a column of hexadecimal digits, (N,) of 64 bits."""
    import pyarrow.compute as pc

    digits = pc.utf8_slice_codeunits(table[name], 0, 2 * HASHED).combine_chunks()
    try:
        return np.frombuffer(bytes.fromhex(str(_text(digits), "ascii")), "<u8").reshape(table.num_rows)
    except ValueError:
        _refuse(table, pc.index(pc.match_substring_regex(table[name], "^[0-9a-fA-F]{64}$"), False).as_py(), name, url)


def _text(strings: Any) -> memoryview:
    """The bytes of N pyarrow strings, one after the other."""
    if not len(strings):
        return memoryview(b"")
    _, begins, data = strings.buffers()
    ends = np.frombuffer(begins, np.int32)[strings.offset :]
    return memoryview(data)[ends[0] : ends[len(strings)]]


def _refuse(table: Any, row: int, name: str, url: str) -> NoReturn:
    value = table[name][row].as_py()
    raise UserError(
        f"{url}: {table['key'][row].as_py()}: {name} is {value}, which no good sample has; {_way_out(name)}"
    )


def _way_out(column: str) -> str:
    if column.startswith(CLEAN):
        return "the clean pair stands in shards whose recipe says `store: [clean]`"
    return "make the shard again"
