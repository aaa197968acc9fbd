"""Several processes train as one: the same samples, the same loss, one folder; on loopback, with gloo."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tests.trainer.helpers import Command, assert_same_bits, log_of, picture
from trainer.config import load_config
from trainer.errors import UserError
from trainer.inference.fuser import Fuser
from trainer.model.dit import FusionDiT
from trainer.training.loop import train
from trainer.training.optimizers import build_optimizers
from trainer.training.ranks import Ranks
from trainer.training.schedule import parts, steps
from trainer.training.sharding import here, shard, spread
from trainer.training.sharding import whole as gathered

ConfigFile = Callable[..., str]


def launch(dataset: Path, run: Path, config: str, *more: str) -> subprocess.Popen[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--shards", str(dataset), "--out", str(run), "--config", config, "--device", "cpu", *more]
    return subprocess.Popen([*torchrun, "-m", "trainer", "train", *options], stderr=subprocess.PIPE, text=True)


def await_checkpoint(run: Path, launched: subprocess.Popen[str]) -> None:
    while not list((run / "checkpoints").glob("[0-9]*")):
        assert launched.poll() is None
        time.sleep(0.05)


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


WAYS = {
    "ddp": (),
    "fsdp2": ("run.sharding=fsdp2",),
    "fsdp2 in parts": ("run.sharding=fsdp2", "run.micro_batch=2", "run.checkpointing=true"),
}


def options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def kill(launched: subprocess.Popen[str]) -> None:
    """torchrun and what it has launched, by SIGKILL."""
    children = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
    for pid in (launched.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    launched.wait()


def assert_one_curve(one: Path, other: Path) -> None:
    for a, b in zip(log_of(one), log_of(other), strict=True):
        assert b["samples"] == a["samples"]
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)
        assert b["grad_norm"] == pytest.approx(a["grad_norm"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "optimizer"), [("ddp", "adamw"), ("fsdp2", "adamw"), ("fsdp2 in parts", "muon")])
def test_two_processes_have_the_losses_of_one(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, way: str, optimizer: str
) -> None:
    path = config_file(samples=100, optimizer=optimizer, snapshots={"count": 2})
    train(load_config(path), [str(dataset)], tmp_path / "one", device="cpu")
    two = launch(dataset, tmp_path / "two", path, *options(*WAYS[way]))
    assert two.wait() == 0, two.stderr and two.stderr.read()
    assert [line["samples"] for line in log_of(tmp_path / "two")] == [20, 40, 60, 80, 100]
    assert_one_curve(tmp_path / "one", tmp_path / "two")
    ours, theirs = (
        {file.relative_to(run): load_file(file) for file in sorted(run.rglob("*.safetensors"))}
        for run in (tmp_path / "one", tmp_path / "two")
    )
    assert len(ours) >= 2 * 5 + 4 + 1, "two checkpoints, two averages at two stands, and the weights"
    assert theirs.keys() == ours.keys()
    for file, tensors in ours.items():
        there = theirs[file]
        assert {k: (t.shape, t.dtype) for k, t in there.items()} == {k: (t.shape, t.dtype) for k, t in tensors.items()}
        for name, tensor in tensors.items():  # Muon's products are in bf16
            torch.testing.assert_close(there[name], tensor, atol=2e-3 if optimizer == "muon" else 1e-4, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp2"])
def test_two_processes_stop_together_and_one_goes_on(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, way: str
) -> None:
    path, run = config_file(samples=3000, snapshots={"count": 30}), tmp_path / "run"
    broken = launch(dataset, run, path, *options(*WAYS[way]))
    await_checkpoint(run, broken)
    broken.send_signal(signal.SIGTERM)
    broken.wait()
    stood = max(int(folder.name) for folder in (run / "checkpoints").iterdir())
    assert 0 < stood < 3000
    train(load_config(path), [str(dataset)], run, device="cpu")
    assert [line["samples"] for line in log_of(run)] == list(range(20, 3001, 20))
    assert len(list((run / "snapshots").iterdir())) == 60


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp2"])
def test_two_processes_go_on_where_one_stopped(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, way: str
) -> None:
    path, run = config_file(samples=100), tmp_path / "run"
    train(load_config(path), [str(dataset)], tmp_path / "unbroken", device="cpu")
    assert train(load_config(path), [str(dataset)], run, device="cpu", stop_after=40) is None
    two = launch(dataset, run, path, *options(*WAYS[way]))
    assert two.wait() == 0, two.stderr and two.stderr.read()
    assert_one_curve(tmp_path / "unbroken", run)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_sharded_run_that_is_killed_and_goes_on_equals_an_unbroken_one(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, optimizer: str
) -> None:
    path, run = config_file(samples=200, optimizer=optimizer), tmp_path / "run"
    broken = launch(dataset, run, path, *options(*WAYS["fsdp2"]))
    await_checkpoint(run, broken)
    kill(broken)
    assert not (run / "weights").exists()
    for folder in (run, tmp_path / "unbroken"):
        going = launch(dataset, folder, path, *options(*WAYS["fsdp2"]))
        assert going.wait() == 0, going.stderr and going.stderr.read()
    assert_same_bits(tmp_path / "unbroken", run, 200)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp2"])
def test_two_processes_end_when_the_time_is_up(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, way: str
) -> None:
    path, run = config_file(samples=10**6, snapshots={"count": 3}), tmp_path / "run"
    settings = (*WAYS[way], "run.checkpoint_every=1000000", "run.checkpoint_minutes=0.03", "run.val_samples=1")
    two = launch(dataset, run, path, "--for", "15s", "--val-shards", str(dataset), *options(*settings))
    assert two.wait(120) == 0, two.stderr and two.stderr.read()
    assert [line for line in log_of(run) if "val/psnr" in line]
    assert list((run / "snapshots").iterdir())
    Fuser.from_pretrained(run / "weights")(picture(50), picture(51), "fuse the two")


def test_weights_beneath_adapters_are_not_shared_out(trainer_main: Command, dataset: Path) -> None:
    flow = ("model.adapters=4", "objective={kind: flow, start: regression}", "run.sharding=fsdp2")
    code, _, told = trainer_main("train", "--shards", dataset, "--config", "tiny", *options(*flow))
    assert code == 2
    assert "run.sharding: ddp" in told
    assert told.count("\n") == 1


def _step(rank: int, folder: str) -> None:
    """Three steps of Muon on matrices that two ranks share, and on whole ones; then one whose gradient is not finite
    in a part that one rank has."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    network = {"width": 16, "depth": 1, "heads": 1, "patches": False}
    torch.manual_seed(0)
    whole = FusionDiT(2, 8, 8, network)
    parted = copy.deepcopy(whole)
    shard(parted, torch.device("cpu"))
    config = load_config("tiny", {"training.optimizer": "muon"}).training
    optimizers = build_optimizers(whole, config), build_optimizers(parted, config)
    for _ in range(3):
        for ours, theirs in zip(whole.parameters(), parted.parameters(), strict=True):
            ours.grad = torch.randn_like(ours)
            theirs.grad = spread(ours.grad.clone(), theirs)
        first, second = (each.step(1e-2, 1.0) for each in optimizers)
        assert first is not None
        assert second is not None
        torch.testing.assert_close(second, first)
    torch.testing.assert_close(gathered(parted.state_dict()), dict(whole.state_dict()), atol=1e-4, rtol=1e-3)

    before = gathered(parted.state_dict())
    for number, parameter in enumerate(parted.parameters()):
        parameter.grad = torch.zeros_like(parameter)
        if number == 1 and rank == 1:  # the first is one row, which the other has
            here(parameter.grad)[0] = torch.nan
    assert optimizers[1].step(1e-2, 1.0) is None
    torch.testing.assert_close(gathered(parted.state_dict()), before, atol=0, rtol=0)
    assert gathered(parted.state_dict(), keep=False)["embed.weight"].numel() == 0
    dist.destroy_process_group()


@pytest.mark.slow
def test_matrices_that_are_shared_out_step_as_whole_ones(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_step, (str(tmp_path),), nprocs=2)
