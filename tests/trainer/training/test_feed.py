"""A run by pool: it begins before its dataset is complete, goes through its stages, and leaves weights that load."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tests.trainer.helpers import log_of, picture, write_shard
from trainer.config import Config, load_config
from trainer.inference.fuser import Fuser
from trainer.training.loop import train

ConfigFile = Callable[..., str]


def pooled(path: str, minutes: float | None = None, **run: object) -> Config:
    values = yaml.safe_load(Path(path).read_text())
    values["pool"] = {
        "stages": [{"until": 0.5, "window": 16, "batch_size": 6}, {"until": 1, "batch_size": 3}],
        "at_least": 4,
        "workers": 0,
    }
    values["training"]["minutes"] = minutes
    values["run"] |= run
    Path(path).write_text(yaml.safe_dump(values))
    return load_config(path)


def test_training_begins_while_shards_are_still_made(tmp_path: Path, config_file: ConfigFile) -> None:
    folder = tmp_path / "growing"

    def make() -> None:
        folder.mkdir()
        for number in range(3):
            time.sleep(0.3)
            write_shard(folder / f"{number:06d}.tar", range(4 * number, 4 * number + 4))

    maker = threading.Thread(target=make)
    maker.start()
    weights = train(pooled(config_file(samples=10**6), 0.12), [str(folder)], tmp_path / "run", device="cpu")
    maker.join()
    assert weights is not None
    lines = log_of(tmp_path / "run")
    assert lines[-1]["pool"] == 12
    assert lines[-1]["visits"] == pytest.approx(lines[-1]["samples"] / 12)
    assert lines[-1]["loss"] < lines[0]["loss"]
    Fuser.from_pretrained(weights)(picture(50), picture(51), "fuse the two")


def test_weights_in_half_precision_load_as_what_was_meant(
    dataset: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    config = load_config(config_file(samples=40), {"run.half_weights": True})
    weights = train(config, [str(dataset)], tmp_path / "half", device="cpu")
    whole = train(load_config(config_file(samples=40)), [str(dataset)], tmp_path / "whole", device="cpu")
    assert weights is not None
    assert whole is not None
    half, full = (Fuser.from_pretrained(folder).model.state_dict() for folder in (weights, whole))
    for name, tensor in full.items():
        assert half[name].dtype == tensor.dtype
        assert torch.equal(half[name], tensor.half().float() if tensor.is_floating_point() else tensor)
    sizes = [next((folder / "dit").glob("*.safetensors")).stat().st_size for folder in (weights, whole)]
    assert sizes[0] < 0.6 * sizes[1]


def test_a_run_by_pool_goes_on_where_it_stopped(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    config = pooled(config_file(samples=60))
    assert train(config, [str(dataset)], tmp_path / "run", device="cpu", stop_after=20) is None
    assert train(config, [str(dataset)], tmp_path / "run", device="cpu") is not None
    states = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert json.loads((states[-1] / "state.json").read_text())["samples"] == 60


def test_compiled_blocks_compute_the_same(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    runs = []
    for name, compiled in (("eager", False), ("compiled", True)):
        config = load_config(config_file(samples=20), {"run.compile": compiled})
        train(config, [str(dataset)], tmp_path / name, device="cpu")
        runs.append(log_of(tmp_path / name)[-1]["loss"])
    assert runs[0] == pytest.approx(runs[1], rel=1e-3)
