"""One run: its stages in their order, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import pytest
import torch
from torch import nn

from trainer.autoencoder.config import AutoencoderRun
from trainer.training.ema import EMA
from trainer.training.run import Run

CONFIG = AutoencoderRun(samples=40)


def resume(run: Run) -> None:
    model = nn.Linear(2, 2)
    run.resume(model, {"ema": EMA(model, 20)}, {"optimizer": torch.optim.SGD(model.parameters())})


def through(run: Run, *, left_out: str) -> None:
    for name, step in STEPS.items():
        if name != left_out:
            step(run)


def loop(run: Run, steps: int) -> None:
    with run:
        for number, count in enumerate(run.each(repeat(4)), 1):
            run.stepped(count, {"loss": torch.tensor(1.0)}, {})
            if number == steps:
                break


STEPS: dict[str, Callable[[Run], object]] = {
    "identify": lambda run: run.identify({"pictures": "x"}),
    "resume": resume,
    "claim": lambda run: run.claim(),
    "with": lambda run: loop(run, 3),
    "finish": lambda run: run.finish(lambda path: path.mkdir()),
}


@pytest.mark.parametrize("left_out", ["identify", "resume", "claim", "with"])
def test_a_stage_that_is_left_out_is_told_before_anything_is_written(left_out: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", CONFIG)
    with pytest.raises(RuntimeError, match="out of its order, which is identify, resume, claim, with, finish"):
        through(run, left_out=left_out)
    assert left_out == "with" or not (tmp_path / "run").exists()


def test_what_was_learned_is_kept_though_nobody_finishes(tmp_path: Path) -> None:
    for stands in (0, 12):
        run = Run(tmp_path, CONFIG)
        for name in ("identify", "identify", "resume", "claim", "with"):
            if name == "claim":
                assert run.seen == stands
            STEPS[name](run)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [f"{n:012d}" for n in (12, 24)]
