"""Runs that begin from a weights folder: a regression that goes on, and a flow beside one that stays as it is."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.trainer.helpers import Command, assert_same_bits, checkpoint_of, log_of, picture, write_shard
from tests.trainer.training.test_loop import start
from trainer import Fuser
from trainer.config import Config, load_config
from trainer.errors import UserError
from trainer.training.loop import train

NETWORK = {"width": 32, "depth": 1, "heads": 2, "fine": 1, "experts": 2}
FLOW = {"kind": "flow", "start": "regression", "times": "early", "steps": 2}


def config_of(folder: Path, init: Path | None = None, **sections: Any) -> Config:
    values = {
        "model": NETWORK,
        "autoencoder": {"channels": 16, "fit_samples": 8},
        "training": {"samples": 100, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50},
        "run": {"checkpoint_every": 40, "log_every": 20, "cache_mb": 64},
    }
    (folder / "mini.yaml").write_text(yaml.safe_dump(values | sections))
    return load_config(str(folder / "mini.yaml"), {"init": init and str(init)})


def flow_of(folder: Path, init: Path | None = None, **sections: Any) -> Config:
    return config_of(folder, init, model=NETWORK | {"adapters": 2}, objective=FLOW, **sections)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Shards, and the weights of a regression on them."""
    folder = tmp_path_factory.mktemp("finished")
    write_shard(folder / "0.tar", range(9))
    shards = str(folder / "0.tar")
    weights = train(config_of(folder), [shards], folder / "run", device="cpu")
    assert weights is not None
    return shards, weights


def network_of(weights: Path) -> dict[str, torch.Tensor]:
    return load_file(weights / "dit" / "diffusion_pytorch_model.safetensors")


def test_a_flow_leaves_its_regression_as_it_is_and_its_folder_holds_both(
    finished: tuple[str, Path], tmp_path: Path
) -> None:
    shards, weights = finished
    done = train(flow_of(tmp_path, weights), [shards], tmp_path / "run", device="cpu")
    assert done is not None
    before, after = network_of(weights), network_of(done)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert sum(name.endswith("lora_b") and bool(after[name].any()) for name in after.keys() - before.keys()) > 10
    regression, flow = Fuser.from_pretrained(weights, "cpu"), Fuser.from_pretrained(done, "cpu")
    a, b = picture(1), picture(2)
    fused = regression(a, b, "remove the haze")
    assert (flow(a, b, "remove the haze") != fused).any()
    alone = Fuser(flow.model.regression, flow.autoencoder, flow.text, regression.objective)
    assert (alone(a, b, "remove the haze") == fused).all()


def test_a_flow_that_is_broken_off_and_goes_on_without_the_folder_equals_an_unbroken_one(
    finished: tuple[str, Path], tmp_path: Path
) -> None:
    shards, weights = finished
    mine = tmp_path / "weights"
    shutil.copytree(weights, mine)
    train(flow_of(tmp_path, mine), [shards], tmp_path / "whole", device="cpu")
    train(flow_of(tmp_path, mine), [shards], tmp_path / "parts", device="cpu", stop_after=30)
    train(flow_of(tmp_path, mine), [shards], tmp_path / "parts", device="cpu", stop_after=50)
    shutil.rmtree(mine)
    train(flow_of(tmp_path, mine), [shards], tmp_path / "parts", device="cpu", stop_after=80)
    train(flow_of(tmp_path), [shards], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)
    paths = (tmp_path / run / "checkpoints/000000000100/state.json" for run in ("whole", "parts"))
    states = [json.loads(path.read_text()) | {"seconds": None} for path in paths]
    assert states[0] == states[1]
    assert states[0]["init"] == json.loads((weights / "fuser.json").read_text())["dit"]["hash"]


@pytest.mark.slow
def test_a_flow_that_is_killed_and_goes_on_equals_an_unbroken_one(finished: tuple[str, Path], tmp_path: Path) -> None:
    shards, weights = finished
    training = {"samples": 1500, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50}
    flow_of(tmp_path, weights, training=training)
    options = (Path(shards), str(tmp_path / "mini.yaml"), "--init", str(weights))
    assert start(options[0], tmp_path / "whole", *options[1:]).wait() == 0
    broken = start(options[0], tmp_path / "parts", *options[1:])
    while not list((tmp_path / "parts" / "checkpoints").glob("[0-9]*")):
        time.sleep(0.01)
    broken.kill()
    assert broken.wait() == -signal.SIGKILL
    assert start(options[0], tmp_path / "parts", *options[1:]).wait() == 0
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 1500)


def test_a_regression_goes_on_from_its_weights(finished: tuple[str, Path], tmp_path: Path) -> None:
    shards, weights = finished
    gentle = {"samples": 100, "batch_size": 10, "lr": 1e-9, "ema_half_life": 50, "weight_decay": 0.0}
    train(config_of(tmp_path, weights, training=gentle), [shards], tmp_path / "run", device="cpu", stop_after=40)
    for name, value in network_of(weights).items():
        if "router" not in name:
            torch.testing.assert_close(checkpoint_of(tmp_path / "run", 40)[f"model/{name}"], value, atol=1e-6, rtol=0)
    first = log_of(weights.parent)
    assert log_of(tmp_path / "run")[0]["loss"] < 0.9 * first[0]["loss"]


def test_a_run_that_goes_on_takes_no_other_weights(finished: tuple[str, Path], tmp_path: Path) -> None:
    shards, weights = finished
    train(config_of(tmp_path), [shards], tmp_path / "run", device="cpu", stop_after=10)
    with pytest.raises(UserError, match="other init than this command"):
        train(config_of(tmp_path, weights), [shards], tmp_path / "run", device="cpu")
    train(config_of(tmp_path, weights), [shards], tmp_path / "run", device="cpu", restart=True, stop_after=10)
    other = train(config_of(tmp_path, weights, seed=1), [shards], tmp_path / "other", device="cpu")
    with pytest.raises(UserError, match="other init than this command"):
        train(config_of(tmp_path, other), [shards], tmp_path / "run", device="cpu")


OTHERS: dict[str, dict[str, Any]] = {
    "model.depth is 1 there, and 2 is": {"model": NETWORK | {"depth": 2}},
    "model.rotary is True there, and False is": {"model": NETWORK | {"rotary": False}},
    "autoencoder.channels is 16 there, and 8 is": {"autoencoder": {"channels": 8}},
    "autoencoder.channels is 16 there, and 32 is": {"autoencoder": {"path": "mmaif"}},
    "objective is regression there, and flow is": {"objective": {"kind": "flow"}},
    "model.depth is 1 there, and 3 is": {
        "model": NETWORK | {"depth": 3, "adapters": 2},
        "objective": FLOW,
    },
}


@pytest.mark.parametrize("said", OTHERS)
def test_weights_of_another_network_are_refused_by_the_first_difference(
    finished: tuple[str, Path], tmp_path: Path, said: str
) -> None:
    shards, weights = finished
    with pytest.raises(UserError) as error:
        train(config_of(tmp_path, weights, **OTHERS[said]), [shards], tmp_path / "run", device="cpu")
    assert f"--init {weights}: {said}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_flow_can_begin_from_a_flow_of_the_same_adapters_and_no_regression_from_one(
    finished: tuple[str, Path], tmp_path: Path
) -> None:
    shards, weights = finished
    flow = train(flow_of(tmp_path, weights), [shards], tmp_path / "flow", device="cpu")
    again = train(flow_of(tmp_path, flow), [shards], tmp_path / "again", device="cpu")
    assert again is not None
    with pytest.raises(UserError, match=r"model\.adapters is 2 there, and 0 is"):
        train(config_of(tmp_path, flow), [shards], tmp_path / "run", device="cpu")
    wider = config_of(tmp_path, flow, model=NETWORK | {"adapters": 3}, objective=FLOW)
    with pytest.raises(UserError, match=r"model\.adapters is 2 there, and 3 is"):
        train(wider, [shards], tmp_path / "run", device="cpu")


def test_a_flow_from_a_regression_says_what_it_needs(finished: tuple[str, Path], tmp_path: Path) -> None:
    shards, _ = finished
    with pytest.raises(UserError, match=r"give its weights folder, --init"):
        train(flow_of(tmp_path), [shards], tmp_path / "run", device="cpu")
    for sections in ({"model": NETWORK | {"adapters": 2}}, {"objective": FLOW}):
        with pytest.raises(UserError, match=r"mini\.yaml: model\.adapters \d with this objective"):
            config_of(tmp_path, **sections)


def test_the_command_takes_a_folder_and_says_in_a_line_what_is_wrong_with_it(
    finished: tuple[str, Path], tmp_path: Path, trainer_main: Command
) -> None:
    shards, weights = finished
    config_of(tmp_path)
    command = ("train", "--shards", shards, "--config", tmp_path / "mini.yaml", "--out", tmp_path / "run")
    code, out, err = trainer_main(*command, "--device", "cpu", "--init", tmp_path / "gone")
    assert (code, out) == (2, "")
    assert f"trainer: --init {tmp_path / 'gone'}: no fuser.json in it" in err.splitlines()[-1]
    code, out, _ = trainer_main(*command, "--device", "cpu", "--init", weights)
    assert (code, out.strip()) == (0, f"weights: {tmp_path / 'run' / 'weights'}")


DETAIL = {
    "model": NETWORK | {"detail": {"width": 8, "blocks": 1}, "effects": ["haze", "noise"]},
    "objective": {"kind": "regression", "pictures": {"start": 0.0}},
    "training": {"samples": 100, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50, "learns": ["detail", "effects"]},
}


def test_parts_that_learn_alone_leave_the_rest_as_it_is_also_when_they_go_on(
    finished: tuple[str, Path], tmp_path: Path
) -> None:
    shards, weights = finished
    done = train(config_of(tmp_path, weights, **DETAIL), [shards], tmp_path / "whole", device="cpu")
    assert done is not None
    before, after = network_of(weights), network_of(done)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    added = {name.split(".")[0] for name in after.keys() - before.keys()}
    assert added == {"detail", "effects"}
    assert after["detail.out.weight"].any()
    lines = log_of(tmp_path / "whole")
    assert lines[-1]["loss/effects"] < lines[0]["loss/effects"]
    train(config_of(tmp_path, weights, **DETAIL), [shards], tmp_path / "parts", device="cpu", stop_after=50)
    train(config_of(tmp_path, **DETAIL), [shards], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)


def test_parts_cannot_learn_alone_beside_what_has_learned_nothing(finished: tuple[str, Path], tmp_path: Path) -> None:
    shards, _ = finished
    with pytest.raises(UserError, match=r"training\.learns detail, effects: .* --init RUN/weights"):
        train(config_of(tmp_path, **DETAIL), [shards], tmp_path / "run", device="cpu")
    with pytest.raises(UserError, match=r"model\.detail with an objective that looks at no picture"):
        config_of(tmp_path, **{**DETAIL, "objective": {"kind": "regression"}})
    with pytest.raises(UserError, match=r"training\.learns detail: the network has none"):
        config_of(tmp_path, **{**DETAIL, "model": NETWORK})
