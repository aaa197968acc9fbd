"""A small dataset, a small config, and the command line in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.trainer.helpers import Command, write_shard

os.environ.setdefault("OMP_NUM_THREADS", "1")  # more threads only wait for each other on networks this small


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two shards of 5 samples, 32 px; the fourth sample failed."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    write_shard(folder / "000000.tar", range(5), failed=(3,))
    write_shard(folder / "000001.tar", range(5, 10))
    manifest = {"version": 1, "kind": "images", "name": "tiny", "complete": True, "shards": []}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a config small enough for a test; keyword arguments go into `training`. Returns its path."""

    def write(**training: Any) -> str:
        values = {
            "model": {"width": 32, "depth": 1, "heads": 2},
            "autoencoder": {"channels": 16, "fit_samples": 8},
            "training": {"samples": 100, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50} | training,
            "run": {"checkpoint_every": 40, "log_every": 20, "cache_mb": 64},
        }
        path = tmp_path / "mini.yaml"
        path.write_text(yaml.safe_dump(values))
        return str(path)

    return write


@pytest.fixture
def trainer_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process: arguments → exit code, stdout, stderr."""
    from trainer.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["trainer", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
