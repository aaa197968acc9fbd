"""A dataset tampered with by someone who knows the format: whatever is not meant to be wrong is made to agree again."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synth.dataset.shards import MEMBERS, read_facts, read_rows, sidecar
from synth.storage import Folder


class Forger:
    """One shard in memory: rows, and the members of each by name. `save` writes it with offsets and hashes that fit."""

    def __init__(self, folder: Path, stem: str = "000000") -> None:
        self.folder, self.stem = folder, stem
        facts = read_facts(Folder(folder), f"{stem}.parquet")
        assert facts is not None
        self.metadata = facts.metadata
        self.rows = read_rows(Folder(folder), f"{stem}.parquet")
        data = (folder / f"{stem}.tar").read_bytes()
        self.members = [
            {m: data[row[f"{m}_offset"] :][: row[f"{m}_size"]] for m in MEMBERS if row[f"{m}_offset"] is not None}
            for row in self.rows
        ]

    def record(self, number: int, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change a record, in the tar and in its row."""
        record = json.loads(self.members[number]["json"])
        change(record)
        self.members[number]["json"] = json.dumps(record, ensure_ascii=False).encode()
        self.rows[number]["record"] = self.members[number]["json"].decode()

    def save(self) -> None:
        """Write tar and sidecar, and seal the dataset."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for row, members in zip(self.rows, self.members, strict=True):
                for name, data in members.items():
                    info = tarfile.TarInfo(row[f"{name}_name"])
                    info.size = len(data)
                    row[f"{name}_offset"] = buffer.tell() + tarfile.BLOCKSIZE
                    row[f"{name}_size"] = len(data)
                    row[f"{name}_sha256"] = hashlib.sha256(data).hexdigest()
                    tar.addfile(info, io.BytesIO(data))
        (self.folder / f"{self.stem}.tar").write_bytes(buffer.getvalue())
        seal(self.folder, self.stem, self.rows, self.metadata)


def seal(
    folder: Path,
    stem: str = "000000",
    rows: list[dict[str, Any]] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Make sidecar and dataset.json name the size and hash of a tar as it now is. rows, metadata: new ones, if any."""
    facts = read_facts(Folder(folder), f"{stem}.parquet")
    assert facts is not None
    rows = read_rows(Folder(folder), f"{stem}.parquet") if rows is None else rows
    data = (folder / f"{stem}.tar").read_bytes()
    named = {"tar_bytes": str(len(data)), "tar_sha256": hashlib.sha256(data).hexdigest()}
    side = sidecar(rows, {**(metadata or facts.metadata), **named})
    (folder / f"{stem}.parquet").write_bytes(side)
    described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (entry,) = (entry for entry in described["shards"] if entry["name"] == f"{stem}.tar")
    for status, key in (("ok", "samples"), ("failed", "failed")):
        entry[key] = sum(row["status"] == status for row in rows)
        described["counts"][key] = sum(entry[key] for entry in described["shards"])
    entry |= {"tar_bytes": len(data), "tar_sha256": named["tar_sha256"]}
    entry |= {"parquet_bytes": len(side), "parquet_sha256": hashlib.sha256(side).hexdigest()}
    describe(folder, lambda there: there.update(described))


def describe(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change dataset.json."""
    path = folder / "dataset.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    change(described)
    path.write_text(json.dumps(described), encoding="utf-8")
