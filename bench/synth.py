"""How many samples a second `synth` makes, beside its codecs alone and beside plain scripts: `make bench-synth`.

One thread, the all-in-one recipe on real pairs, two inputs and a record a sample. All contenders make the same samples
(the same pairs, windows and kinds of effect) in turn, a batch each, so that whatever else the machine does falls on all
of them alike; a ratio is the median over the rounds.
"""

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.command import parsed, parser
from bench.contenders import NO_TARGET, plan_for
from bench.document import put, table
from synth.dataset.generate import count_pairs, write_shard
from synth.engines.local import LocalEngine
from synth.sample.draft import draft
from synth.sample.inputs import make_inputs
from synth.sample.render import assemble
from synth.storage import open_storage

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers/bin/python"
BATCH = {256: 64, 512: 32}
ENCODINGS = ("png", "jpeg95")
COMMANDS = {
    "limit": [sys.executable, "-m", "bench.contenders", "limit"],
    "inputs": [sys.executable, "-m", "bench.contenders", "inputs"],
    "whole": [sys.executable, "-m", "bench.contenders", "whole"],
    "imgaug": [sys.executable, "-m", "bench.plain", "imgaug"],
    "albumentations": [str(PEERS), "bench/plain.py", "albumentations"],
}
WORDS = {
    "limit": "synth, effects and targets off: the codec limit",
    "inputs": "synth, targets off",
    "whole": "synth, everything on",
    "imgaug": "imgaug, plainly",
    "albumentations": "albumentations, plainly",
}
SCALED = 1600  # samples of a run with one or two workers, of which the middle is timed
SHARD = 24
WARM = 400  # samples that a contender of ours makes before the first batch
TURNS, WORKERS = 3, (1, 2)
QUICK = {
    "BATCH": {48: 1},
    "ENCODINGS": ("png",),
    "rounds": 1,
    "WARM": 1,
    "SCALED": 12,
    "SHARD": 1,
    "TURNS": 1,
    "WORKERS": (1,),
}


def main() -> None:
    """Measure, print and document."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True, help="a folder with vif/, mef/ and mff/")
    wanted.add_argument("--rounds", type=int, default=9, help="batches of each contender, after two uncounted ones")
    wanted.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    wanted.add_argument("--workers", type=int, help="only print samples a second with so many workers")
    arguments = parsed(wanted, globals(), QUICK)
    if arguments.workers:
        print(rate_of(arguments.pairs, arguments.workers))
        return
    if arguments.quick and not PEERS.exists():
        arguments.only = [name for name in COMMANDS if name != "albumentations"]
    documented = set(COMMANDS) - set(arguments.only) <= ({"albumentations"} if arguments.quick else set())
    rows, targets = [], []
    for size in BATCH:
        for encoding in ENCODINGS:
            seconds = race(arguments.only, str(arguments.pairs.resolve()), size, encoding, arguments.rounds)
            rows += rows_of(seconds, size, encoding)
            print("\n".join(" ".join(row) for row in rows[-len(seconds) :]), flush=True)
            if encoding == "png" and {"whole", "inputs"} <= set(seconds):
                spent = statistics.median(w - i for w, i in zip(seconds["whole"], seconds["inputs"], strict=True))
                targets.append(f"{1000 * spent:.1f} ms at {size} px")
    scaling = workers(arguments.pairs, arguments.quick)
    notes = f"The target and its PNG take {', '.join(targets)} a sample by themselves.\n\n{scaling}"
    print(notes, flush=True)
    if documented:
        head = ["px", "inputs as", "", "samples/s", "of the codec limit", "against imgaug", "against albumentations"]
        put("dataset.md", "speed", "make bench-synth", f"{table(head, rows)}\n\n{notes}")


def race(names: list[str], data: str, size: int, encoding: str, rounds: int) -> dict[str, list[float]]:
    """Seconds a sample of each contender, round by round."""
    processes = {
        name: subprocess.Popen(
            COMMANDS[name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name in names
    }
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-2, rounds):
            path = Path(folder) / "job.json"
            path.write_text(json.dumps(job(data, size, encoding, number + 2)))
            for name, process in processes.items():
                print(path, file=process.stdin, flush=True)
                answer = process.stdout.readline()  # type: ignore[union-attr]
                if not answer:
                    raise SystemExit(f"{name}: its process has ended; `{shlex.join(COMMANDS[name])}` says why")
                spent = float(answer)
                if number >= 0:
                    seconds[name].append(spent / BATCH[size])
    for process in processes.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    return seconds


def job(data: str, size: int, encoding: str, number: int) -> dict[str, Any]:
    """A batch of samples: which pairs, windows and effects, and the records that are packed with them."""
    plan = plan_for(data, size, encoding)
    items = []
    for index in range(number * BATCH[size], (number + 1) * BATCH[size]):
        made = make_inputs(plan, draft(plan, index))
        record = assemble(plan, made, NO_TARGET, {}).record
        falls = {name: [x["effect"] for x in record["degradations"] if x["image"] == name] for name in ("a", "b")}
        items.append(
            {
                "index": index,
                "a": str(Path(made.drawn.pair.images[0]).resolve()),  # type: ignore[attr-defined]
                "b": str(Path(made.drawn.pair.images[1]).resolve()),  # type: ignore[attr-defined]
                "window": [made.window.x, made.window.y, made.window.w],
                "flip": made.window.flip,
                "effects": falls,
                "text": json.dumps(record),
            }
        )
    return {"data": data, "size": size, "encoding": encoding, "warm": WARM, "items": items}


def workers(data: Path, quick: bool) -> str:
    """What two workers make of `synth generate` at 256 px, everything on, against one; in turn, each run anew."""
    rates: dict[int, list[float]] = {count: [] for count in WORKERS}
    for _ in range(TURNS):
        for count, found in rates.items():
            command = [sys.executable, "-m", "bench.synth", "--pairs", str(data.resolve()), "--workers", str(count)]
            command += ["--quick"] * quick
            found.append(float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout))
    ratio = statistics.median(two / one for one, two in zip(rates[WORKERS[0]], rates[WORKERS[-1]], strict=True))
    one, two = (statistics.median(rates[count]) for count in (WORKERS[0], WORKERS[-1]))
    return (
        f"`synth generate`, 256 px, PNG, everything on: {one:.0f} samples/s with one worker, {two:.0f} with two: "
        f"{ratio:.2f} times as many."
    )


def rate_of(data: Path, count: int) -> float:
    """Samples a second of a run with some workers, in its middle."""
    plan = plan_for(str(data), 256, "png")
    plan = replace(plan, recipe=plan.recipe.model_copy(update={"samples": SCALED, "samples_per_shard": SHARD}))
    times: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        job = partial(write_shard, plan, open_storage(folder))
        told = lambda done, _failed: times.append((time.perf_counter(), done))  # noqa: E731
        LocalEngine(count)(job, plan.shards, count_pairs(plan), set(), told)
    timed = [(at, done) for at, done in times if 0.3 * SCALED <= done <= 0.9 * SCALED]
    return (timed[-1][1] - timed[0][1]) / (timed[-1][0] - timed[0][0])


def rows_of(seconds: dict[str, list[float]], size: int, encoding: str) -> list[list[str]]:
    """A row a contender; ratios are medians of the ratios of each round."""
    rows = []
    for name, spent in seconds.items():
        row = [str(size), encoding, WORDS[name], f"{1 / statistics.median(spent):.0f}"]
        for other in ("limit", "imgaug", "albumentations"):
            ratios = [theirs / ours for theirs, ours in zip(seconds.get(other, []), spent, strict=False)]
            row.append(f"{statistics.median(ratios):.2f}" if ratios and other != name else "")
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
