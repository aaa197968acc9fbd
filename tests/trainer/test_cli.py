"""The command line: light to start, and one clear line for a user's mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.helpers import Command, write_shard

HEAVY = ("torch", "diffusers", "sentence_transformers", "transformers", "cv2", "pyarrow", "webdataset")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["fuse", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom trainer.cli import main\n"
        f"sys.argv = ['trainer', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, trainer; print([name for name in {HEAVY!r} if name in sys.modules], sorted(trainer.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['Fuser', 'load_autoencoder']"


def refused(main: Command, *arguments: object) -> str:
    """The one line with which a command is refused."""
    code, out, err = main(*arguments)
    assert code == 2
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ("nowhere.tar", "nowhere.tar: not there"),
        ("nowhere", "nowhere: not there"),
        ("x{0..1.tar", "braces do not match"),
        ("http://127.0.0.1:9/000000.tar", "cannot be read"),
    ],
)
def test_a_shard_that_is_not_there_is_one_line(
    trainer_main: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(trainer_main, "train", "--shards", shards, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists(), "a refused command leaves nothing behind"


def test_a_newer_version_and_another_kind_are_refused(trainer_main: Command, tmp_path: Path, dataset: Path) -> None:
    write_shard(tmp_path / "newer.tar", range(2), version="2")
    assert "format version 2" in refused(trainer_main, "train", "--shards", tmp_path / "newer.tar")
    write_shard(tmp_path / "latents.tar", range(2), kind="latents")
    assert "kind 'latents'" in refused(trainer_main, "train", "--shards", tmp_path / "latents.tar")
    (dataset / "dataset.json").write_text(json.dumps({"version": 7, "kind": "images"}))
    assert "format version 7" in refused(trainer_main, "train", "--shards", dataset)


def test_a_shard_of_failed_rows_alone_is_refused(trainer_main: Command, tmp_path: Path) -> None:
    write_shard(tmp_path / "failed.tar", range(2), failed=(0, 1))
    assert "2 rows failed" in refused(trainer_main, "train", "--shards", tmp_path / "failed.tar")


def test_an_unfinished_shard_among_finished_ones_is_refused(trainer_main: Command, dataset: Path) -> None:
    (dataset / "000001.parquet").unlink()
    line = refused(trainer_main, "train", "--shards", f"{dataset}/{{000000..000001}}.tar")
    assert "000001.tar: no sidecar" in line


def test_a_missing_config_names_the_presets(trainer_main: Command, dataset: Path) -> None:
    assert "presets are small, tiny" in refused(trainer_main, "train", "--shards", dataset, "--config", "huge")


def test_a_folder_of_other_things_is_not_taken_as_output(trainer_main: Command, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    assert "holds something else" in refused(trainer_main, "train", "--shards", dataset, "--out", tmp_path / "full")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years"


def test_an_unknown_device_is_one_line(trainer_main: Command, dataset: Path) -> None:
    assert "--device tpu9" in refused(trainer_main, "train", "--shards", dataset, "--device", "tpu9")


def test_an_autoencoder_of_another_format_is_one_line(trainer_main: Command, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    arguments = ("train", "--shards", dataset, "--out", tmp_path / "run", "--autoencoder", tmp_path / "vae")
    assert "no config.json" in refused(trainer_main, *arguments)
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    assert "class 'UNet2DModel'" in refused(trainer_main, *arguments)
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    assert "no .safetensors" in refused(trainer_main, *arguments)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"not weights")
    assert "do not load as AutoencoderKL" in refused(trainer_main, *arguments)


def test_a_dry_run_counts_and_starts_nothing(
    trainer_main: Command, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = trainer_main("train", "--shards", dataset, "--dry-run")
    assert code == 0
    assert "9 samples of 32x32 px in 2 shards" in out
    assert "1 failed rows left out" in out
    assert "GFLOP" in out
    assert not (tmp_path / "runs").exists()
