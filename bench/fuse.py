"""Time and memory of `trainer fuse` on one CPU thread: pictures of four sizes and of 8K, each a command of its own.

    python -m bench.fuse [--weights DIR]

writes docs/results.md. Weights that hold a regression and a flow are measured as both, the flow by its number of steps.
Seconds are of the CPU, so that what else a machine does counts little; start-up is all that is no fusing: Python, the
imports, and loading the weights.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.command import parsed, parser
from bench.document import put, table

COMMAND = "python -m bench.fuse"
PROMPT = "remove the haze and remove the noise and fuse the images"
SIZES = ((256, 256), (640, 480), (1920, 1080), (3840, 2160), (7680, 4320))
STEPS = (1, 2, 4)
PARTS = ("encode", "base", "network", "decode", "the rest")
QUICK = {"SIZES": ((64, 48),), "STEPS": (1,)}


class Clock:
    """CPU seconds of functions, by a name each; those of one that another calls are its own, and not the other's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self._count()
            self._open.append(name)
            try:
                return function(*args, **options)
            finally:
                self._count()
                self._open.pop()

        return call

    def _count(self) -> None:
        """What has passed since the last time goes to the innermost function that runs."""
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


def inside(said: str) -> None:
    """The command line in this process, which ends with a line of JSON: seconds by part, of all, and MiB.

    said: the arguments of `trainer`, as JSON.
    """
    import resource

    from trainer import cli
    from trainer.data import batches
    from trainer.frozen.autoencoder import Autoencoder
    from trainer.inference import fusing
    from trainer.model.dit import FusionDiT

    clock = Clock()
    for owner, attribute, name in (
        (Autoencoder, "encode", "encode"),
        (batches, "fuse_base", "base"),
        (FusionDiT, "forward", "network"),
        (Autoencoder, "decode", "decode"),
        (fusing, "fuse_one", "the rest"),
    ):
        setattr(owner, attribute, clock.timed(name, getattr(owner, attribute)))
    sys.argv = ["trainer", *json.loads(said)]
    cli.main()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"parts": clock.seconds, "all": time.process_time(), "peak": peak}))


def measured(arguments: list[str]) -> dict[str, Any]:
    """What `inside` tells of a command, in a fresh process of one thread; `wall`: its seconds by the clock."""
    code = "import sys; from bench.fuse import inside; inside(sys.argv[1])"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"wall": time.monotonic() - begun}


def ways(weights: str) -> Iterator[tuple[str, list[str]]]:
    """What a weights folder can be asked for, in words and as options."""
    from trainer.inference.fuser import Fuser

    fuser = Fuser.from_pretrained(weights, "cpu")
    kind, name = fuser.objective.config.kind, Path(weights).name
    if fuser.objective.config.needs_regression:
        yield f"{name}, regression", ["--variant", "regression"]
    if not fuser.objective.takes_steps:
        yield f"{name}, {kind}", []
        return
    for steps in STEPS:
        yield f"{name}, {kind}, steps: {steps}", ["--steps", str(steps)]


def write_pair(folder: Path, size: tuple[int, int]) -> list[str]:
    """Two smooth pictures with a little noise, as files; their paths."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    paths = []
    for name in "ab":
        image = cv2.resize(rng.integers(256, size=(9, 16, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(-6, 7, size=(*image.shape[:2], 1), dtype=np.int16)
        paths.append(str(folder / f"{name}.png"))
        cv2.imwrite(paths[-1], np.clip(image + noise, 0, 255).astype(np.uint8))
    return paths


def row(size: tuple[int, int], way: str, found: dict[str, Any]) -> list[str]:
    """A line of the table."""
    parts = {name: found["parts"].get(name, 0.0) for name in PARTS}
    fusing = sum(parts.values())
    shares = [f"{seconds / fusing:.0%}" for seconds in parts.values()]
    times = [f"{fusing:.1f}", f"{found['all']:.1f}", f"{found['wall']:.1f}"]
    return [f"{size[0]}x{size[1]}", way, *times, *shares, f"{found['peak']:.0f}"]


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--weights", action="append", help="a weights folder; repeatable; default: release")
    given = parsed(wanted, globals(), QUICK)
    rows = []
    for weights in given.weights or ["release"]:
        for way, options in ways(weights):
            for size in SIZES:
                with tempfile.TemporaryDirectory() as folder:
                    images = write_pair(Path(folder), size)
                    asked = ["--prompt", PROMPT, "--out", f"{folder}/out.png", "--weights", weights, "--device", "cpu"]
                    rows.append(row(size, way, measured(["fuse", *images, *asked, *options])))
                print(*rows[-1], flush=True)
    head = ["picture", "weights", "fusing, CPU s", "with start-up, CPU s", "by the clock, s", *PARTS, "peak, MiB"]
    put("results.md", "fuse", COMMAND, table(head, rows))


if __name__ == "__main__":
    main()
