"""The loop: it learns, it resumes bit for bit, and it refuses what does not belong together."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.helpers import Command, assert_same_bits, log_of, write_shard
from trainer.config import load_config
from trainer.data.batches import Batch
from trainer.errors import UserError
from trainer.objectives import Losses
from trainer.objectives.regression import Regression
from trainer.training.loop import train
from trainer.training.schedule import learning_rate

ConfigFile = Callable[..., str]


def test_fifty_samples_and_fifty_more_equal_a_hundred_bit_for_bit(
    dataset: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    config = load_config(config_file())
    train(config, [str(dataset)], tmp_path / "whole", device="cpu")
    assert train(config, [str(dataset)], tmp_path / "parts", device="cpu", stop_after=50) is None
    assert not (tmp_path / "parts" / "weights").exists()
    other_workers = load_config(config_file(), {"run.workers": 3, "run.cache_mb": 0})
    train(other_workers, [str(dataset)], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)
    weights = "weights/dit/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "parts" / weights).read_bytes()
    assert [line["samples"] for line in log_of(tmp_path / "parts")] == [20, 40, 60, 80, 100]
    assert sorted(path.name for path in (tmp_path / "whole" / "checkpoints").iterdir()) == [
        "000000000080",
        "000000000100",
    ]


def test_a_streamed_run_resumes_bit_for_bit(tmp_path: Path, config_file: ConfigFile) -> None:
    write_shard(tmp_path / "bare.tar", range(7), sidecar=False)
    config, urls = load_config(config_file(samples=40)), [str(tmp_path / "bare.tar")]
    train(config, urls, tmp_path / "whole", device="cpu")
    train(config, urls, tmp_path / "parts", device="cpu", stop_after=20)
    train(config, urls, tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 40)


def test_the_loss_halves_on_a_few_samples(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    config = load_config(config_file(samples=800, batch_size=9, lr=5e-3))
    train(config, [str(dataset)], tmp_path / "run", device="cpu")
    losses = [line["loss"] for line in log_of(tmp_path / "run")]
    assert losses[-1] < 0.5 * losses[0]
    assert all(math.isfinite(loss) for loss in losses)


def test_a_folder_of_another_config_is_refused_and_shows_what_differs(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, trainer_main: Command
) -> None:
    train(load_config(config_file()), [str(dataset)], tmp_path / "run", device="cpu", stop_after=10)
    arguments = ("train", "--shards", dataset, "--out", tmp_path / "run", "--device", "cpu")
    code, _, err = trainer_main(*arguments, "--config", config_file(lr=1e-3))
    assert code == 2
    assert "training.lr is 0.002 there, 0.001 here" in err
    other = tmp_path / "other.tar"
    write_shard(other, range(20, 29))
    code, _, err = trainer_main("train", "--shards", other, *arguments[3:], "--config", config_file())
    assert code == 2
    assert "other shards" in err
    code, out, _ = trainer_main(*arguments, "--config", config_file(), "--batch-size", 5, "--stop-after", 20)
    assert (code, out) == (0, ""), "the size of a batch may change on the way"


def test_a_run_goes_on_to_more_samples_complete_or_not_and_not_to_fewer(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, trainer_main: Command
) -> None:
    constant = {"schedule": "constant", "warmup": 0, "batch_size": 5}
    train(load_config(config_file(samples=40, **constant)), [str(dataset)], tmp_path / "whole", device="cpu")
    arguments = ("train", "--shards", dataset, "--out", tmp_path / "run", "--device", "cpu", "--config")
    config = config_file(samples=20, **constant)
    assert trainer_main(*arguments, config, "--stop-after", 10)[0] == 0
    assert trainer_main(*arguments, config, "--samples", 40)[0] == 0
    assert_same_bits(tmp_path / "whole", tmp_path / "run", 40)  # the rate had not begun to fall
    assert load_config(str(tmp_path / "run" / "config.yaml")).training.samples == 40

    weights = (tmp_path / "run" / "weights" / "fuser.json").read_text()
    assert trainer_main(*arguments, config, "--samples", 50)[0] == 0
    assert [line["samples"] for line in log_of(tmp_path / "run")][-1] == 50
    assert (tmp_path / "run" / "weights" / "fuser.json").read_text() != weights
    code, _, err = trainer_main(*arguments, config)
    assert code == 2
    assert "its run has seen 50 samples, and 20 are fewer; ask for 50 or more" in err
    assert len(err.splitlines()) == 1
    assert trainer_main(*arguments, config, "--restart")[0] == 0
    assert log_of(tmp_path / "run")[-1]["samples"] == 20


def test_a_run_that_never_began_does_not_claim_its_folder(
    dataset: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    wrong = load_config(config_file(), {"autoencoder.path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"no config\.json"):
        train(wrong, [str(dataset)], tmp_path / "run", device="cpu")
    train(load_config(config_file()), [str(dataset)], tmp_path / "run", device="cpu", stop_after=10)


def test_samples_of_different_sizes_are_refused(tmp_path: Path, config_file: ConfigFile) -> None:
    write_shard(tmp_path / "0.tar", range(4))
    write_shard(tmp_path / "1.tar", range(4, 8), size=64)
    with pytest.raises(UserError, match="different sizes"):
        train(load_config(config_file()), [f"{tmp_path}/{{0,1}}.tar"], tmp_path / "run", device="cpu")


def test_a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = load_config(config_file(samples=200)), tmp_path / "run"
    train(config, [str(dataset)], run, device="cpu", stop_after=40)
    good = (run / "checkpoints" / "000000000040" / "model.safetensors").read_bytes()
    loss = Regression.loss
    monkeypatch.setattr(Regression, "loss", lambda *given: Losses(loss(*given).per_sample * math.nan))
    with pytest.raises(UserError, match=r"not finite in 10 steps in a row.*lower training\.lr"):
        train(config, [str(dataset)], run, device="cpu")
    newest = max((run / "checkpoints").iterdir())
    assert (newest.name, (newest / "model.safetensors").read_bytes()) == ("000000000120", good), "nothing moved"
    keys = json.loads((run / "not-finite.json").read_text())
    assert [len(step) for step in keys] == [10] * 10
    assert [line.get("loss") for line in log_of(run)[2:]] == [None] * 4


def test_a_step_that_is_not_finite_is_passed_over_and_counted(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = Regression.loss

    def once(self: Any, model: Any, batch: Batch, noise: Any) -> Losses:
        found = loss(self, model, batch, noise)
        return found._replace(per_sample=found.per_sample * (math.inf if 30 in batch.positions else 1))

    monkeypatch.setattr(Regression, "loss", once)
    assert train(load_config(config_file()), [str(dataset)], tmp_path / "run", device="cpu") is not None
    log = log_of(tmp_path / "run")
    assert [line["skipped"] for line in log] == [0, 1, 1, 1, 1]
    assert all(math.isfinite(line["loss"]) for line in log)


def test_a_step_in_parts_has_the_gradient_of_the_whole(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    for micro in (None, 3):
        config = load_config(config_file(samples=40), {"run.micro_batch": micro})
        train(config, [str(dataset)], tmp_path / str(micro), device="cpu")
    whole, in_parts = (log_of(tmp_path / name) for name in ("None", "3"))
    for one, other in zip(whole, in_parts, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_a_run_by_time_ends_in_it_with_weights_and_its_rate_falls_to_nothing(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, trainer_main: Command
) -> None:
    config, run = config_file(samples=10**9, schedule="constant"), tmp_path / "run"
    begun = time.monotonic()
    arguments = ("train", "--shards", dataset, "--config", config, "--out", run, "--device", "cpu", "--for")
    assert trainer_main(*arguments, "5s")[0] == 0
    assert time.monotonic() - begun < 8, "the start is not counted, nor a slow machine's last step"
    assert (run / "weights" / "fuser.json").is_file()
    log = log_of(run)
    assert len(log) > 3
    assert log[-1]["lr"] < 0.3 * max(line["lr"] for line in log)
    shares = [line["share"] for line in log]
    assert shares == sorted(shares)
    for wrong in ("5", "0s", "5 m", "-3m", "five"):
        code, _, err = trainer_main(*arguments, wrong)
        assert (code, "such as 90s, 8m or 1.5h" in err) == (2, True)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_either_optimizer_learns_and_resumes_bit_for_bit(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, optimizer: str
) -> None:
    config = load_config(config_file(optimizer=optimizer, schedule="constant"))
    train(config, [str(dataset)], tmp_path / "whole", device="cpu")
    train(config, [str(dataset)], tmp_path / "parts", device="cpu", stop_after=50)
    train(config, [str(dataset)], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)
    losses = [line["loss"] for line in log_of(tmp_path / "whole")]
    assert losses[-1] < 0.8 * losses[0]


def test_a_poor_autoencoder_is_warned_of(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, capsys: pytest.CaptureFixture[str]
) -> None:
    for channels, warned in ((1, True), (192, False)):
        config = load_config(config_file(), {"autoencoder.channels": channels})
        train(config, [str(dataset)], tmp_path / str(channels), device="cpu", stop_after=10)
        assert ("caps the result" in capsys.readouterr().err) == warned


def test_bf16_on_a_cpu_learns_about_as_fp32_does(dataset: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        train(load_config(config_file(precision=precision)), [str(dataset)], tmp_path / precision, device="cpu")
        losses.append(log_of(tmp_path / precision)[-1]["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def start(dataset: Path, run: Path, config: str, *more: str) -> subprocess.Popen[bytes]:
    code = "from trainer.cli import main; main()"
    options = ("--shards", str(dataset), "--out", str(run), "--config", config, "--device", "cpu", *more)
    return subprocess.Popen([sys.executable, "-c", code, "train", *options], stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_equals_an_unbroken_one(
    dataset: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    config = config_file(samples=3000)
    assert start(dataset, tmp_path / "whole", config).wait() == 0
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        run = tmp_path / number.name
        broken = start(dataset, run, config)
        while not list((run / "checkpoints").glob("[0-9]*")):
            time.sleep(0.01)
        broken.send_signal(number)
        assert broken.wait() == code
        assert not (run / "weights").exists(), "it was stopped on the way"
        assert start(dataset, run, config).wait() == 0
        assert_same_bits(tmp_path / "whole", run, 3000)


def test_the_learning_rate_rises_and_falls_by_samples() -> None:
    config = load_config("tiny", {"training.samples": 1000, "training.warmup": 0.1, "training.lr": 1.0}).training
    assert [learning_rate(share, config) for share in (0.05, 0.1, 0.55, 1.0)] == pytest.approx([0.5, 1.0, 0.5, 0.0])


def test_what_is_wrong_from_the_start_leaves_nothing_behind(
    dataset: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    wrong = load_config(config_file(), {"text.encoder": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="no such folder"):
        train(wrong, [str(dataset)], tmp_path / "run", device="cpu")
    for tar in dataset.glob("*.tar"):
        tar.write_bytes(b"x" * tar.stat().st_size)
    with pytest.raises(UserError, match="not the bytes"):
        train(load_config(config_file()), [str(dataset)], tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_shard_that_breaks_on_the_way_keeps_what_was_trained(tmp_path: Path, config_file: ConfigFile) -> None:
    config = load_config(config_file(samples=40, batch_size=1), {"autoencoder.fit_samples": 1})
    write_shard(tmp_path / "0.tar", range(6), sidecar=False)
    whole = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UserError, match="not a whole tar"):
        train(config, [str(tmp_path / "0.tar")], tmp_path / "run", device="cpu")
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1


def test_a_stream_of_other_tars_of_the_same_name_is_refused(tmp_path: Path, config_file: ConfigFile) -> None:
    config, tar = load_config(config_file(samples=40)), tmp_path / "0.tar"
    write_shard(tar, range(6), sidecar=False)
    train(config, [str(tar)], tmp_path / "run", device="cpu", stop_after=20)
    write_shard(tar, range(6, 12), sidecar=False)
    with pytest.raises(UserError, match="other shards"):
        train(config, [str(tar)], tmp_path / "run", device="cpu")


@pytest.mark.slow
def test_eight_samples_are_learned_to_a_tenth_of_the_first_loss(tmp_path: Path, config_file: ConfigFile) -> None:
    write_shard(tmp_path / "0.tar", range(8))
    changes = {"model.width": 64, "model.depth": 2, "training.warmup": 0.05}
    config = load_config(config_file(samples=1600, batch_size=8, lr=3e-3), changes)
    train(config, [str(tmp_path / "0.tar")], tmp_path / "run", device="cpu")
    losses = [line["loss"] for line in log_of(tmp_path / "run")]
    assert losses[-1] < 0.1 * losses[0]
