"""`make train-release`: what it would do, and a tiny one of it on pictures that are drawn here, given twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from bench.foreign_plan import HELD_OUT

ROOT = Path(__file__).parents[1]


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-C", str(ROOT), *arguments, "train-release"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | environment
    )


def test_it_says_what_it_would_do() -> None:
    dry = make("-n", "DATA=/there", "SAMPLES=100", "INIT=release", "WORKERS=3", "RELEASE=release-cpu-days")
    assert dry.returncode == 0, dry.stderr
    assert "--init release --samples 100 --out runs/train-release/run" in dry.stdout
    assert dry.stdout.count("--workers 3") == 2
    assert "--overwrite" not in dry.stdout, "the same command goes on"
    assert "--restart" not in dry.stdout


def pairs(root: Path, scenes: int) -> None:
    """A folder as `make train-release` wants it, of smooth pictures."""
    rng = np.random.default_rng(0)
    for task in ("vif", "mef", "mff"):
        for number in range(scenes):
            folder = root / "pairs" / "train" / task / f"drawn-{number}"
            folder.mkdir(parents=True)
            for name in ("a", "b"):
                coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(coarse, (288, 288), interpolation=cv2.INTER_CUBIC))
    (root / "photos" / "train").mkdir(parents=True)
    for number in range(scenes):
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (288, 288), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / "photos" / "train" / f"p{number}.png"), picture)


@pytest.mark.slow
def test_a_tiny_one_trains_on_scenes_that_neither_looks_nor_choices_have_and_goes_on(tmp_path: Path) -> None:
    pairs(tmp_path / "data", 24)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name in ("synth", "trainer"):
        (bin_ / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
        (bin_ / name).chmod(0o755)
    (bin_ / "installed").touch()
    config = {
        "model": {"width": 32, "depth": 1, "heads": 2},
        "training": {"samples": 40, "batch_size": 4, "couples": 0.5, "lr": 1e-3, "ema_half_life": 50},
        "pool": {"at_least": 4, "workers": 0, "stages": [{"until": 1, "window": 64, "batch_size": 4}]},
        "run": {"checkpoint_every": 20, "log_every": 20, "val_samples": 4},
    }
    (tmp_path / "mini.yaml").write_text(yaml.safe_dump(config))
    arguments = [f"BIN={bin_}", f"INSTALLED={bin_ / 'installed'}", f"DATA={tmp_path / 'data'}", "WORKERS=1"]
    arguments += ["RENDER=16", "WATCH=8", f"RELEASE={tmp_path / 'mini.yaml'}", f"RELEASE_OUT={tmp_path / 'out'}"]
    arguments += ["-o", "pyproject.toml", "-o", "constraints.txt", "-o", str(bin_ / "installed")]
    for samples, stood in (("20", 20), ("40", 40)):
        made = make(*arguments, f"SAMPLES={samples}", PYTHONPATH=str(ROOT))
        assert made.returncode == 0, made.stderr[-2000:]
        log = [json.loads(line) for line in (tmp_path / "out" / "run" / "log.jsonl").read_text().splitlines()]
        assert log[-1]["samples"] == stood
    assert any("loss/difference" in line for line in log)
    assert any("val/psnr" in line for line in log)
    sources = {}
    for name in ("shards", "watch"):
        told = json.loads((tmp_path / "out" / name / "dataset.json").read_text())
        sources[name] = told["recipe"]["data"]
    assert sources["shards"] == {"split": "train", "held_out": HELD_OUT, "held_out_val": 0.05}
    assert sources["watch"] == sources["shards"] | {"split": "val"}
