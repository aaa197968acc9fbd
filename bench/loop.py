"""What the training loop costs beside the network: `python -m bench.loop [--shards LATENTS]`.

A run of `release-cpu` on latents, one thread. Timed within it: waiting for data, and forward, backward, the optimizer
and the averaged weights; what is left of a step is the loop's own (log, guard, schedule). Writes docs/training.md.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import trainer.training.loop as loop
from bench.command import parsed, parser
from bench.document import put, table
from bench.reader import build
from trainer.config import load_config
from trainer.training.ema import EMA
from trainer.training.optimizers import Optimizers
from trainer.training.run import Run

STEPS, FIRST = 120, 20
"""Steps, and those at the beginning that are not counted."""
SIZE, SAMPLES = 128, 256
"""Of the built-in photographs."""
QUICK = {"STEPS": 3, "FIRST": 1, "SIZE": 64, "SAMPLES": 4}


class Clock:
    """Seconds by part, of the steps that count."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.steps = 0

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            result = function(*args, **kwargs)
            if self.steps >= FIRST:
                self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - begun
            return result

        return timed

    def each(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Of `Run.each`: counts the steps, and times them whole, the wait for their data among them."""

        def iterate(run: Run, stream: Any) -> Any:
            steps = original(run, stream)
            begun = time.perf_counter()
            while (item := next(steps, None)) is not None:
                waited = time.perf_counter()
                if self.steps >= FIRST:
                    self.spent["waiting"] = self.spent.get("waiting", 0.0) + waited - begun
                yield item
                ended = time.perf_counter()
                if self.steps >= FIRST:
                    self.spent["step"] = self.spent.get("step", 0.0) + ended - waited
                self.steps += 1
                begun = ended

        return iterate


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--shards", help="of latents; default: made of built-in photographs, 128 px")
    given = parsed(wanted, globals(), QUICK)
    torch.set_num_threads(1)
    clock = Clock()
    loop.add_gradients = clock.around("network", loop.add_gradients)
    Optimizers.step = clock.around("optimizer", Optimizers.step)  # type: ignore[method-assign]
    EMA.update = clock.around("averages", EMA.update)  # type: ignore[method-assign]
    Run.each = clock.each(Run.each)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        shards = given.shards or str(build(Path(folder), SIZE, SAMPLES)["latents"])
        size = load_config("release-cpu").training.batch_size
        changes = {"training.samples": STEPS * size, "run.log_every": 400, "run.checkpoint_every": 10**9}
        loop.train(load_config("release-cpu", changes), [shards], Path(folder) / "run", device="cpu")
    spent = clock.spent
    whole = spent["step"] + spent["waiting"]
    own = spent["step"] - spent["network"] - spent["optimizer"] - spent["averages"]
    parts = {
        "forward and backward": spent["network"],
        "optimizer": spent["optimizer"],
        "averages": spent["averages"],
        "waiting for data": spent["waiting"],
        "the loop itself": own,
    }
    rows = [[name, f"{1000 * value / (STEPS - FIRST):.2f} ms", f"{value / whole:.2%}"] for name, value in parts.items()]
    print("\n".join(" ".join(row) for row in rows))
    put("training.md", "loop", "make bench-train", table([f"a step of {size} samples", "time", "share"], rows))


if __name__ == "__main__":
    main()
