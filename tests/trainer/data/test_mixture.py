"""Several datasets by weight, some samples of one, and samples that are broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from torch.utils.data import DataLoader

from tests.trainer.data.helpers import keys
from tests.trainer.helpers import Command, assert_same_bits, log_of, write_shard
from trainer.config import Config, load_config
from trainer.data.choice import Only
from trainer.data.mixture import BLOCK, Mixture, shares_of
from trainer.data.shards import IndexedShards, open_shards
from trainer.errors import UserError
from trainer.training.loop import train


def indexed(path: Path, seed: int = 0, only: Only | None = None) -> IndexedShards:
    shards = open_shards([str(path)], seed, only=only or Only())
    assert isinstance(shards, IndexedShards)
    return shards


@pytest.fixture
def mixture(tmp_path: Path) -> Mixture:
    """Of 7, 40 and 300 samples, by 2 : 1 : 1."""
    for name, count, start in (("small", 7, 0), ("middle", 40, 100), ("large", 300, 1000)):
        write_shard(tmp_path / f"{name}.tar", range(start, start + count), size=8)
    parts = [indexed(tmp_path / f"{name}.tar") for name in ("small", "middle", "large")]
    return Mixture(parts, [2, 1, 1], seed=3)


def which(number: int) -> int:
    return int(np.searchsorted([7, 47, 347], number, "right"))


def test_every_block_has_each_dataset_by_its_weight(mixture: Mixture) -> None:
    assert len(mixture) == 347
    for block in range(2):
        numbers = [mixture.at(position) for position in range(block * BLOCK, (block + 1) * BLOCK)]
        assert Counter(which(number) for number in numbers) == {0: 512, 1: 256, 2: 256}
    thousands = np.array([which(mixture.at(position)) for position in range(64)])
    assert set(thousands) == {0, 1, 2}, "they are interleaved, not one after the other"


def test_no_dataset_repeats_a_sample_within_one_of_its_cycles(mixture: Mixture) -> None:
    for part, length in enumerate((7, 40, 300)):
        own = [number for position in range(3 * BLOCK) if which(number := mixture.at(position)) == part]
        for begin in range(0, len(own) - length, length):
            assert len(set(own[begin : begin + length])) == length
        assert own[:length] != own[length : 2 * length], "each cycle has an order of its own"


def test_what_stands_at_a_position_depends_on_nothing_before(mixture: Mixture) -> None:
    order = [5000, 3, 2047, 0, 4999]
    assert [mixture.at(position) for position in order] == [mixture.at(position) for position in order]
    again = Mixture(mixture.parts, [2, 1, 1], seed=3)
    assert [again.at(position) for position in range(4990, 5010)] == [
        mixture.at(position) for position in range(4990, 5010)
    ]
    other = Mixture(mixture.parts, [2, 1, 1], seed=4)
    assert [other.at(position) for position in range(50)] != [mixture.at(position) for position in range(50)]


def test_samples_come_in_the_order_that_is_asked(mixture: Mixture) -> None:
    numbers = [346, 0, 50, 6, 7]
    expected = ["000001299", "000000000", "000001003", "000000006", "000000100"]
    assert [sample.key for sample in mixture.load(numbers)] == expected


@pytest.mark.parametrize(
    ("weights", "shares"),
    [([1], [10]), ([1, 1], [5, 5]), ([2, 1], [7, 3]), ([1, 1, 1], [4, 3, 3]), ([1e6, 1, 1], [8, 1, 1])],
)
def test_shares_are_whole_and_none_is_nothing(weights: list[float], shares: list[int]) -> None:
    assert shares_of(weights, 10) == shares


def relabel(tar: Path, **columns: list[Any]) -> None:
    """Writes columns of a sidecar anew."""
    path = tar.with_suffix(".parquet")
    table = pq.read_table(path)
    for name, values in columns.items():
        kind = pa.list_(pa.string()) if name == "effects" else pa.string()
        column = pa.array(values, kind)
        place = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, column) if place is None else table.set_column(place, name, column)
    pq.write_table(table, path)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    write_shard(tmp_path / "mixed.tar", range(6), size=8)
    relabel(
        tmp_path / "mixed.tar",
        task=["vif", "mef", "vif", "mff", "vif", "mef"],
        kind=["full", "full", "keep", "full", "clean", "keep"],
        effects=[["haze"], ["rain", "noise"], ["haze", "noise"], [], [], ["snow"]],
    )
    return tmp_path / "mixed.tar"


@pytest.mark.parametrize(
    ("only", "numbers"),
    [
        ({"tasks": ("vif",)}, [0, 2, 4]),
        ({"kinds": ("keep", "clean")}, [2, 4, 5]),
        ({"effects": ("noise", "snow")}, [1, 2, 5]),
        ({"tasks": ("vif", "mff"), "effects": ("haze",), "kinds": ("full",)}, [0]),
    ],
)
def test_samples_are_chosen_by_what_the_sidecar_says(mixed: Path, only: dict[str, Any], numbers: list[int]) -> None:
    shards = indexed(mixed, only=Only(**only))
    assert sorted(keys(shards, range(len(shards)))) == numbers
    assert shards.fingerprint != indexed(mixed).fingerprint
    assert shards.failed == 0


def test_a_choice_of_nothing_is_told_with_what_was_asked(mixed: Path) -> None:
    with pytest.raises(UserError, match=r"no sample in 1 shards \(0 rows failed, tasks mfx\)"):
        indexed(mixed, only=Only(tasks=("mfx",)))


def config_of(folder: Path, data: Any) -> Config:
    values = {
        "model": {"width": 32, "depth": 1, "heads": 2},
        "autoencoder": {"channels": 16, "fit_samples": 8},
        "data": data,
        "training": {"samples": 60, "batch_size": 10, "lr": 2e-3, "ema_half_life": 50},
        "run": {"checkpoint_every": 20, "log_every": 20, "cache_mb": 64},
    }
    (folder / "mini.yaml").write_text(yaml.safe_dump(values))
    return load_config(str(folder / "mini.yaml"))


def test_a_run_on_datasets_by_weight_resumes_bit_for_bit(dataset: Path, tmp_path: Path, trainer_main: Command) -> None:
    write_shard(tmp_path / "more.tar", range(50, 70))
    relabel(tmp_path / "more.tar", task=["mef"] * 20)
    data = [{"shards": str(dataset), "weight": 2}, {"shards": [str(tmp_path / "more.tar")], "tasks": ["mef"]}]
    config = config_of(tmp_path, data)
    train(config, [], tmp_path / "whole", device="cpu")
    train(config, [], tmp_path / "parts", device="cpu", stop_after=30)
    command = ("train", "--config", tmp_path / "mini.yaml", "--out", tmp_path / "parts", "--device", "cpu")
    assert trainer_main(*command)[0] == 0
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 60)
    code, _, err = trainer_main(*command, "--shards", dataset)
    assert code == 2
    assert "both say what to train on" in err.splitlines()[-1]
    code, out, _ = trainer_main(*command, "--dry-run")
    assert code == 0
    assert "29 samples of 32x32 px in 3 shards" in out


def test_a_run_on_nothing_is_told(config_file: Callable[..., str], tmp_path: Path, trainer_main: Command) -> None:
    code, _, err = trainer_main("train", "--config", config_file(), "--out", tmp_path / "run")
    assert code == 2
    assert "neither says what to train on" in err.splitlines()[-1]


def break_in(tar: Path, keys: list[int]) -> None:
    """Overwrites the middle of the target of some samples."""
    table = pq.read_table(tar.with_suffix(".parquet")).to_pylist()
    data = bytearray(tar.read_bytes())
    for number in keys:
        row = table[number]
        middle = row["target_offset"] + row["target_size"] // 2
        data[middle : middle + 4] = b"\0\1\2\3"
    tar.write_bytes(bytes(data))


def test_a_broken_sample_is_passed_over_told_once_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "0.tar", range(200), size=8)
    break_in(tmp_path / "0.tar", [7, 199])
    shards = indexed(tmp_path / "0.tar")
    for _ in range(2):
        assert [sample.key for sample in shards.load([6, 7, 199])] == ["000000006", "000000008", "000000000"]
    assert shards.broken == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in said] == ["passed over"] * 2
    assert "000000007.target.png" in said[0]


def test_over_one_in_a_hundred_ends_the_run_with_a_line(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(200), size=8)
    break_in(tmp_path / "0.tar", [3, 4, 5])
    shards = indexed(tmp_path / "0.tar")
    with pytest.raises(UserError, match=r"3 of 200 samples cannot be used, over 1%"):
        shards.load([3])


def test_a_run_goes_on_past_a_broken_sample_and_logs_it(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(150))
    break_in(tmp_path / "0.tar", [10])
    config = config_of(tmp_path, [])
    cycle = config.model_copy(update={"training": config.training.model_copy(update={"samples": 150})})
    train(cycle, [str(tmp_path / "0.tar")], tmp_path / "run", device="cpu")
    assert log_of(tmp_path / "run")[-1]["broken"] == 1


def test_a_loader_of_torch_drives_the_samples(mixed: Path) -> None:
    samples = indexed(mixed).samples
    loader = DataLoader(samples, batch_size=2, num_workers=2, collate_fn=lambda found: [s.key for s in found])
    assert [key for batch in loader for key in batch] == [f"{number:09d}" for number in range(6)]
