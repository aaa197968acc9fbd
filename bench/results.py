"""What weights reach on test pairs, beside everything else: docs/results.md, and the table of README.

    python -m bench.results --shards shards/test [--weights DIR] [--openfocus PROGRAM]

`make results` renders the shards (recipes/test.yaml over pairs/test) and the half `table` of bench/foreign.py first.
Nothing is chosen by either. Rows and sheets go to out/results.
"""

from pathlib import Path

import pyarrow.parquet as pq

from bench import foreign
from bench.command import parsed, parser
from bench.document import put, table
from trainer.evaluation import methods
from trainer.evaluation.cases import OfShards
from trainer.evaluation.run import evaluate
from trainer.evaluation.scoring import Row
from trainer.evaluation.tables import KEPT, mean, percent, shown, with_interval

COMMAND = "make results"
OUT = Path("out/results")
METRICS = ("PSNR", "SSIM", "Qabf", "VIF")
LIMIT: int | None = None
QUICK = {"LIMIT": 6}


def summary(rows: list[Row]) -> str:
    """A line a method: the means over what asks for something to go, PSNR by task, and how often it obeys."""
    removing = [row for row in rows if row["kind"] not in KEPT]
    tasks = sorted({row["task"] for row in rows}, reverse=True)
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows if row.get("PSNR") is not None):
        own = [row for row in removing if row["method"] == method]
        means = {metric: mean(own, metric) for metric in METRICS}
        obeyed = [
            row | {"obeys": float(row["obeys"])}
            for row in rows
            if row["method"] == method and row.get("obeys") is not None
        ]
        of_tasks = [shown("PSNR", mean([row for row in own if row["task"] == task], "PSNR")) for task in tasks]
        line = [method, with_interval("PSNR", means["PSNR"]), *of_tasks]
        line += [shown(metric, means[metric]) for metric in METRICS[1:]]
        lines.append([*line, percent(mean(obeyed, "obeys")) if obeyed and method != methods.CEILING else ""])
    return table(["", "PSNR dB (95%)", *tasks, *METRICS[1:], "obeys"], lines)


def main() -> None:
    """Measure, and write both documents."""
    wanted = parser(__doc__)
    wanted.add_argument("--shards", default="shards/test")
    wanted.add_argument("--weights", type=Path, default=Path("release"))
    wanted.add_argument("--openfocus", type=Path, help="the program of an environment that has it")
    wanted.add_argument("--foreign", type=Path, default=foreign.OUT, help="where `make foreign` writes")
    given = parsed(wanted, globals(), QUICK)
    networks = methods.Networks([given.weights], shuffled=True)
    report = evaluate(OfShards([given.shards], LIMIT), networks, OUT, given.openfocus)
    put("results.md", "test", COMMAND, report.replace("\n## ", "\n### "))
    put("README.md", "results", COMMAND, summary(pq.read_table(OUT / "results.parquet").to_pylist()))
    fusions = {
        "average": foreign.average,
        "closed form": foreign.base,
        given.weights.name: foreign.fuser_at(given.weights),
    }
    scored = {name: foreign.score(fuse, "table", given.foreign) for name, fuse in fusions.items()}
    put("results.md", "foreign", COMMAND, foreign.report(scored))


if __name__ == "__main__":
    main()
