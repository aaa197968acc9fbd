"""Small shards written straight from shards/FORMAT.md with tarfile and pyarrow, so that no test needs synth; what a
run left behind."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import torch  # itself only once conftest.py has set the number of threads

MEMBERS = ("a", "b", "json", "target")
PARTS = ("name", "offset", "size", "sha256")
INSTRUCTIONS = ("remove the haze", "clear the noise in both pictures", "fuse the two")


Command = Callable[..., tuple[int, str, str]]


def picture(seed: int, size: int = 32, channels: int = 3) -> np.ndarray:
    """A smooth random picture, (H, W, C) or (H, W) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size // 8, size // 8, channels), dtype=np.uint8)
    image = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return image.reshape(size, size, channels) if channels > 1 else image.reshape(size, size)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def write_shard(  # noqa: PLR0913
    tar_path: Path,
    indices: range,
    *,
    size: int = 32,
    failed: tuple[int, ...] = (),
    sidecar: bool = True,
    version: str = "1",
    kind: str = "images",
    grey_b: bool = False,
    clean: bool = False,
    per_pair: int = 1,
) -> None:
    """One tar and its sidecar. Sample i: target is `picture(i)`, a is darker, b brighter (or grey).

    clean: with a clean pair, of which a is the target and b its negative. per_pair: samples of a group, whose inputs
    are those of the first. (Ten arguments: each a way in which shards differ, one at a time.)
    """
    rows = []
    with tarfile.open(tar_path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in indices:
            key = f"{index:09d}"
            instruction = INSTRUCTIONS[index % len(INSTRUCTIONS)]
            record = {"version": 1, "key": key, "index": index, "task": "mef", "instruction": instruction}
            row: dict[str, Any] = {"key": key, "index": index, "status": "ok", "height": size, "width": size}
            if per_pair > 1:
                record["group"] = row["group"] = f"{index - index % per_pair:09d}"
            if index in failed:
                row |= {"status": "failed", "reason": "unreadable"}
                row |= {f"{member}_{part}": None for member in MEMBERS for part in PARTS}
                rows.append(row)
                continue
            target, shown = picture(index, size), picture(index - index % per_pair, size)
            b = (shown // 2 + 127).astype(np.uint8)
            members = {
                "a": ("png", png(shown // 2)),
                "b": ("png", png(b[:, :, 0] if grey_b else b)),
                "json": ("json", json.dumps(record).encode()),
                "target": ("png", png(target)),
            }
            if clean:
                members |= {"clean_a": ("png", png(target)), "clean_b": ("png", png(255 - target))}
            for member, (suffix, data) in sorted(members.items()):
                info = tarfile.TarInfo(f"{key}.json" if member == "json" else f"{key}.{member}.{suffix}")
                info.size = len(data)
                row |= {f"{member}_name": info.name, f"{member}_offset": tar.offset + 512, f"{member}_size": len(data)}
                row[f"{member}_sha256"] = hashlib.sha256(data).hexdigest()
                tar.addfile(info, io.BytesIO(data))
            rows.append(row)
    if sidecar:
        table = pa.Table.from_pylist(rows).replace_schema_metadata({"mmaif.version": version, "mmaif.kind": kind})
        pq.write_table(table, tar_path.with_suffix(".parquet"))


def log_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def checkpoint_of(run: Path, seen: int) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    folder = run / "checkpoints" / f"{seen:012d}"
    return {f"{file.stem}/{k}": v for file in sorted(folder.glob("*.safetensors")) for k, v in load_file(file).items()}


def assert_same_bits(first: Path, second: Path, seen: int) -> None:
    import torch

    ours, theirs = checkpoint_of(first, seen), checkpoint_of(second, seen)
    assert ours.keys() == theirs.keys()
    assert ours
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
