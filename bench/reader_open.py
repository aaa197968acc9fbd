"""How long a reader takes to open ten million samples, and the memory that the process then holds.

    python -m bench.reader_open

One sidecar with the columns of shards/FORMAT.md stands there under as many names as make up the rows: the disk holds
one, and is not what is measured.
"""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.command import parsed, parser
from trainer.data.order import number_at
from trainer.data.samples import Samples

SAMPLES, PER_SHARD = 10_000_000, 1024
RECORD_BYTES = 1500
QUICK = {"samples": 128, "PER_SHARD": 32}
MEMBERS = {"a": "png", "b": "jpg", "clean_a": "png", "clean_b": "png", "json": "json", "target": "png"}


def write_sidecar(path: Path) -> None:
    """PER_SHARD rows, whose bytes are made up."""
    rows: list[dict[str, Any]] = []
    end = 0
    for index in range(PER_SHARD):
        key = f"{index:09d}"
        row = {"key": key, "index": index, "group": key, "status": "ok", "task": "vif", "height": 256, "width": 256}
        for member, suffix in MEMBERS.items():
            row |= {f"{member}_name": f"{key}.{member}.{suffix}", f"{member}_offset": end + 512}
            row |= {f"{member}_size": 50_000, f"{member}_sha256": hashlib.sha256(f"{key}{member}".encode()).hexdigest()}
            end += 512 + 50_176
        rows.append(row | {"record": os.urandom(RECORD_BYTES // 2).hex()})
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"mmaif.version": "1", "mmaif.kind": "images"})
    pq.write_table(table, path, compression="zstd")


def resident_gb() -> float:
    """Of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e6


def main() -> None:
    """Open, look once, and tell."""
    wanted = parser(__doc__)
    wanted.add_argument("--samples", type=int, default=SAMPLES)
    shards = parsed(wanted, globals(), QUICK).samples // PER_SHARD
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "000000.parquet"
        write_sidecar(first)
        for shard in range(1, shards):
            first.with_name(f"{shard:06d}.parquet").hardlink_to(first)
        begun, before = time.perf_counter(), resident_gb()
        samples = Samples([f"{folder}/{shard:06d}.tar" for shard in range(shards)])
        opened = time.perf_counter() - begun
        after = resident_gb()
    begun = time.perf_counter()
    samples.index[number_at(0, len(samples) // 2, len(samples))]
    looked = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(samples):,} samples in {shards:,} shards: opened in {opened:.1f} s, the first order in {looked:.1f} s")
    print(f"memory: {before:.2f} GB before, {after:.2f} GB open, {peak:.2f} GB at most")


if __name__ == "__main__":
    main()
