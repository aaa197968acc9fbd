"""Runs with steps of couples: which steps they are, that they resume bit for bit, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.helpers import Command, assert_same_bits, log_of, write_shard
from tests.trainer.training.test_ranks import assert_one_curve, launch
from trainer.config import load_config
from trainer.data.pool import PoolConfig
from trainer.errors import UserError
from trainer.training.loop import train
from trainer.training.ranks import Ranks
from trainer.training.schedule import of_couples, parts, steps

ConfigFile = Callable[..., str]


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    """Two shards of 6 samples, two of each pair."""
    folder = tmp_path / "grouped"
    folder.mkdir()
    for number in range(2):
        write_shard(folder / f"{number:06d}.tar", range(6 * number, 6 * number + 6), per_pair=2)
    manifest = {"version": 1, "kind": "images", "name": "grouped", "complete": True, "shards": []}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_the_share_of_the_steps_is_of_couples_evenly_and_by_their_positions_alone(share: float) -> None:
    training = load_config("tiny", {"training.samples": 16000, "training.batch_size": 16}).training
    whole = [of_couples(step, 16, share) for step in steps(0, training)]
    assert sum(whole) == pytest.approx(share * 1000, abs=1)
    assert [of_couples(step, 16, share) for step in steps(160, training)] == whole[10:]
    for start in range(0, 980, 20):
        assert sum(whole[start : start + 20]) == pytest.approx(20 * share, abs=1)


def test_a_step_of_an_odd_number_of_samples_is_of_none() -> None:
    assert of_couples(range(96, 100), 16, 1.0)
    assert not of_couples(range(96, 101), 16, 1.0)


def test_neither_parts_nor_ranks_cut_a_couple_in_two() -> None:
    step = range(7, 31)
    for most in (2, 3, 5, 8, 24, None):
        found = parts(step, most, 2)
        assert [position for part in found for position in part] == list(step)
        assert all(len(part) % 2 == 0 and len(part) <= (most or 24) for part in found)
    for count in (1, 2, 3, 4, 6):
        shares = [Ranks(rank, count).share(step, couples=True) for rank in range(count)]
        assert [position for share in shares for position in share] == list(step)
        assert {len(share) for share in shares} == {24 // count}


def test_ranks_that_would_part_couples_are_refused() -> None:
    training = load_config("tiny", {"training.samples": 96, "training.batch_size": 6}).training
    Ranks(0, 2).check(training)
    couples = training.model_copy(update={"couples": 0.1})
    Ranks().check(couples)
    with pytest.raises(UserError, match=r"some of them of couples, evenly; make both multiples of 4"):
        Ranks(0, 2).check(couples)
    pool = PoolConfig.model_validate({"stages": [{"until": 1, "batch_size": 6}]})
    with pytest.raises(UserError, match=r"pool\.stages\[0\]\.batch_size 6"):
        Ranks(0, 2).check(couples.model_copy(update={"batch_size": 8}), pool)
    pool = PoolConfig.model_validate({"stages": [{"until": 1, "batch_size": 8}]})
    Ranks(0, 2).check(couples, pool)
    with pytest.raises(UserError, match="of 98 samples"):  # the last step has what is left
        Ranks(0, 2).check(couples.model_copy(update={"samples": 98}), pool)


def test_a_run_that_goes_on_equals_an_unbroken_one_bit_for_bit(
    grouped: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    config = load_config(config_file(couples=0.3))
    train(config, [str(grouped)], tmp_path / "whole", device="cpu")
    assert train(config, [str(grouped)], tmp_path / "parts", device="cpu", stop_after=50) is None
    other_workers = load_config(config_file(couples=0.3), {"run.workers": 3, "run.cache_mb": 0})
    train(other_workers, [str(grouped)], tmp_path / "parts", device="cpu")
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)


def test_the_log_has_the_difference_in_lines_with_such_a_step_averaged_over_that_step_alone(
    grouped: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    every_step, every_other = (config_file(couples=0.25), "one"), (config_file(couples=0.25), "two")
    logs = []
    for (path, name), every in ((every_step, 10), (every_other, 40)):
        train(load_config(path, {"run.log_every": every}), [str(grouped)], tmp_path / name, device="cpu")
        logs.append(log_of(tmp_path / name))
    assert [line["samples"] for line in logs[0] if "loss/difference" in line] == [40, 80]
    assert [line["loss/difference"] for line in logs[1][:2]] == pytest.approx(
        [line["loss/difference"] for line in logs[0] if "loss/difference" in line]
    )


def test_a_step_of_couples_in_parts_has_the_gradient_of_the_whole(
    grouped: Path, tmp_path: Path, config_file: ConfigFile
) -> None:
    for micro in (None, 3):
        config = load_config(config_file(samples=40, couples=0.5), {"run.micro_batch": micro})
        train(config, [str(grouped)], tmp_path / str(micro), device="cpu")
    for one, other in zip(log_of(tmp_path / "None"), log_of(tmp_path / "3"), strict=True):
        assert other["loss/difference"] == pytest.approx(one["loss/difference"], rel=1e-5)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"training.batch_size": 5}, "training.batch_size 5 with training.couples"),
        ({"run.micro_batch": 1}, "run.micro_batch 1 with training.couples"),
        ({"pool": {"stages": [{"until": 1, "batch_size": 3}]}}, "pool.stages[0].batch_size 3"),
        ({"training.couples": 1.5}, "training.couples"),
        ({}, "instructions.per_pair: 2"),
        ({"pool": {"stages": [{"until": 1, "batch_size": 4}]}}, "instructions.per_pair: 2"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_written(
    dataset: Path, tmp_path: Path, config_file: ConfigFile, trainer_main: Command, settings: dict, told: str
) -> None:
    given = {"training.couples": 0.1} | settings
    options = [word for key, value in given.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = ("train", "--shards", dataset, "--config", config_file(), "--out", tmp_path / "run", "--device", "cpu")
    code, _, err = trainer_main(*command, *options)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(grouped: Path, tmp_path: Path, config_file: ConfigFile) -> None:
    path = config_file(samples=96, batch_size=8, couples=0.5)
    train(load_config(path), [str(grouped)], tmp_path / "one", device="cpu")
    two = launch(grouped, tmp_path / "two", path)
    assert two.wait() == 0, two.stderr and two.stderr.read()
    assert_one_curve(tmp_path / "one", tmp_path / "two")
    for one, other in zip(log_of(tmp_path / "one"), log_of(tmp_path / "two"), strict=True):
        assert other["loss/difference"] == pytest.approx(one["loss/difference"], rel=1e-5)


def test_an_objective_that_looks_at_no_difference_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.config.CouplesConfig", type("Other", (), {}))
    with pytest.raises(UserError, match="objective regression, which looks at no difference of outputs"):
        load_config("tiny", {"training.couples": 0.1})
