"""From a plan to a dataset on disk: what is there already, what is missing, and the end of a run."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
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
    with atomic(out / f"{shard.stem}.tar") as file, ShardWriter(file) as writer:
        for done, index in enumerate(range(shard.start, shard.stop), 1):
            try:
                writer.add(draft(plan, index), render(plan, index))
            except UnreadableError as error:
                writer.fail(draft(plan, index), str(error))
            progress(done)
    with atomic(out / f"{shard.stem}.parquet") as file:
        file.write(sidecar(writer.rows, metadata(plan)))


def missing_shards(plan: Plan, out: Path, overwrite: bool = False) -> list[Shard]:
    """The shards that a run has to make, once the folder is known to hold this dataset or nothing.

    Writes `dataset.json` with `complete: false`, and sweeps away unfinished files. Where the folder holds another
    dataset, its files are removed (overwrite), or UserError names what differs.
    """
    if (another := _another(plan, out)) is not None:
        if not overwrite:
            raise UserError(f"{another}; choose another --out, or replace it with --overwrite")
        for file in [*out.glob("[0-9]*.tar"), *out.glob("[0-9]*.parquet"), *out.glob(DATASET)]:
            file.unlink()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made: {error.strerror}") from None
    for part in out.glob(f"{PART}*"):
        part.unlink(missing_ok=True)
    missing = [
        s for s in plan.shards if not ((out / f"{s.stem}.parquet").exists() and (out / f"{s.stem}.tar").exists())
    ]
    if missing:
        _write_dataset(plan, out, [], complete=False)
    return missing


def finish(plan: Plan, out: Path, made: int) -> Summary:
    """Write `dataset.json` anew with the shards and their hashes, and count what is in them."""
    shards, reasons, total = [], Counter[str](), 0
    for shard in plan.shards:
        tar, side = out / f"{shard.stem}.tar", out / f"{shard.stem}.parquet"
        rows = read_rows(side, ["status", "reason"])
        reasons.update(row["reason"] for row in rows if row["status"] == "failed")
        entry = {
            "name": tar.name,
            "samples": sum(row["status"] == "ok" for row in rows),
            "failed": sum(row["status"] == "failed" for row in rows),
            "tar_bytes": tar.stat().st_size,
            "tar_sha256": _sha256(tar),
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
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; --out names a folder")
    if (out / DATASET).exists():
        try:
            there = json.loads((out / DATASET).read_text(encoding="utf-8"))
        except ValueError:
            return f"{out / DATASET} is not JSON"
        difference = _difference(there, json.loads(json.dumps(_described(plan))))
        if difference is not None:
            return f"{out} holds another dataset: {difference}"
    elif strays := sorted(out.glob("[0-9]*.tar")):
        return f"{out} holds shards ({strays[0].name}) but no {DATASET}"
    for shard in plan.shards:
        side = out / f"{shard.stem}.parquet"
        if side.exists() and (found := read_metadata(side)) != metadata(plan):
            return f"{side} is of another dataset: {_difference(found, metadata(plan))}"
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
    return None if there == here else f"{where} is {json.dumps(there)} there, {json.dumps(here)} here"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
