"""The block and the objective that CONTRIBUTING shows, put into a copy of the package, work with no other change."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.trainer.helpers import assert_same_bits, log_of, write_shard


def example(heading: str) -> str:
    """The Python code under a heading of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]  # type: ignore[index]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the package, shards and a config."""
    left_out = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(ROOT / "trainer", tmp_path / "trainer", ignore=left_out)
    write_shard(tmp_path / "0.tar", range(8))
    return tmp_path


def write_config(folder: Path, samples: int, **sections: object) -> None:
    values = {
        "model": {"width": 32, "depth": 2, "heads": 2},
        "autoencoder": {"channels": 16, "fit_samples": 8},
        "training": {"samples": samples, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50},
        "run": {"checkpoint_every": 40, "log_every": 10, "cache_mb": 64},
    }
    (folder / "mini.yaml").write_text(yaml.safe_dump(values | sections))


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    options = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *words], **options)  # type: ignore[call-overload, no-any-return]


def run(folder: Path, *words: str) -> str:
    process = start(folder, *words)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out


def test_a_new_block_takes_one_file_and_one_line_and_its_term_reaches_loss_and_log(copy: Path) -> None:
    (copy / "trainer/model/mixer.py").write_text(example("Add a block"))
    network = copy / "trainer/model/dit.py"
    line = "from trainer.model.block import Block\n"
    assert network.read_text().count(line) == 1
    network.write_text(network.read_text().replace(line, "from trainer.model.mixer import Mixer as Block\n"))
    write_config(copy, samples=40)
    words = ("-m", "trainer", "train", "--shards", "0.tar", "--config", "mini.yaml", "--out", "run", "--device", "cpu")
    run(copy, *words)
    lines = log_of(copy / "run")
    assert [line["samples"] for line in lines] == [10, 20, 30, 40]
    for line in lines:
        assert line["loss"] == pytest.approx(line["loss/error"] + 0.01 * line["loss/gate"], rel=1e-5)
    assert 0.7 < lines[0]["loss/gate"] < 1.3, "two blocks, half open"


TRAIN_AND_FUSE = """
import sys, json
from pathlib import Path
import numpy as np
from tests.trainer.helpers import assert_same_bits, picture
from trainer import Fuser
from trainer.config import load_config
from trainer.training.dry_run import describe
from trainer.training.loop import train

config, urls = load_config("mini.yaml"), ["0.tar"]
assert "GFLOP" in describe(config, urls)
train(config, urls, Path("whole"), device="cpu")
assert train(config, urls, Path("parts"), device="cpu", stop_after=50) is None
train(load_config("mini.yaml", {"run.workers": 3, "run.cache_mb": 0}), urls, Path("parts"), device="cpu")
assert_same_bits(Path("whole"), Path("parts"), 100)

fuser = Fuser.from_pretrained("whole/weights", device="cpu")
a, b = picture(1), picture(2)
first = fuser(a, b, "fuse the two")
assert first.shape == a.shape
assert np.array_equal(first, fuser(a, b, "fuse the two", seed=0, steps=3)), "the config's own number of steps"
assert not np.array_equal(first, fuser(a, b, "fuse the two", seed=1))
assert not np.array_equal(first, fuser(a, b, "fuse the two", steps=1))
"""


def test_a_new_objective_takes_one_file_is_trained_resumed_and_sampled(copy: Path) -> None:
    (copy / "trainer/objectives/straight.py").write_text(example("Add an objective"))
    (copy / "tests/trainer").mkdir(parents=True)
    for folder in ("tests", "tests/trainer"):
        (copy / folder / "__init__.py").touch()
    shutil.copy(ROOT / "tests/trainer/helpers.py", copy / "tests/trainer")
    write_config(copy, samples=100, objective={"kind": "straight", "steps": 3, "prompt_dropout": 0.1})
    run(copy, "-c", TRAIN_AND_FUSE)
    assert json.loads((copy / "whole/weights/fuser.json").read_text())["objective"] == {
        "kind": "straight",
        "prompt_dropout": 0.1,
        "steps": 3,
    }


@pytest.mark.slow
def test_a_run_that_draws_noise_is_killed_and_resumed_and_equals_an_unbroken_one(copy: Path) -> None:
    (copy / "trainer/objectives/straight.py").write_text(example("Add an objective"))
    write_config(copy, samples=2000, objective={"kind": "straight"})
    words = ("-m", "trainer", "train", "--shards", "0.tar", "--config", "mini.yaml", "--device", "cpu", "--out")
    run(copy, *words, "whole")
    broken = start(copy, *words, "broken")
    while not list((copy / "broken/checkpoints").glob("[0-9]*")):
        time.sleep(0.01)
    broken.send_signal(signal.SIGKILL)
    broken.communicate()
    assert not (copy / "broken/weights").exists(), "it was stopped on the way"
    run(copy, *words, "broken")
    assert_same_bits(copy / "whole", copy / "broken", 2000)
