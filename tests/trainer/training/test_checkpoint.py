"""A run's folder: whole at every moment, read in spite of damage, begun anew where that is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from tests.trainer.helpers import assert_same_bits, log_of, write_shard
from trainer.config import Config, load_config
from trainer.errors import UserError
from trainer.training.loop import train

DAMAGE: dict[str, Callable[[Path], object]] = {
    "no state": lambda folder: (folder / "state.json").unlink(),
    "half a state": lambda folder: (folder / "state.json").write_text('{"samp'),
    "a list": lambda folder: (folder / "state.json").write_text("[1]"),
    "other samples": lambda folder: (folder / "state.json").write_text('{"version": 2, "samples": "x"}'),
    "half a model": lambda folder: truncate(folder / "model.safetensors"),
    "half an optimizer": lambda folder: truncate(folder / "optimizer.safetensors"),
    "no average": lambda folder: (folder / "ema.safetensors").unlink(),
    "other model": lambda folder: save_file({"x": torch.zeros(1)}, folder / "model.safetensors"),
    "other optimizer": lambda folder: save_file({"x/step": torch.zeros(1)}, folder / "optimizer.safetensors"),
}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Config]:
    """Shards, a run of 40 samples with checkpoints at 20 and 40, its config."""
    folder = tmp_path_factory.mktemp("finished")
    write_shard(folder / "0.tar", range(8))
    values = {
        "name": "mini",
        "model": {"width": 32, "depth": 1, "heads": 2},
        "autoencoder": {"channels": 16, "fit_samples": 4},
        "training": {"samples": 40, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50},
        "run": {"checkpoint_every": 20, "log_every": 10},
    }
    (folder / "mini.yaml").write_text(yaml.safe_dump(values))
    config = load_config(str(folder / "mini.yaml"))
    train(config, [str(folder / "0.tar")], folder / "run", device="cpu")
    return folder / "0.tar", folder / "run", config


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    finished: tuple[Path, Path, Config], tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "checkpoints" / "0-notes").mkdir()
    (run / "checkpoints" / "999999999999").write_text("a file")
    DAMAGE[case](run / "checkpoints" / "000000000040")
    train(config, [str(shards)], run, device="cpu")
    said = capsys.readouterr().err
    assert "going on from the checkpoint before it" in said
    assert "samples 20 to 40" in said
    assert_same_bits(whole, run, 40)
    assert (run / "checkpoints" / "damaged-000000000040").is_dir(), "nothing is lost"


def test_a_run_without_a_whole_checkpoint_is_refused_or_begun_anew(
    finished: tuple[Path, Path, Config], tmp_path: Path
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for folder in (run / "checkpoints").iterdir():
        truncate(folder / "ema.safetensors")
    with pytest.raises(UserError, match=r"no checkpoint of this run is whole.*--restart"):
        train(config, [str(shards)], run, device="cpu")
    train(config, [str(shards)], run, device="cpu", restart=True)
    assert_same_bits(whole, run, 40)


def test_a_log_with_foreign_lines_is_read(finished: tuple[Path, Path, Config], tmp_path: Path) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    lines = (whole / "log.jsonl").read_text()
    (run / "log.jsonl").write_bytes(b'{"note": 1}\n[]\n\xff\n{}}\n' + lines.encode() + b'{"samples": 5')
    train(config, [str(shards)], run, device="cpu")
    assert (run / "log.jsonl").read_text() == lines


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"[1]", b"model: ["])
def test_a_config_of_the_run_that_cannot_be_read_is_one_line(
    finished: tuple[Path, Path, Config], tmp_path: Path, text: bytes
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "config.yaml").write_bytes(text)
    with pytest.raises(UserError, match=r"config\.yaml: .*--restart") as error:
        train(config, [str(shards)], run, device="cpu")
    assert "\n" not in str(error.value)


def test_restart_begins_anew_in_the_place_of_another_run_alone(
    finished: tuple[Path, Path, Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "notes.txt").write_text("mine")
    train(config, [str(shards)], run, device="cpu", restart=True)
    assert "samples 40 to 40" in capsys.readouterr().err, "the same run goes on"
    other = tmp_path / "other.tar"
    write_shard(other, range(20, 28))
    with pytest.raises(UserError, match=r"other shards.*--restart"):
        train(config, [str(other)], run, device="cpu")
    with pytest.raises(UserError, match="not there"):
        train(config, [str(tmp_path / "none.tar")], run, device="cpu", restart=True)
    assert_same_bits(whole, run, 40)
    train(config, [str(other)], run, device="cpu", restart=True, stop_after=20)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000000020"]
    assert not (run / "weights").exists(), "of the run before"
    train(config, [str(other)], run, device="cpu", restart=True)
    train(config, [str(other)], tmp_path / "new", device="cpu")
    assert_same_bits(tmp_path / "new", run, 40)
    assert len(log_of(run)) == 4
    assert (run / "notes.txt").read_text() == "mine"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    with pytest.raises(UserError, match="holds something else"):
        train(config, [str(other)], tmp_path / "full", device="cpu", restart=True)


def test_a_checkpoint_of_another_version_is_refused_in_one_line(
    finished: tuple[Path, Path, Config], tmp_path: Path
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for folder in (run / "checkpoints").iterdir():
        state = json.loads((folder / "state.json").read_text())
        (folder / "state.json").write_text(json.dumps(state | {"version": 1}))
    with pytest.raises(
        UserError, match=r"version 1, and this trainer reads 2; name another folder.*--restart"
    ) as error:
        train(config, [str(shards)], run, device="cpu")
    assert "\n" not in str(error.value)
    train(config, [str(shards)], run, device="cpu", restart=True)
    assert_same_bits(whole, run, 40)


def test_a_run_that_was_stopped_before_its_first_checkpoint_is_begun_again(
    finished: tuple[Path, Path, Config], tmp_path: Path
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for name in ("checkpoints", "weights"):
        shutil.rmtree(run / name)
    train(config, [str(shards)], run, device="cpu")
    assert_same_bits(whole, run, 40)


@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_of_somebody_elses_checkpoints_is_left_alone(
    finished: tuple[Path, Path, Config], tmp_path: Path, restart: bool
) -> None:
    shards, _, config = finished
    for name in ("checkpoints/epoch=3/model.pt", "weights/precious.bin", "log.jsonl"):
        (tmp_path / "theirs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / name).write_text("years")
    with pytest.raises(UserError, match="holds something else"):
        train(config, [str(shards)], tmp_path / "theirs", device="cpu", restart=restart)
    assert {path.read_text() for path in (tmp_path / "theirs").rglob("*") if path.is_file()} == {"years"}
    assert len([path for path in (tmp_path / "theirs").rglob("*") if path.is_file()]) == 3


def test_a_run_that_lost_its_config_is_refused_or_begun_anew(
    finished: tuple[Path, Path, Config], tmp_path: Path
) -> None:
    shards, whole, config = finished
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"no config\.yaml that says of what run.*--restart"):
        train(config, [str(shards)], run, device="cpu")
    assert not (run / "config.yaml").exists()
    train(config, [str(shards)], run, device="cpu", restart=True, stop_after=20)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["000000000020"]


def test_a_config_that_is_none_of_ours_is_not_written_over(finished: tuple[Path, Path, Config], tmp_path: Path) -> None:
    shards, _, config = finished
    (tmp_path / "config.yaml").write_text("theirs: 1\n")
    with pytest.raises(UserError, match=r"theirs: unknown key.*--restart"):
        train(config, [str(shards)], tmp_path, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
    assert (tmp_path / "config.yaml").read_text() == "theirs: 1\n"
