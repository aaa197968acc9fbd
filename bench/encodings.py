"""What the encodings of inputs cost: `make bench-encodings`.

The same samples on real pairs with each encoding in turn, a batch at a time, everything on, one thread. Time is that
of a core, so that a busy machine tells the same; a ratio is the median over the batches.
"""

import statistics
import tempfile
import time
from pathlib import Path

from bench.command import parsed, parser
from bench.document import put, table
from synth.dataset.generate import FailureLimit, Run, generate
from synth.engines.local import LocalEngine
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import make_plan
from synth.storage import Folder

COMMAND = "make bench-encodings"
ENCODINGS = ("png", "mixed", "jpeg95")
RECIPES = ("all_in_one", "vif_jpeg")
SIZE, BATCH = 256, 48
QUICK = {"SIZE": 64, "BATCH": 4, "rounds": 1}
HERE = Run(LocalEngine(1), lambda *_: None, FailureLimit())
HEAD = ["recipe", "inputs as", "KB of the inputs", "of png", "KB of the tar", "of png", "core ms a sample", "of png"]


def batch(pairs: Path, name: str, encoding: str, number: int) -> tuple[float, float, float]:
    """Of a sample, over a batch: seconds, bytes of its inputs, bytes of its tar."""
    import pyarrow.parquet as pq

    settings = {"seed": number, "samples": BATCH, "samples_per_shard": BATCH}
    settings |= {"crop": {"size": SIZE}, "encoding": encoding}
    plan = make_plan(load_recipe(find_recipe(name), settings), pairs)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        generate(plan, Folder(Path(folder)), HERE)
        seconds = time.process_time() - begun
        rows = pq.read_table(Path(folder) / "000000.parquet", columns=["a_size", "b_size"])
        inputs = sum(sum(size or 0 for size in column.to_pylist()) for column in rows.columns)
        return seconds / BATCH, inputs / BATCH, (Path(folder) / "000000.tar").stat().st_size / BATCH


def rows_of(pairs: Path, name: str, rounds: int) -> list[list[str]]:
    """The lines of a recipe. Each batch is made once before it counts: pairs are read then, and kept."""
    found: dict[str, list[tuple[float, float, float]]] = {encoding: [] for encoding in ENCODINGS}
    for number in range(rounds):
        batch(pairs, name, ENCODINGS[0], number)
        for encoding, measured in found.items():
            measured.append(batch(pairs, name, encoding, number))
    rows = []
    for encoding, measured in found.items():
        cells = [name, encoding]
        for part, unit, digits in ((1, 1e-3, 0), (2, 1e-3, 0), (0, 1e3, 1)):
            values = [each[part] for each in measured]
            base = [each[part] for each in found["png"]]
            ratio = statistics.median(here / there for here, there in zip(values, base, strict=True))
            cells += [f"{statistics.mean(values) * unit:.{digits}f}", f"{ratio:.2f}"]
        rows.append(cells)
    return rows


def main() -> None:
    """Measure, print and document."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True, help="a folder with vif/, mef/ and mff/")
    wanted.add_argument("--rounds", type=int, default=6, help="batches of each encoding")
    arguments = parsed(wanted, globals(), QUICK)
    rows = [row for name in RECIPES for row in rows_of(arguments.pairs, name, arguments.rounds)]
    told = f"{arguments.rounds * BATCH} samples of {SIZE} px for each line."
    text = f"{table(HEAD, rows)}\n\n{told}"
    put("dataset.md", "encodings", COMMAND, text)
    print(text)


if __name__ == "__main__":
    main()
