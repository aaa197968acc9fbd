"""Whether a worker's memory stays flat: one that renders and encodes the all-in-one recipe, its shards thrown away.

    python -m bench.memory --pairs data/pairs/train

writes a table of docs/dataset.md: resident megabytes after every so many samples.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from bench.command import parsed, parser
from bench.document import put, table
from synth.dataset.generate import count_pairs, write_shard
from synth.engines.local import LocalEngine
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from synth.storage import Folder

COMMAND = "make bench-memory"
SAMPLES, TOLD = 20_000, 2_000
SIZE = 512
QUICK = {"samples": 10, "SIZE": 64}


class Nowhere(Folder):
    """Throws away what is written."""

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        with Path("/dev/null").open("wb") as file:
            yield file


def resident_mb() -> float:
    """Of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


def main() -> None:
    """Render and watch."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True, help="real pairs, <task>/<stem>/")
    wanted.add_argument("--samples", type=int, default=SAMPLES)
    given = parsed(wanted, globals(), QUICK)
    settings = {"samples": given.samples, "crop": {"size": SIZE}}
    plan = make_plan(load_recipe(find_recipe("all_in_one"), settings), given.pairs)
    rows: list[list[str]] = []

    def watch(done: int, failed_pairs: int) -> None:  # noqa: ARG001 (as an engine calls it)
        if done % min(TOLD, given.samples // 10) == 0:
            rows.append([f"{done:,}", f"{resident_mb():.0f}"])
            print(*rows[-1], flush=True)

    job = partial(write_shard, plan, Nowhere(Path()))
    LocalEngine(1)(job, plan.shards, count_pairs(plan), set(), watch)
    put("dataset.md", "memory", COMMAND, table(["samples", "resident MB"], rows))


if __name__ == "__main__":
    main()
