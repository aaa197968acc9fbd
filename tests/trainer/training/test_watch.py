"""Looking at a run on the way: held-out samples, sheets, TensorBoard, curves."""

from __future__ import annotations

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.helpers import Command, assert_same_bits, log_of, write_shard
from trainer import Fuser
from trainer.config import load_config, settings_of
from trainer.data.images import read_image
from trainer.data.shards import open_shards
from trainer.errors import UserError
from trainer.evaluation import metrics
from trainer.training.loop import train
from trainer.training.plot import curve, labels_of, plot, read_log, smoothed

ConfigFile = Callable[..., str]


@pytest.fixture
def held_out(tmp_path: Path) -> str:
    write_shard(tmp_path / "held.tar", range(50, 54))
    return str(tmp_path / "held.tar")


def looks_of(run: Path) -> list[dict[str, float]]:
    return [line for line in log_of(run) if "val/psnr" in line]


def test_held_out_samples_are_scored_with_the_averaged_weights_and_change_nothing(
    dataset: Path, held_out: str, tmp_path: Path, config_file: ConfigFile
) -> None:
    config = load_config(config_file(), {"run.val_every": 40, "run.val_samples": 3, "run.sheet": 2})
    weights = train(config, [str(dataset)], tmp_path / "run", device="cpu", held_out=[held_out])
    assert weights is not None
    train(config, [str(dataset)], tmp_path / "blind", device="cpu")
    assert_same_bits(tmp_path / "run", tmp_path / "blind", 100)
    looks = looks_of(tmp_path / "run")
    assert [look["samples"] for look in looks] == [40, 80, 100]
    shards, fuser = open_shards([held_out], 0), Fuser.from_pretrained(weights, "cpu")
    samples = shards.load([shards.at(position) for position in range(3)])
    each = [metrics.psnr(fuser(s.a, s.b, s.instruction), s.target) for s in samples]
    assert looks[-1]["val/psnr"] == pytest.approx(np.mean(each), abs=1e-4)
    assert {name for name in looks[-1] if name.startswith("val/ssim")} >= {"val/ssim", "val/ssim/mef"}
    sheets = sorted((tmp_path / "run" / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["000000000040.png", "000000000080.png", "000000000100.png"]
    page = read_image(sheets[-1])
    assert page.shape[1] == 4 * (32 + 4)
    assert page.shape[0] > 2 * 32


def test_without_a_number_it_looks_ten_times(
    dataset: Path, held_out: str, tmp_path: Path, config_file: ConfigFile
) -> None:
    train(load_config(config_file()), [str(dataset)], tmp_path / "run", device="cpu", held_out=[held_out])
    assert [look["samples"] for look in looks_of(tmp_path / "run")] == list(range(10, 101, 10))


def test_the_command_takes_held_out_shards_and_settings(
    dataset: Path, held_out: str, tmp_path: Path, config_file: ConfigFile, trainer_main: Command
) -> None:
    command = ("train", "--shards", dataset, "--config", config_file(), "--out", tmp_path / "run", "--device", "cpu")
    code, _, _ = trainer_main(
        *command, "--val-shards", held_out, "--set", "run.sheet=0", "--set", "training.samples=20"
    )
    assert code == 0
    assert [look["samples"] for look in looks_of(tmp_path / "run")] == [10, 20]
    assert not (tmp_path / "run" / "sheets").exists()
    code, _, err = trainer_main(*command, "--restart", "--val-shards", tmp_path / "gone.tar")
    assert code == 2
    assert f"--val-shards {tmp_path / 'gone.tar'}: not there" in err.splitlines()[-1]


@pytest.mark.parametrize("text", ["model.depth", "=3", "model..depth=3", "model.depth=[", "a b=1"])
def test_a_setting_that_is_none_is_told_in_a_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^--set ") as error:
        settings_of([text])
    assert "\n" not in str(error.value)


def test_settings_are_values_of_yaml() -> None:
    given = ["model.depth=6", "model.naf=false", "training.learns=[detail]", "name=x=y"]
    expected = {"model.depth": 6, "model.naf": False, "training.learns": ["detail"], "name": "x=y"}
    assert settings_of(given) == expected


def test_tensorboard_gets_what_the_log_has(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = load_config(config_file(), {"run.tensorboard": True})
    train(config, [str(dataset)], tmp_path / "run", device="cpu", stop_after=40)
    train(config, [str(dataset)], tmp_path / "run", device="cpu")
    found = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    shown = {event.step: event.value for event in found.Scalars("loss")}
    assert shown == {line["samples"]: pytest.approx(line["loss"]) for line in log_of(tmp_path / "run")}


def test_without_the_package_tensorboard_is_refused(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="pip install tensorboard"):
        train(load_config(config_file(), {"run.tensorboard": True}), [str(dataset)], tmp_path / "run", device="cpu")


def log_at(folder: Path, count: int) -> Path:
    folder.mkdir()
    lines = [{"samples": 10 * i, "loss": 1 / i, "lr": 0.1} for i in range(1, count + 1)]
    lines.insert(1, {"samples": 15, "val/psnr": 20.0})
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"samples": 99')
    return folder


def test_curves_are_read_from_logs(tmp_path: Path) -> None:
    lines = read_log(log_at(tmp_path / "one", 4))
    assert curve(lines, "loss") == ([10, 20, 30, 40], [1, 1 / 2, 1 / 3, 1 / 4])
    assert curve(lines, "val/psnr") == ([15], [20.0])
    assert smoothed([1.0] * 40 + [3.0]) == [1.0] * 40 + [2.0]


def test_runs_are_drawn_beside_each_other(tmp_path: Path, trainer_main: Command) -> None:
    runs = [log_at(tmp_path / "one", 4), log_at(tmp_path / "two", 40)]
    code, out, _ = trainer_main("plot", *runs, "--out", tmp_path / "curves.svg")
    assert (code, out.strip()) == (0, f"wrote {tmp_path / 'curves.svg'}")
    drawn = (tmp_path / "curves.svg").read_text()
    for text, there in {"learning rate": True, "one": True, "two": True, "SSIM of held-out samples": False}.items():
        assert (f"<!-- {text} -->" in drawn) == there, text
    code, _, err = trainer_main("plot", *runs, "--out", tmp_path / "curves.xyz")
    assert code == 2
    assert "cannot be written" in err


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no log of a run"):
        plot([tmp_path], tmp_path / "curves.png")


def test_the_schema_knows_every_section(trainer_main: Command) -> None:
    code, out, _ = trainer_main("schema")
    found = json.loads(out)
    assert code == 0
    assert set(found["properties"]) >= {"model", "objective", "training", "run", "pool"}
    assert "detail" in found["$defs"]["NetworkConfig"]["properties"]


@pytest.mark.parametrize("linked", [False, True])
def test_held_out_shards_that_are_trained_on_are_told(
    linked: bool, dataset: Path, held_out: str, tmp_path: Path, config_file: ConfigFile, capsys: Any
) -> None:
    config = load_config(config_file(samples=10), {"run.val_samples": 1, "run.val_every": 10})
    train(config, [str(dataset)], tmp_path / "run", device="cpu", held_out=[held_out])
    assert "warning" not in capsys.readouterr().err
    same = str(dataset / "000001.tar")
    if linked:  # a copy under another name
        for end in ("tar", "parquet"):
            shutil.copy(dataset / f"000001.{end}", tmp_path / f"copy.{end}")
        same = str(tmp_path / "copy.tar")
    train(config, [str(dataset)], tmp_path / "other", device="cpu", held_out=[held_out, same])
    assert f"warning: --val-shards {same}: trained on too" in capsys.readouterr().err


def test_runs_of_one_name_are_both_drawn(tmp_path: Path, trainer_main: Command) -> None:
    runs = []
    for name in ("exp1", "exp2"):
        (tmp_path / name).mkdir()
        runs.append(log_at(tmp_path / name / "run", 4))
    out = tmp_path / "curves.svg"
    assert trainer_main("plot", *runs, runs[0] / "log.jsonl", "--out", out)[0] == 0
    drawn = out.read_text()
    assert "<!-- exp1/run -->" in drawn
    assert "<!-- exp2/run -->" in drawn
    assert labels_of([Path("/e/a/run"), Path("/e/b/run"), Path("/other"), Path("/run")]) == [
        *("a/run", "b/run", "other", "/run")
    ]
