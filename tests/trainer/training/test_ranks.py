"""Several processes train as one: the same samples, the same loss, one folder; on loopback, with gloo."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.helpers import log_of
from trainer.config import load_config
from trainer.errors import UserError
from trainer.training.loop import train
from trainer.training.ranks import Ranks
from trainer.training.schedule import parts, steps

ConfigFile = Callable[..., str]


def launch(dataset: Path, run: Path, config: str, *more: str) -> subprocess.Popen[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--shards", str(dataset), "--out", str(run), "--config", config, "--device", "cpu", *more]
    return subprocess.Popen([*torchrun, "-m", "trainer", "train", *options], stderr=subprocess.PIPE, text=True)


def test_ranks_share_a_step_and_take_its_parts_evenly() -> None:
    config = load_config("tiny", {"training.samples": 100, "training.batch_size": 32}).training
    planned = list(steps(20, config))
    assert planned == [range(20, 52), range(52, 84), range(84, 100)]
    for step in planned:
        shares = [Ranks(rank, 4).share(step) for rank in range(4)]
        assert sorted(position for share in shares for position in share) == list(step)
        assert len({len(share) for share in shares}) == 1
    assert [len(part) for part in parts(range(10), 4)] == [3, 3, 4]
    assert parts(range(3, 8), None) == [range(3, 8)]


def test_steps_that_ranks_cannot_share_evenly_are_refused() -> None:
    config = load_config("tiny", {"training.samples": 100, "training.batch_size": 32}).training
    Ranks(0, 4).check(config)
    with pytest.raises(UserError, match="multiples of 3"):
        Ranks(0, 3).check(config)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    path = config_file(samples=100)
    train(load_config(path), [str(dataset)], tmp_path / "one", device="cpu")
    two = launch(dataset, tmp_path / "two", path)
    assert two.wait() == 0, two.stderr and two.stderr.read()
    one, other = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    assert [line["samples"] for line in other] == [20, 40, 60, 80, 100]
    for a, b in zip(one, other, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)
        assert b["grad_norm"] == pytest.approx(a["grad_norm"], rel=1e-4)
    assert (tmp_path / "two" / "weights" / "fuser.json").is_file()


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    path = config_file(samples=3000)
    run = tmp_path / "run"
    broken = launch(dataset, run, path)
    while not list((run / "checkpoints").glob("[0-9]*")):
        assert broken.poll() is None
        time.sleep(0.05)
    broken.send_signal(signal.SIGTERM)
    broken.wait()
    stood = max(int(folder.name) for folder in (run / "checkpoints").iterdir())
    assert 0 < stood < 3000
    train(load_config(path), [str(dataset)], run, device="cpu")  # one goes on where two stopped
    assert [line["samples"] for line in log_of(run)] == list(range(20, 3001, 20))
