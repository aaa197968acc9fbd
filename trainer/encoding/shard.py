"""A shard of latents, from one of pictures: its tar, and its sidecar last."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainer.console import say
from trainer.data.batches import Needs
from trainer.data.format import LATENTS, sidecar_of
from trainer.data.index import good_rows
from trainer.data.samples import Broken, Sample, Samples
from trainer.encoding.visits import Visit, Visits, encode_visits
from trainer.files import atomically
from trainer.frozen.autoencoder import Autoencoder

READERS = 4
"""Threads that read and decode the samples of a step."""


class Entry(NamedTuple):
    """A row of the sidecar: that of its sample, but for what differs."""

    row: int
    """The sample's, in the source's sidecar."""
    values: dict[str, Any]


class ShardEncoder:
    """Encodes shards, each of them whole or not at all.

    told: metadata of all sidecars. together: samples whose pictures are encoded at once; 1: picture by picture, so that
    a latent does not depend on its neighbours.
    """

    def __init__(
        self, autoencoder: Autoencoder, visits: Visits, needs: Needs, together: int, told: Mapping[str, str]
    ) -> None:
        self.autoencoder, self.visits, self.needs = autoencoder, visits, needs
        self.together, self.told = together, dict(told)

    def encode(self, source: str, out: Path, done: Callable[[int], object] = lambda _: None) -> int:
        """The shard of pictures `source` as the tar `out` and its sidecar; returns how many samples are broken: they
        are left out, with a line each. done: called with the number of samples that came to be behind it.

        Raises UserError.
        """
        entries: list[Entry] = []
        samples = Samples([source])

        def write(path: Path) -> None:
            with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar, ThreadPoolExecutor(READERS) as readers:
                for start in range(0, len(samples), self.together):
                    numbers = range(start, min(start + self.together, len(samples)))
                    read = list(readers.map(partial(_or_broken, samples), numbers))
                    good = [(number, sample) for number, sample in zip(numbers, read, strict=True) if sample]
                    visits = encode_visits(
                        self.autoencoder, [sample for _, sample in good], self.visits, self.needs, self.together > 1
                    )
                    for place, visit in enumerate(visits):
                        entries.append(Entry(good[place // self.visits.count][0], _add(tar, visit)))
                    done(len(numbers))

        atomically(out, write)
        told = {"mmaif.kind": LATENTS, **self.told}
        told |= {f"mmaif.tar_{name}": str(value) for name, value in file_facts(out).items()}
        atomically(Path(sidecar_of(str(out))), lambda path: _write_sidecar(path, source, entries, told))
        return len(samples) - len(entries) // self.visits.count


def file_facts(path: Path) -> dict[str, Any]:
    """Length and sha256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _or_broken(samples: Samples, number: int) -> Sample | None:
    try:
        return samples[number]
    except Broken as error:
        say(f"left out: {error}")
        return None


def _add(tar: tarfile.TarFile, visit: Visit) -> dict[str, Any]:
    """Writes the members of an entry, and returns what its row says of them."""
    key = str(visit.record["key"])
    record = json.dumps(visit.record, ensure_ascii=False, separators=(",", ":"))
    row = {"key": key, "instruction": visit.record["instruction"], "record": record}
    row |= {"height": visit.size[0], "width": visit.size[1]}
    members = {"json": ("json", record.encode())}
    members |= {name: (f"{name}.npy", _npy(array)) for name, array in visit.arrays.items()}
    for member, (ending, data) in sorted(members.items(), key=lambda item: item[1][0]):  # as webdataset sorts them
        info = tarfile.TarInfo(f"{key}.{ending}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        row |= {f"{member}_name": info.name, f"{member}_offset": tar.offset - padded, f"{member}_size": len(data)}
        row[f"{member}_sha256"] = hashlib.sha256(data).hexdigest()
    return row


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return file.getvalue()


def _write_sidecar(path: Path, source: str, entries: list[Entry], told: Mapping[str, str]) -> None:
    """The rows of the source, each as often as it was visited, with what differs in place of what it had."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = good_rows(source).take([entry.row for entry in entries])
    for name in entries[0].values if entries else ():
        column = pa.array([entry.values[name] for entry in entries])
        place = table.schema.get_field_index(name)
        table = table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
    pq.write_table(table.replace_schema_metadata(dict(told)), path, compression="zstd")
