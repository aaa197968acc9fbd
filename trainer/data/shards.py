"""The reader of shards of kind `images`, as shards/FORMAT.md has them.

Samples are numbered by their position in training: 0, 1, 2, … without end. What stands at a position is a pure
function of (seed, position), so the state of a run is one integer, the samples seen.
"""

from __future__ import annotations

import hashlib
import http.client
import lzma
import zlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from trainer.data.images import Image, decode_member
from trainer.data.urls import Ranges, at_once, check_format, exists, expand, identity, open_stream, read, sidecar_of
from trainer.errors import UserError
from trainer.files import one_line, parse_json

IMAGES = ("a", "b", "target")
MEMBERS = (*IMAGES, "json")
LARGEST = {"offset": 2**50, "size": 2**31, "height": 2**20, "width": 2**20}
"""Bytes and pixels beyond which a sidecar is not believed."""


@dataclass(frozen=True)
class Sample:
    """One degraded pair, what its instruction asks for, and what was drawn to make it."""

    key: str
    a: Image
    """(H, W, 3) uint8 RGB, as are b and target."""
    b: Image
    target: Image
    instruction: str
    record: dict[str, Any]


class Shards(Protocol):
    """What training needs of a set of shards."""

    fingerprint: str
    """Names what the order of samples depends on: a run is resumed on the same shards alone."""

    def at(self, position: int) -> int:
        """The number of the sample at a position of the run; equal numbers are equal samples."""

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        """The samples with these numbers, decoded. Raises UserError."""

    def close(self) -> None: ...


def open_shards(urls: list[str], seed: int, workers: int = 0) -> IndexedShards | StreamedShards:
    """Shards with sidecars are read at random, tars without are streamed. Raises UserError.

    A set in which some have sidecars and some have none is refused: those without are unfinished.
    """
    tars = expand(urls)
    for url, there in zip(tars, at_once(exists, tars), strict=True):
        if not there:
            raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces")
    sidecars = at_once(exists, [sidecar_of(url) for url in tars])
    bare = [url for url, there in zip(tars, sidecars, strict=True) if not there]
    if bare and len(bare) < len(tars):
        raise UserError(f"{bare[0]}: no sidecar (.parquet) beside it, so it is unfinished; leave it out or finish it")
    return StreamedShards(tars, seed) if bare else IndexedShards(tars, seed, workers)


class IndexedShards:
    """Shards with sidecars: any sample by its number, rows that failed left out.

    The order of cycle c is the Philox permutation keyed by (seed, c): every sample once in a cycle.
    """

    def __init__(self, tars: list[str], seed: int, workers: int = 0) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        tables = [_read_sidecar(url) for url in tars]
        self.tars = tars
        self.seed = seed
        self.failed = sum(table.num_rows for table in tables)
        tables = [table.filter(pc.not_equal(table["status"], "failed")) for table in tables]
        self.failed -= sum(table.num_rows for table in tables)
        for url, table in zip(tars, tables, strict=True):
            _check_rows(table, sidecar_of(url))
        self._shard_of = np.repeat(np.arange(len(tars)), [table.num_rows for table in tables])
        self._rows = pa.concat_tables(tables, promote_options="default").combine_chunks()
        if not len(self):
            raise UserError(f"--shards {tars[0]}: no sample in {len(tars)} shards ({self.failed} rows failed)")
        self.fingerprint = self._fingerprint()
        self._ranges = Ranges()
        self._pool = ThreadPoolExecutor(workers, "reader") if workers else None

    def __len__(self) -> int:
        return self._rows.num_rows

    @property
    def sizes(self) -> set[tuple[int, int]]:
        """Heights and widths that occur."""
        return set(zip(self._rows["height"].to_pylist(), self._rows["width"].to_pylist(), strict=True))

    @property
    def bytes(self) -> int:
        """Of the members that training reads."""
        return sum(int(np.sum(self._rows[f"{member}_size"].to_numpy())) for member in MEMBERS)

    def at(self, position: int) -> int:
        cycle, index = divmod(position, len(self))
        return int(_permutation(self.seed, cycle, len(self))[index])

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        return list(self._pool.map(self._load, numbers) if self._pool else map(self._load, numbers))

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _load(self, number: int) -> Sample:
        row = self._rows.slice(number, 1).to_pylist()[0]
        url = self.tars[self._shard_of[number]]
        start = min(row[f"{member}_offset"] for member in MEMBERS)
        end = max(row[f"{member}_offset"] + row[f"{member}_size"] for member in MEMBERS)
        try:
            span = self._ranges.read(url, start, end - start)
        except FileNotFoundError:
            raise UserError(f"{url}: gone since the run began; put it back and run the same command again") from None
        except OSError as error:
            raise UserError(f"{url}: cannot be read ({error.strerror or error})") from None
        members = {}
        for member in MEMBERS:
            offset = row[f"{member}_offset"] - start
            data = span[offset : offset + row[f"{member}_size"]]
            if hashlib.sha256(data).hexdigest() != row[f"{member}_sha256"]:
                raise UserError(
                    f"{url}: {row[f'{member}_name']}: not the bytes that its sidecar lists; copy the shard again"
                )
            members[row[f"{member}_name"].split(".", 1)[-1]] = data
        return _decode(row["key"], members, url)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for column in ("key", *(f"{member}_sha256" for member in MEMBERS)):
            for value in self._rows[column].to_pylist():
                digest.update(value.encode() + b"\0")
        return digest.hexdigest()


class StreamedShards:
    """Tars without sidecars, read from front to back by webdataset.

    The order of shards in cycle c is the Philox permutation keyed by (seed, c); inside a tar samples keep their
    order. A sample's number is its position. To resume is to pass over what was seen.
    """

    def __init__(self, tars: list[str], seed: int) -> None:
        self.tars = tars
        self.seed = seed
        # names, sizes and first bytes: the same tars on disk and over http, and seldom the same for other tars
        named = [f"{url.rsplit('/', 1)[-1]} {what}" for url, what in zip(tars, at_once(identity, tars), strict=True)]
        self.fingerprint = hashlib.sha256("\n".join(named).encode()).hexdigest()
        self._next = 0
        self._stream = self._raw()

    def at(self, position: int) -> int:
        return position

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        samples = []
        for number in numbers:
            if number < self._next:
                self._next, self._stream = 0, self._raw()
            while True:
                url, raw = next(self._stream)
                self._next += 1
                if self._next > number:
                    break
            samples.append(_decode(raw["__key__"], raw, url))
        return samples

    def close(self) -> None:
        self._stream.close()

    def _raw(self) -> Generator[tuple[str, dict[str, Any]], None, None]:
        cycle = 0
        while True:
            empty = True
            for shard in _permutation(self.seed, cycle, len(self.tars)):
                for raw in _samples_of_tar(self.tars[shard]):
                    empty = False
                    yield self.tars[shard], raw
            if empty:
                raise UserError(
                    f"--shards {self.tars[0]}: no complete sample (a, b, json, target) in {len(self.tars)} tars"
                )
            cycle += 1


@lru_cache(maxsize=4)
def _permutation(seed: int, cycle: int, n: int) -> np.ndarray:
    key = np.array([seed, cycle], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def _read_sidecar(tar: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    url = sidecar_of(tar)
    types = {"key": pa.string(), "status": pa.string(), "height": pa.int64(), "width": pa.int64()}
    for member in MEMBERS:
        types |= {f"{member}_{part}": pa.string() for part in ("name", "sha256")}
        types |= {f"{member}_{part}": pa.int64() for part in ("offset", "size")}
    columns = list(types)
    try:
        data = read(url)
    except FileNotFoundError:
        raise UserError(f"{url}: gone since it was found; put it back") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        metadata = file.schema_arrow.metadata or {}
        version, kind = (metadata.get(name, b"").decode(errors="replace") for name in (b"mmaif.version", b"mmaif.kind"))
        check_format(version, kind, url)
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise UserError(f"{url}: no column '{missing[0]}'; not a sidecar as shards/FORMAT.md has it")
        # one thread, no Python file object: Arrow's pool may abort the interpreter at its exit (apache/arrow#50482)
        table = file.read(columns=columns, use_threads=False).replace_schema_metadata()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{url}: cannot be read as parquet ({one_line(error)}); copy it again") from None
    for name in columns:
        try:
            table = table.set_column(table.column_names.index(name), name, table[name].cast(types[name]))
        except pa.ArrowException:
            raise UserError(
                f"{url}: column '{name}' is of {table[name].type}, not {types[name]}; make the shard again"
            ) from None
    return table.select(columns)


def _check_rows(table: Any, url: str) -> None:
    """Refuses rows of samples that miss a value, or whose bytes no tar can hold. Raises UserError."""
    for name in table.column_names:
        low, most = (0, LARGEST[name.rsplit("_", 1)[-1]]) if name.rsplit("_", 1)[-1] in LARGEST else (None, None)
        values = table[name].to_pylist() if low is not None or table[name].null_count else []
        for row, value in enumerate(values):
            if value is None or (low is not None and not low <= value <= most):
                raise UserError(
                    f"{url}: {table['key'][row].as_py()}: {name} is {value}, which no good sample has; "
                    "make the shard again"
                )


def _samples_of_tar(url: str) -> Iterator[dict[str, Any]]:
    """The raw members of each complete sample: {"__key__": …, "a.png": bytes, …}."""
    import tarfile

    from webdataset.tariterators import group_by_keys, tar_file_expander

    try:
        with open_stream(url) as stream:
            for raw in group_by_keys(tar_file_expander([{"url": url, "stream": stream}])):
                if all(_name(raw, member) for member in MEMBERS):
                    yield raw
    except FileNotFoundError:
        raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces") from None
    except (
        *(tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),  # of the tar, or of what it is packed with
        *(http.client.HTTPException, OSError, ValueError),  # of the line or the disk; a member that comes twice
    ) as error:
        # webdataset adds the stream and its address to the arguments of an error
        reason = getattr(error, "strerror", None) or (error.args[0] if error.args else "") or type(error).__name__
        raise UserError(f"{url}: not a whole tar ({one_line(reason)}); copy it again or leave it out") from None


def _name(members: dict[str, Any], member: str) -> str | None:
    if member == "json":
        return member if member in members else None
    return next((name for name in members if name.startswith(f"{member}.")), None)


def _decode(key: str, members: dict[str, bytes], url: str) -> Sample:
    """A sample from its members by suffix: {"a.png": …, "b.jpg": …, "target.png": …, "json": …}."""
    names = {member: _name(members, member) for member in MEMBERS}
    missing = [member for member, name in names.items() if name is None]
    if missing:
        raise UserError(f"{url}: {key}: no member '{missing[0]}', there are {', '.join(members)}; make the shard again")
    where, way_out = f"{url}: {key}.json", "leave the shard out or make it again"
    record = parse_json(members["json"], where, way_out)
    check_format(record.get("version"), "images", where)
    instruction = record.get("instruction")
    if not isinstance(instruction, str):
        raise UserError(f"{where}: instruction: a sentence is needed, got {one_line(repr(instruction))}; {way_out}")
    images = {}
    for member in IMAGES:
        name = str(names[member])
        try:
            images[member] = decode_member(members[name], name)
        except ValueError as error:
            raise UserError(
                f"{url}: {key}.{name}: not an image ({one_line(error)}); leave the shard out or make it again"
            ) from None
    if len({image.shape for image in images.values()}) > 1:
        sizes = ", ".join(f"{name} {image.shape[1]}x{image.shape[0]}" for name, image in images.items())
        raise UserError(f"{url}: {key}: images of different sizes ({sizes}); those of one sample must agree")
    return Sample(key=key, **images, instruction=instruction, record=record)
