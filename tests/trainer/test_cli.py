"""The command line: light to start, and one clear line for a user's mistake."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.trainer.helpers import Command, write_shard
from trainer.cli import app
from trainer.usage import _each_with_its_option

HEAVY = ("torch", "diffusers", "sentence_transformers", "transformers", "cv2", "pyarrow", "webdataset")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["fuse", "--help"], ["model", "--help"]])
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
    write_shard(tmp_path / "newer.tar", range(2), version="3")
    assert "format version 3" in refused(trainer_main, "train", "--shards", tmp_path / "newer.tar")
    write_shard(tmp_path / "films.tar", range(2), kind="films")
    assert "kind 'films'" in refused(trainer_main, "train", "--shards", tmp_path / "films.tar")
    write_shard(tmp_path / "latents.tar", range(2), kind="latents")  # which is known, and has other members
    assert "no column 'latents_name'" in refused(trainer_main, "train", "--shards", tmp_path / "latents.tar")
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
    assert "presets are b, gpu, l, release, release-cpu, release-cpu-days, s, ti, tiny" in refused(
        trainer_main, "train", "--shards", dataset, "--config", "huge"
    )


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


def test_a_network_is_shown_by_part_with_its_dense_control_where_it_has_experts(trainer_main: Command) -> None:
    code, out, _ = trainer_main("model", "--config", "release", "--size", "641x480")
    assert code == 0
    assert "81x60 positions of 32 channels, layers at 41x30" in out
    parameters = [int(line[30:42].replace(",", "")) for line in out.splitlines()[3:] if line[30:42].strip()]
    assert sum(parameters[:-1]) == parameters[-1] == 17_516_323
    assert "dense control" not in out
    code, out, _ = trainer_main("model", "--config", "ti", "--size", "128x128")
    assert code == 0
    assert "routed experts" in out
    assert "dense control" in out


@pytest.mark.parametrize("size", ["640", "640x", "0x480", "640X480", "-640x480", "640x480x3", "1e9x1", "٣x٣"])
def test_a_size_that_is_none_is_one_line(trainer_main: Command, size: str) -> None:
    assert f"--size {size}: give WIDTHxHEIGHT" in refused(trainer_main, "model", f"--size={size}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--shard", "x"), "No such option: --shard"),
        (("train", "--shards", "x", "--samples", "many"), "Invalid value for '--samples'"),
        (("train", "--shards", "x", "--stop-after", "0"), "--stop-after"),
        (("trian",), "No such command 'trian'"),
        (("fuse", "a.png"), "Missing option '--prompt'"),
    ],
)
def test_a_wrong_command_line_is_one_line(trainer_main: Command, arguments: tuple[str, ...], said: str) -> None:
    line = refused(trainer_main, *arguments)
    assert said in line
    assert line.endswith("--help")


def test_no_arguments_show_the_help(trainer_main: Command) -> None:
    code, out, err = trainer_main()
    assert code == 2
    assert "train" in out + err
    assert "fuse" in out + err


def unusable(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "file").write_text("mine")
    names = {"file": "file", "below a file": "file/run", "long": "x" * 300}
    return {case: tmp_path / name for case, name in names.items()} | {"proc": Path("/proc/run")}


@pytest.mark.parametrize("case", ["file", "below a file", "long", "proc"])
def test_a_folder_that_cannot_be_is_one_line(trainer_main: Command, dataset: Path, tmp_path: Path, case: str) -> None:
    out = unusable(tmp_path)[case]
    assert str(out) in refused_at_last(trainer_main, "train", "--shards", dataset, "--out", out, "--device", "cpu")
    assert (tmp_path / "file").read_text() == "mine"


def refused_at_last(main: Command, *arguments: object) -> str:
    """The line with which a command is refused, after what it told of its work."""
    code, out, err = main(*arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    lines = err.strip().splitlines()
    assert [line for line in lines if line.startswith("trainer: ")] == lines[-1:]
    return lines[-1]


@pytest.mark.parametrize("name", ["file/x.png", "x" * 300 + ".png", "folder.png", "noend", "../../proc/nowhere/x.png"])
def test_a_picture_that_cannot_be_written_is_told_before_any_work(
    trainer_main: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    out = tmp_path / name if "proc" not in name else Path("/proc/version/x.png")
    arguments = ("fuse", "a.png", "b.png", "--prompt", "x", "--weights", tmp_path / "none", "-o", out)
    assert str(out) in refused(trainer_main, *arguments)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), 1, "x.png: No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "x.png"), 2, "x.png: Permission denied"),
    ],
)
def test_ctrl_c_and_the_disk_are_one_line(
    trainer_main: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("trainer.inference.fuser.Fuser.from_pretrained", fail)
    arguments = ("fuse", "a.png", "b.png", "--prompt", "x", "--weights", tmp_path, "-o", tmp_path / "x.png")
    stopped, out, err = trainer_main(*arguments)
    assert stopped == code
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert said in err


def test_what_is_no_mistake_of_the_user_keeps_its_traceback(
    trainer_main: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("trainer.inference.fuser.Fuser.from_pretrained", fail)
    with pytest.raises(ZeroDivisionError):
        trainer_main("fuse", "a.png", "b.png", "--prompt", "x", "--weights", tmp_path, "-o", tmp_path / "x.png")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train --shard x", "No such option: --shard; did you mean --shards?; see trainer train --help"),
        ("train --samples x", "Invalid value for '--samples'"),
        ("train --shards", "'--shards' requires an argument"),
        ("train --shards --out x", "--shards: a value is needed, and --out stands there, an option of its own"),
        ("train --shards nowhere.tar b.tar --samples 5 c.tar", "unexpected extra argument"),
        ("encode --out x", "Missing option '--shards'; see trainer encode --help"),
        ("autoencoder train --photo x --out y", "No such option: --photo; did you mean --photos?"),
        ("tran", "No such command 'tran'. Did you mean 'train'?; see trainer --help"),
    ],
)
def test_the_nearest_name_and_the_way_to_help_are_told(trainer_main: Command, line: str, said: str) -> None:
    found = refused(trainer_main, *line.split())
    assert found.startswith("trainer: ")
    assert said in found


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("--shards a b --out o --set x=1 y=2", "--shards a --shards b --out o --set x=1 --set y=2"),
        ("--shards=a b --shards c", "--shards=a --shards b --shards c"),
        ("--val-shards a b --restart c", "--val-shards a --val-shards b --restart c"),
        ("--out o c", "--out o c"),
        ("--shards a -- b", "--shards a -- b"),
        ("--stop-after -5 --shards a", "--stop-after -5 --shards a"),
    ],
)
def test_several_values_may_follow_an_option_that_takes_many(line: str, meant: str) -> None:
    train = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    assert list(_each_with_its_option(train.params, line.split())) == meant.split()


def test_a_command_with_arguments_of_its_own_keeps_them(trainer_main: Command) -> None:
    said = refused(trainer_main, "autoencoder", "eval", "--images", "nowhere", "gone")
    assert "gone" in said
    assert "extra" not in said


def test_fuse_names_the_pictures_that_may_be_infrared(trainer_main: Command) -> None:
    line = refused(trainer_main, "fuse", "a.png", "b.png", "--prompt", "x", "-o", "x.png", "--infrared", "c")
    assert "infrared" in line
    assert "'auto', 'a', 'b' or 'none'" in line
