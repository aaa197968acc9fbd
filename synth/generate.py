"""From a plan to a dataset on disk: what is there already, what is missing, and the end of a run."""

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from synth.degradations import effects
from synth.draft import draft
from synth.errors import UnreadableError, UserError
from synth.plan import Plan, Shard
from synth.record import FORMAT_VERSION
from synth.sample import render
from synth.shards import PART, ShardWriter, atomic, read_metadata, read_rows, sidecar

LIBRARIES = ("numpy", "scipy", "opencv-python", "simplejpeg")  # those that decide pixels
DATASET = "dataset.json"
SIX_DIGITS = "[0-9]" * 6  # what a shard is called


@dataclass(frozen=True)
class Summary:
    """What stands in a finished dataset."""

    samples: int
    shards: int
    made: int
    bytes: int
    reasons: Counter[str]

    @property
    def failed(self) -> int:
        return self.reasons.total()


def metadata(plan: Plan) -> dict[str, str]:
    """What every sidecar says of the dataset it belongs to; equal metadata and equal indices give equal bytes."""
    return {
        "version": str(FORMAT_VERSION),
        "kind": "images",
        "recipe": plan.recipe.hash(),
        "source": plan.fingerprint,
        "effects": json.dumps({name: effect.version for name, effect in effects().items()}, sort_keys=True),
        "libraries": json.dumps({name: version(name) for name in LIBRARIES}, sort_keys=True),
    }


def write_shard(plan: Plan, shard: Shard, out: Path, progress: Callable[[int], None]) -> None:
    """Render the samples of a shard and commit it: the tar, then the sidecar, which is the mark that it is there.

    progress: called with the number of samples done, after each.
    """
    tar = out / f"{shard.stem}.tar"
    with atomic(tar) as file, ShardWriter(file) as writer:
        for done, index in enumerate(range(shard.start, shard.stop), 1):
            try:
                writer.add(draft(plan, index), render(plan, index))
            except UnreadableError as error:
                writer.fail(draft(plan, index), str(error))
            progress(done)
    with atomic(out / f"{shard.stem}.parquet") as file:
        file.write(
            sidecar(writer.rows, metadata(plan) | {"tar_bytes": str(tar.stat().st_size), "tar_sha256": _sha256(tar)})
        )


def missing_shards(plan: Plan, out: Path, overwrite: bool = False) -> list[Shard]:
    """The shards that a run has to make, once the folder is known to hold this dataset or nothing.

    Writes `dataset.json` with `complete: false`, and sweeps away unfinished files. A shard whose tar has not the size
    that its sidecar names, or whose sidecar cannot be read, is not there. Where the folder holds another dataset, its
    files are removed (overwrite), or UserError names what differs.
    """
    if (another := _another(plan, out)) is not None:
        if not overwrite:
            raise UserError(f"{another}; choose another --out, or replace it with --overwrite")
        if not _is_ours(out):
            raise UserError(f"{another}; --overwrite leaves what is no dataset of this tool: choose another --out")
        for file in [*out.glob(f"{SIX_DIGITS}.tar"), *out.glob(f"{SIX_DIGITS}.parquet"), out / DATASET]:
            file.unlink(missing_ok=True)
    check_folder(out)
    for part in out.glob(f"{PART}*"):
        part.unlink(missing_ok=True)
    missing = [shard for shard in plan.shards if not _stands(out / f"{shard.stem}.tar")]
    if missing:
        _write_dataset(plan, out, [], complete=False)
    return missing


def _stands(tar: Path) -> bool:
    facts = read_metadata(tar.with_suffix(".parquet"))
    return tar.is_file() and facts.get("tar_bytes") == str(tar.stat().st_size)


def _is_ours(out: Path) -> bool:
    """Whether the folder's `dataset.json` is of a dataset of images, or it has none and shards beside sidecars."""
    try:
        there = json.loads((out / DATASET).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return any(read_metadata(side) for side in out.glob(f"{SIX_DIGITS}.parquet"))
    except ValueError:
        return False
    return isinstance(there, dict) and there.get("kind") == "images" and "recipe_sha256" in there


def finish(plan: Plan, out: Path, made: int) -> Summary:
    """Write `dataset.json` anew with the shards and their hashes, and count what is in them."""
    shards, reasons, total = [], Counter[str](), 0
    for shard in plan.shards:
        tar, side = out / f"{shard.stem}.tar", out / f"{shard.stem}.parquet"
        rows = read_rows(side, ["status", "reason"])
        sha256 = _sha256(tar)
        if sha256 != read_metadata(side)["tar_sha256"]:
            raise UserError(f"{tar}: not the bytes that were written; remove it and run the same command again")
        reasons.update(row["reason"] for row in rows if row["status"] == "failed")
        entry = {
            "name": tar.name,
            "samples": sum(row["status"] == "ok" for row in rows),
            "failed": sum(row["status"] == "failed" for row in rows),
            "tar_bytes": tar.stat().st_size,
            "tar_sha256": sha256,
            "parquet_bytes": side.stat().st_size,
            "parquet_sha256": _sha256(side),
        }
        total += entry["tar_bytes"] + entry["parquet_bytes"]
        shards.append(entry)
    _write_dataset(plan, out, shards, complete=True)
    return Summary(sum(entry["samples"] for entry in shards), len(shards), made, total, reasons)


def _write_dataset(plan: Plan, out: Path, shards: Sequence[dict[str, Any]], complete: bool) -> None:
    described = _described(plan) | {
        "complete": complete,
        "counts": {"samples": sum(s["samples"] for s in shards), "failed": sum(s["failed"] for s in shards)},
        "shards": list(shards),
    }
    with atomic(out / DATASET) as file:
        file.write((json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode())


def _described(plan: Plan) -> dict[str, Any]:
    """All of `dataset.json` that is known before the first sample."""
    facts = metadata(plan)
    return {
        "version": FORMAT_VERSION,
        "kind": facts["kind"],
        "name": plan.recipe.name,
        "recipe": plan.recipe.resolved(),
        "recipe_sha256": facts["recipe"],
        "sources": [
            {"task": pool.task, "dataset": pool.dataset, "pairs": len(pool.pairs), "weight": pool.weight}
            for pool in plan.pools
        ],
        "source_fingerprint": facts["source"],
        "effects": json.loads(facts["effects"]),
        "libraries": json.loads(facts["libraries"]),
    }


def _another(plan: Plan, out: Path) -> str | None:
    """What a folder holds that is not this dataset, and how it differs; None where it holds this one or nothing."""
    if (out / DATASET).exists():
        try:
            there = json.loads((out / DATASET).read_text(encoding="utf-8"))
        except ValueError:
            return f"{out / DATASET} is not JSON"
        if not isinstance(there, dict):
            return f"{out / DATASET} describes no dataset"
        difference = _difference(there, json.loads(json.dumps(_described(plan))))
        if difference is not None:
            return f"{out} holds another dataset: {difference}"
    elif strays := sorted(out.glob(f"{SIX_DIGITS}.tar")):
        return f"{out} holds shards ({strays[0].name}) but no {DATASET}"
    for shard in plan.shards:
        side = out / f"{shard.stem}.parquet"
        found = read_metadata(side)
        if found and (difference := _difference(found, metadata(plan))) is not None:
            return f"{side} is of another dataset: {difference}"
    return None


def _difference(there: Any, here: Any, where: str = "") -> str | None:
    """The first place where what is asked for differs from what is there, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key, value in here.items():
            if key in ("recipe_sha256", "source_fingerprint"):
                continue  # these only say that something differs; what does stands beside them
            found = _difference(there.get(key), value, f"{where}.{key}".lstrip("."))
            if found is not None:
                return found
        for key in ("recipe_sha256", "source_fingerprint"):
            if there.get(key) != here.get(key):
                return f"{key} differs"
        return None
    if there == here:
        return None
    shown = [text if len(text) < 120 else f"{text[:100]}…" for text in (json.dumps(there), json.dumps(here))]
    return f"{where} is {shown[0]} there, {shown[1]} here"


def check_folder(out: Path) -> None:
    """Raises UserError where a dataset's folder cannot be made or is no folder."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; --out names a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made: {error.strerror}") from None


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold a dataset's folder for one run. Raises UserError where another run is writing there."""
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{out}: another run is writing there; wait for it, or choose another --out") from None
    finally:
        os.close(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
