"""One shard: its tar against its sidecar, its rows against their records, its pictures against what is said of them."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as PillowImage

from synth.audit.faults import Fault
from synth.audit.records import Expected, Groups, record_faults, row_faults
from synth.audit.sentences import faults_of
from synth.audit.tars import Member, TarWalk
from synth.dataset.description import hashed
from synth.dataset.pictures import files_key, scene_key
from synth.dataset.shards import CLEAN, MEMBERS, read_facts, read_rows
from synth.errors import UnreadableError, UserError, with_kind
from synth.images import codecs
from synth.images.pixels import channels
from synth.sample.record import FORMAT_VERSION, MALFORMED, Record, read_record
from synth.scene.capture import IMAGES, ImageName
from synth.storage import Storage

MOST = 20  # faults of one shard that are told; a cut tar would have thousands
ALWAYS = (*IMAGES, "json", "target")
SUFFIXES: dict[str, tuple[str, ...]] = {"json": ("json",)} | dict.fromkeys(IMAGES, ("png", "jpg"))  # of others: png
FORMATS = {"png": "PNG", "jpg": "JPEG"}
PNG_BITS = 24  # where a PNG says how many bits a channel has
MODES = {"L": 1, "RGB": 3}
SHOWS: dict[str, ImageName] = {member: name for name in IMAGES for member in (name, CLEAN[name])}


@dataclass(frozen=True)
class Check:
    """What to look at in one shard.

    span: the indices that it should hold, where the recipe says. metadata: what its sidecar should say of the dataset.
    entry: its entry in dataset.json. decode: pictures of so many of the dataset's `total` samples are decoded, of all
    where it is None.
    """

    storage: Storage
    stem: str
    span: tuple[int, int] | None
    expected: Expected | None
    metadata: dict[str, Any]
    entry: Mapping[str, Any] | None
    decode: int | None
    total: int

    def decodes(self, index: int) -> bool:
        """Whether the pictures of a sample are to be decoded."""
        return among(index, self.decode, self.total)


def among(index: int, few: int | None, total: int) -> bool:
    """Whether a sample is among so `few` of all: evenly spread, from the first on. None: all are."""
    return few is None or total <= few or index * few // total != (index - 1) * few // total


@dataclass
class ShardReport:
    """What was found in a shard.

    first, stop: its indices; -1 where its sidecar cannot be read. shown: by scene, what is shown of it
    (synth/dataset/pictures.py), its name, and the key of its first sample.
    """

    stem: str
    faults: list[Fault] = field(default_factory=list)
    untold: int = 0
    first: int = -1
    stop: int = -1
    samples: int = 0
    failed: int = 0
    decoded: int = 0
    bytes: int = 0
    shown: dict[int, tuple[int, str, str]] = field(default_factory=dict)

    def add(self, what: str, key: str = "") -> None:
        """One more fault; beyond `MOST` they are only counted."""
        if len(self.faults) < MOST:
            self.faults.append(Fault(self.stem, key, what))
        else:
            self.untold += 1


@dataclass(frozen=True)
class _Wanted:
    """A member as its row has it. record: of its sample, where it could be read."""

    key: str
    member: str
    name: str
    size: int
    sha256: str
    record: Record | None
    decode: bool


def check_shard(check: Check) -> ShardReport:
    """All that can be said of one shard. Raises OSError where the disk or the server fails."""
    report = ShardReport(check.stem)
    side = f"{check.stem}.parquet"
    facts = read_facts(check.storage, side)
    try:
        rows = read_rows(check.storage, side) if facts is not None else []
    except UserError:
        facts = None
    if facts is None:
        report.add(f"{side} cannot be read")
        return report
    _check_metadata(check, facts.metadata, report)
    wanted = _check_rows(check, rows, report)
    walk = _check_tar(check, wanted, report)
    if facts.metadata.get("tar_sha256") != walk.sha256:
        report.add(f"{check.stem}.tar is not the bytes that its sidecar names (sha256)")
    if facts.metadata.get("tar_bytes") != str(walk.size):
        report.add(f"{check.stem}.tar has {walk.size} bytes, its sidecar says {facts.metadata.get('tar_bytes')}")
    side_bytes, side_sha256 = hashed(check.storage, side)
    report.bytes = walk.size + side_bytes
    if check.entry is not None:
        there = {
            "samples": report.samples,
            "failed": report.failed,
            "tar_bytes": walk.size,
            "tar_sha256": walk.sha256,
            "parquet_bytes": side_bytes,
            "parquet_sha256": side_sha256,
        }
        for key, value in there.items():
            if check.entry.get(key) != value:
                report.add(f"dataset.json says {key} {check.entry.get(key)}, there is {value}")
    return report


def _check_metadata(check: Check, metadata: Mapping[str, str], report: ShardReport) -> None:
    version, kind = metadata.get("version"), metadata.get("kind")
    if version not in [str(known) for known in range(1, FORMAT_VERSION + 1)]:
        report.add(f"sidecar of format version {version}; this tool knows 1 to {FORMAT_VERSION}")
        version = check.metadata.get("version")  # what it is not need not be said twice
    if kind != "images":
        report.add(f"sidecar of kind {kind!r}, not images")
    for key, wanted in check.metadata.items():
        found: Any = version if key == "version" else metadata.get(key)
        if isinstance(wanted, dict) and found is not None:
            try:
                found = json.loads(found)
            except ValueError:
                report.add(f"sidecar: mmaif.{key} is not JSON")
                continue
        if found != wanted:
            report.add(f"sidecar of another dataset: its mmaif.{key} is not what dataset.json says")


def _check_rows(check: Check, rows: list[dict[str, Any]], report: ShardReport) -> dict[int, _Wanted]:
    """Rows and records; returns the members that the tar should have, by offset."""
    wanted: dict[int, _Wanted] = {}
    groups = Groups()
    per_pair = None if check.expected is None else check.expected.per_pair
    stored = tuple(CLEAN.values()) if check.expected is not None and "clean" in check.expected.stored else ()
    try:
        indices = [int(row["index"]) for row in rows]
        start = check.span[0] if check.span is not None else indices[0] if indices else 0
    except MALFORMED:
        report.add(f"{check.stem}.parquet has rows without an index")
        return wanted
    if check.span is not None and len(rows) != check.span[1] - check.span[0]:
        report.add(f"{len(rows)} rows; the recipe plans {check.span[1] - check.span[0]}, from {check.span[0]:09d}")
    report.first, report.stop = start, start + len(rows)
    for index, row in enumerate(rows, start):
        key = f"{index:09d}"
        try:
            for what in row_faults(row, index, per_pair):
                report.add(what, key)
            if row["status"] == "failed":
                report.failed += 1
                continue
            report.samples += 1
            record = _record(check, row, key, groups, report)
            if record is not None:
                scene = scene_key(row["task"], row["scene"])
                shown = files_key(map(str, record["source"]["sha256"]))
                first = report.shown.setdefault(scene, (shown, str(row["scene"]), key))
                if first[0] != shown:
                    report.add(f"scene {first[1]} has other pictures than in sample {first[2]} (source.sha256)", key)
            decode = check.decodes(index)
            report.decoded += decode
            for member in MEMBERS:
                if row.get(f"{member}_offset") is None:
                    if member in ALWAYS or member in stored:
                        report.add(f"no {member} in its row", key)
                    continue
                name, offset, size = (row[f"{member}_{part}"] for part in ("name", "offset", "size"))
                if offset in wanted:
                    report.add(f"{member} at byte {offset}, where {wanted[offset].name} is", key)
                wanted[offset] = _Wanted(key, member, name, size, row[f"{member}_sha256"], record, decode)
        except MALFORMED as error:
            report.add(f"a row as no sidecar has it ({with_kind(error)})", key)
    return wanted


def _record(check: Check, row: Mapping[str, Any], key: str, groups: Groups, report: ShardReport) -> Record | None:
    """The record of a row, looked at; None where it is none."""
    if hashlib.sha256(row["record"].encode()).hexdigest() != row["json_sha256"]:
        report.add("the record in the row is not the one in the tar (sha256)", key)
    try:
        record = read_record(row["record"])
        found = record_faults(record, row, check.expected)
        found += faults_of(record, check.expected is None or check.expected.rules) + groups.faults_of(record, row)
    except (*MALFORMED, RecursionError) as error:
        report.add(f"a record as shards/FORMAT.md has none ({with_kind(error)})", key)
        return None
    for what in found:
        report.add(what, key)
    return record


def _check_tar(check: Check, wanted: dict[int, _Wanted], report: ShardReport) -> TarWalk:
    """Every member against the row that names its bytes. Returns the walk, which knows size and hash of the whole."""
    with check.storage.open(f"{check.stem}.tar", ahead=True) as file:
        walk = TarWalk(file)
        for found in walk:
            should = wanted.pop(found.offset, None)
            if should is None:
                report.add(f"{found.name!r} at byte {found.offset} of the tar is in no row")
            else:
                _check_member(found, should, report)
    for what in walk.faults:
        report.add(what)
    for offset, should in wanted.items():
        report.add(f"{should.name} is not at byte {offset} of the tar", should.key)
    return walk


def _check_member(found: Member, should: _Wanted, report: ShardReport) -> None:
    key, member = should.key, should.member
    suffixes = SUFFIXES.get(member, ("png",))
    if found.name != should.name:
        report.add(f"{member}: {found.name!r} stands in the tar, {should.name!r} in the row", key)
    if should.name not in [f"{key}.{member}.{suffix}" for suffix in suffixes] and should.name != f"{key}.{member}":
        report.add(f"{member}: the name {should.name!r} is not of this sample", key)
    if found.size != should.size:
        report.add(f"{member}: {found.size} bytes in the tar, {should.size} in the row", key)
    if found.sha256 != should.sha256:
        report.add(f"{member}: not the bytes that the row names (sha256)", key)
    if member == "json":
        return
    if found.data is None:
        report.add(f"{member}: {found.size} bytes, too large for a picture", key)
        return
    for what in _picture_faults(found.data, should):
        report.add(f"{member}: {what}", key)


def _picture_faults(data: bytes, should: _Wanted) -> list[str]:
    """A picture's kind, size and channels by its header; for those that are to be decoded also its pixels."""
    suffix = should.name.rpartition(".")[2]
    try:
        with PillowImage.open(io.BytesIO(data), formats=[FORMATS.get(suffix, "PNG")]) as image:
            size, mode = (image.height, image.width), image.mode
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError):
        return [f"no {suffix} picture"]
    if suffix == "png" and data[PNG_BITS] != 8:
        return [f"{data[PNG_BITS]} bits a channel; 8 are stored"]
    if mode not in MODES:
        return [f"pixels of kind {mode}; 8-bit grey or RGB is stored"]
    found = []
    if (record := should.record) is not None:
        try:
            if list(size) != list(record["size"]):
                found.append(f"{size[1]}×{size[0]}, the record says {record['size'][::-1]}")
            said = record["images"][SHOWS[should.member]] if should.member in SHOWS else None
            if said is not None and MODES[mode] != said["channels"]:
                found.append(f"{MODES[mode]} channels, the record says {said['channels']}")
            encoding = said["encoding"] if said and should.member in IMAGES and "encoding" in said else "png"
            if (encoding == "png") != (suffix == "png"):
                found.append(f"a {suffix} file, the record says {encoding}")
        except MALFORMED:
            pass  # told with the record
    if should.decode and not found:
        try:
            pixels = codecs.decode(data)
        except UnreadableError as error:
            return [str(error)]
        if pixels.shape[:2] != size or channels(pixels) != MODES[mode]:
            found.append("its pixels are not what its header says")
    return found
