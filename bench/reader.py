"""How fast shards are read on one core, beside webdataset's own pipeline and beside what no reader can be faster than.

    python -m bench.reader [--size 256] [--samples 512]

The same samples as PNG, as JPEG of quality 95, and as latents with their pixels. All contenders take turns in one
process, sample after sample in our reader's own order (webdataset reads from front to back). `floor`: for pictures, to
decode their bytes, which lie in memory; for latents, to copy their bytes from the files by `pread`. Writes
docs/training.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import webdataset
import yaml

from bench.command import parsed, parser
from bench.document import put, table
from trainer.config import load_config
from trainer.data.images import decode_member
from trainer.data.shards import IndexedShards, Reading, open_either
from trainer.encoding.run import encode
from trainer.encoding.visits import Visits

ROUNDS = 9
RECIPE = Path(__file__).parents[1] / "recipes" / "all_in_one.yaml"
QUICK = {"size": 64, "samples": 4, "ROUNDS": 1}


def build(folder: Path, size: int, samples: int) -> dict[str, Path]:
    """The same samples three times, on built-in photographs."""
    made = {}
    for encoding in ("png", "jpeg95"):
        recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
        recipe |= {"samples": samples, "encoding": encoding, "crop": {"size": size, "scale": [0.3, 1.0]}}
        path, made[encoding] = folder / f"{encoding}.yaml", folder / encoding
        path.write_text(yaml.safe_dump(recipe))
        synth = [sys.executable, "-m", "synth", "generate", "--recipe", path, "--out", made[encoding]]
        subprocess.run(synth, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    made["latents"] = folder / "latents"
    encode(load_config("release"), [str(made["png"])], made["latents"], Visits())
    return made


def ours(folder: Path) -> Callable[[], int]:
    shards = opened(folder)
    numbers = [shards.at(position) for position in range(len(shards))]

    def read() -> int:
        for number in numbers:
            shards.load([number])
        return len(numbers)

    return read


def webdatasets(folder: Path) -> Callable[[], int]:
    tars = sorted(str(path) for path in folder.glob("*.tar"))
    decode = () if folder.name == "latents" else ("rgb8",)

    def read() -> int:
        return sum(1 for _ in webdataset.WebDataset(tars, shardshuffle=False, empty_check=False).decode(*decode))

    return read


def floor(folder: Path) -> Callable[[], int]:
    """Pictures decoded from memory; bytes of latents copied from their files."""
    shards = opened(folder)
    entries = [shards.samples.index[shards.at(position)] for position in range(len(shards))]
    if folder.name == "latents":
        files = {entry.tar: os.open(entry.tar, os.O_RDONLY) for entry in entries}
        spans = []
        for entry in entries:
            start = min(member.offset for member in entry.members)
            end = max(member.offset + member.size for member in entry.members)
            spans.append((files[entry.tar], bytearray(end - start), start))

        def copy() -> int:
            for file, data, start in spans:
                os.preadv(file, [data], start)
            return len(spans)

        return copy
    pictures = [[(name, data) for name, data in _members(entry) if not name.endswith("json")] for entry in entries]

    def decode() -> int:
        for members in pictures:
            for name, data in members:
                decode_member(data, name)
        return len(pictures)

    return decode


def _members(entry: Any) -> Iterator[tuple[str, bytes]]:
    with Path(entry.tar).open("rb") as file:
        for member in entry.members:
            file.seek(member.offset)
            yield member.name, file.read(member.size)


def opened(folder: Path) -> IndexedShards[Any]:
    shards = open_either([str(folder)], 0, Reading())
    assert isinstance(shards, IndexedShards)
    return shards


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--size", type=int, default=256)
    wanted.add_argument("--samples", type=int, default=512)
    given = parsed(wanted, globals(), QUICK)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder), given.size, given.samples)
        torch.set_num_threads(1)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        for kind, path in made.items():
            contenders = {"ours": ours(path), "webdataset": webdatasets(path), "floor": floor(path)}
            for read in contenders.values():
                read()  # files into memory, hashes compared
            times: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(ROUNDS):
                for name, read in contenders.items():
                    begun = time.perf_counter()
                    count = read()
                    times[name].append((time.perf_counter() - begun) / count)
            ratio = {
                name: statistics.median(them / us for us, them in zip(times["ours"], times[name], strict=True))
                for name in ("webdataset", "floor")
            }
            mib = sum(file.stat().st_size for file in path.glob("*.tar")) / given.samples / 2**20
            speed = {name: f"{1 / statistics.median(each):,.0f}" for name, each in times.items()}
            rows.append(
                [kind, f"{mib:.2f}", *speed.values(), f"{ratio['webdataset']:.2f}", f"{1 / ratio['floor']:.2f}"]
            )
            print(" ".join(rows[-1]), flush=True)
    head = [f"{given.size} px, one core", "MiB a sample", "ours, samples/s", "webdataset", "floor"]
    head += ["ours against webdataset", "time of the floor's"]
    put("training.md", "reader", "make bench-reader", table(head, rows))


if __name__ == "__main__":
    main()
