"""A plan for 100 million samples, from what this machine measures: shards, bytes, cores, hours, listing and resume.

    python -m bench.scale --pairs data/pairs/train

writes the tables of docs/scale.md. Measured here: time and bytes of a sample, of a plan of many pairs, and the requests
of a resume and of a finish. Given: how long an object store takes to answer (LATENCY_S, PAGE_S, BANDWIDTH).
"""

import json
import pickle
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.command import parsed, parser
from bench.document import put, table
from synth.dataset.description import AT_ONCE, DATASET, survey
from synth.dataset.generate import FailureLimit, Run, close, generate
from synth.engines.local import LocalEngine
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from synth.storage import Folder
from synth.storage.bucket import Bucket

COMMAND = "make bench-scale"
SAMPLES = 100_000_000
CORES = 1000
MEASURED, WARM = 512, 32  # samples rendered for each row, in shards of 128, and before them
COUNTED = 64  # samples in shards of two, whose requests are counted
SIZES = (256, 512)
PAIRS = 200_000  # rows of the manifest that is planned
LATENCY_S = 0.03  # of a request to an object store in the same region
PAGE_S = 0.2  # of a page of its listing, 1,000 names
BANDWIDTH = 1e9  # bytes a second, of the machine that finishes
PER_SHARD = (256, 1024, 4096)
HERE = Run(LocalEngine(1), lambda *_: None, FailureLimit())
QUICK = {"MEASURED": 2, "WARM": 1, "COUNTED": 4, "SIZES": (64, 80), "PAIRS": 100}


@dataclass(frozen=True)
class Cost:
    """Of one sample: seconds of a core, and bytes of its tar and its sidecar."""

    seconds: float
    tar: float
    sidecar: float


def sample_cost(pairs: Path, size: int, encoding: str) -> Cost:
    """Of the all-in-one recipe, everything on, with one worker."""
    settings = {"samples": MEASURED, "samples_per_shard": 128, "crop": {"size": size}, "encoding": encoding}
    plan = make_plan(load_recipe(find_recipe("all_in_one"), settings), pairs)
    with tempfile.TemporaryDirectory() as folder:
        storage = Folder(Path(folder))
        warm_up = make_plan(load_recipe(find_recipe("all_in_one"), settings | {"seed": 2, "samples": WARM}), pairs)
        generate(warm_up, Folder(Path(folder)), HERE)
        begun = time.process_time()
        generate(plan, storage, HERE, overwrite=True)
        seconds = (time.process_time() - begun) / MEASURED
        sizes = storage.sizes()
    by_kind = Counter[str]()
    for name, bytes_ in sizes.items():
        by_kind[name.rpartition(".")[2]] += bytes_
    return Cost(seconds, by_kind["tar"] / MEASURED, by_kind["parquet"] / MEASURED)


class Counting(Bucket):
    """Counts what it asks of a store."""

    asked: Counter[str]

    def _again(self, ask: Any, name: str = "") -> Any:
        self.asked["request"] += 1
        return super()._again(ask, name)


@dataclass(frozen=True)
class ShardCost:
    """Of one shard: requests of a resume that finds it there, requests of a finish, its bytes in dataset.json."""

    resume: float
    finish: float
    entry: float


def shard_cost(pairs: Path) -> ShardCost:
    """Counted on 32 shards in memory; the listing is left out."""
    plan = make_plan(load_recipe(find_recipe("all_in_one"), {"samples": COUNTED, "samples_per_shard": 2}), pairs)
    storage = Counting("memory://bench-scale")
    storage.asked = Counter()
    generate(plan, storage, HERE)
    counts, shards = [], len(plan.shards)
    for ask in (lambda: survey(storage, plan.shards), lambda: close(plan, storage)):
        storage.asked.clear()
        ask()
        counts.append((storage.asked["request"] - 1) / shards)
    entries = json.loads(storage.read(DATASET))["shards"]
    return ShardCost(counts[0], counts[1], len(json.dumps(entries, indent=1)) / shards)


def plan_cost() -> tuple[float, float, float]:
    """Seconds to plan a million pairs of a manifest, to unpack that plan in a worker, and its megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.parquet"
        scenes = [f"set{i % 20}-{i:08d}" for i in range(PAIRS)]
        columns: dict[str, list[Any]] = {
            "a": [f"s3://bucket/pairs/{scene}/visible.png" for scene in scenes],
            "b": [f"s3://bucket/pairs/{scene}/infrared.png" for scene in scenes],
            "dataset": [scene.partition("-")[0] for scene in scenes],
            "scene": scenes,
            "width": [640] * PAIRS,
            "height": [512] * PAIRS,
        }
        pq.write_table(pa.table(columns), path)
        recipe = load_recipe(find_recipe("vif_haze"), {"samples": SAMPLES, "samples_per_shard": 1024})
        begun = time.perf_counter()
        plan = make_plan(recipe, str(path))
        planned = time.perf_counter() - begun
    data = pickle.dumps(plan)
    begun = time.perf_counter()
    pickle.loads(data)
    unpacked = time.perf_counter() - begun
    factor = 1e6 / PAIRS
    return planned * factor, unpacked * factor, len(data) / 1e6 * factor


def shard_rows(cost: Cost, shard: ShardCost) -> list[list[str]]:
    """For each number of samples a shard, what a store is asked and how long it takes."""
    rows = []
    for per_shard in PER_SHARD:
        shards = SAMPLES / per_shard
        listing = 2 * shards / 1000 * PAGE_S
        resumed = listing + shards * shard.resume * LATENCY_S / AT_ONCE[False]
        read = 2 * SAMPLES * cost.sidecar  # the card reads the sidecars once more
        closed = 3 * listing + shards * shard.finish * LATENCY_S / AT_ONCE[False] + read / BANDWIDTH
        rows.append(
            [
                *(str(per_shard), f"{shards:,.0f}", f"{cost.tar * per_shard / 1e6:.0f} MB", f"{listing / 60:.1f} min"),
                *(f"{resumed / 60:.1f} min", f"{read / 1e9:.0f} GB", f"{closed / 60:.0f} min"),
                f"{shards * shard.entry / 1e6:.0f} MB",
            ]
        )
    return rows


def main() -> None:
    """Measure, compute, and write the tables."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True, help="real pairs, <task>/<stem>/")
    pairs = parsed(wanted, globals(), QUICK).pairs
    costs, rows = {}, []
    for size in SIZES:
        for encoding in ("png", "jpeg95"):
            cost = costs[size, encoding] = sample_cost(pairs, size, encoding)
            hours = cost.seconds * SAMPLES / 3600
            rows.append(
                [
                    *(str(size), encoding, f"{cost.seconds * 1e3:.0f}", f"{cost.tar / 1e3:.0f}"),
                    *(f"{cost.sidecar:.0f}", f"{hours:,.0f}", f"{hours / CORES:.1f}"),
                    f"{(cost.tar + cost.sidecar) * SAMPLES / 1e12:.1f}",
                ]
            )
    shard = shard_cost(pairs)
    planned, unpacked, megabytes = plan_cost()
    head = [
        "px",
        "inputs as",
        "core ms a sample",
        "tar KB",
        "sidecar bytes",
        "core hours",
        "hours on 1,000 cores",
        "TB",
    ]
    put("scale.md", "samples", COMMAND, table(head, rows))
    head = ["samples a shard", "shards", "a tar", "listing", "resume", "finish reads", "finish", "dataset.json"]
    put("scale.md", "shards", COMMAND, table(head, shard_rows(costs[SIZES[0], "jpeg95"], shard)))
    facts = [
        f"requests a shard besides the listing: {shard.resume:.2f} to resume, {shard.finish:.2f} to finish",
        f"a million pairs in a manifest: {planned:.0f} s to plan, {megabytes:.0f} MB in every worker, {unpacked:.1f} s "
        f"to unpack there (measured with {PAIRS:,})",
    ]
    put("scale.md", "plan", COMMAND, "\n".join(f"- {fact}" for fact in facts))


if __name__ == "__main__":
    main()
