"""Averages of any width, from snapshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.trainer.helpers import Command
from trainer.config import Snapshots
from trainer.errors import UserError
from trainer.training.ema import PowerEMA, exponent_of
from trainer.training.posthoc import Album, average, coefficients, snapshots_of

SAMPLES, BATCH = 40_000, 10


@pytest.mark.parametrize("std", [0.01, 0.05, 0.1, 0.25])
def test_the_exponent_gives_a_profile_of_that_width(std: float) -> None:
    x = (np.arange(400_000) + 0.5) / 400_000
    weights = x ** exponent_of(std)
    weights /= weights.sum()
    assert np.sqrt((weights * x**2).sum() - (weights * x).sum() ** 2) == pytest.approx(std, rel=1e-4)


class Walk(torch.nn.Module):
    """Weights that learn along a bent and noisy way."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._noise = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def step(self, seen: int) -> None:
        t = seen / SAMPLES
        self.weight.copy_(torch.tensor([t, np.sin(5 * t), 1 / (0.1 + t)]) + torch.randn(3, generator=self._noise) / 10)
        self.count += 1  # type: ignore[operator]


def test_a_third_width_comes_out_as_if_it_had_been_averaged_on_the_way(tmp_path: Path) -> None:
    walk, widths = Walk(), (0.03, 0.07, 0.15)
    album, direct = Album(walk, Snapshots(), tmp_path), {std: PowerEMA(walk, std) for std in widths}
    album.begin(0.0, 0)
    for seen in range(BATCH, SAMPLES + BATCH, BATCH):
        walk.step(seen)
        for ema in (*album.averages.values(), *direct.values()):
            ema.update(walk, seen, BATCH)
        album.see(seen / SAMPLES, seen)
    found = snapshots_of(tmp_path)
    assert sorted({snapshot.samples for snapshot in found}) == [SAMPLES // 16 * part for part in range(1, 17)]
    assert all(set(load_file(snapshot.path)) == {"weight", "count"} for snapshot in found), "nothing that stays"
    for std, ema in direct.items():
        shares = coefficients(found, SAMPLES, std)
        assert shares.sum() == pytest.approx(1, abs=0.01)
        weights = [load_file(snapshot.path)["weight"].double() for snapshot in found]
        together = sum(share * each for share, each in zip(shares, weights, strict=True))
        torch.testing.assert_close(together, ema.model.weight.double(), atol=6e-3, rtol=6e-3, check_dtype=False)
    with pytest.raises(UserError, match=r"kept no snapshots"):
        snapshots_of(tmp_path / "none")


def test_a_run_keeps_snapshots_goes_on_to_the_same_and_is_averaged_anew(
    dataset: Path, tmp_path: Path, config_file: Callable[..., str], trainer_main: Command
) -> None:
    config = config_file(snapshots={"count": 5})
    same = ("train", "--shards", dataset, "--config", config)
    assert trainer_main(*same, "--out", tmp_path / "whole")[0] == 0
    assert trainer_main(*same, "--out", tmp_path / "parts", "--stop-after", 50)[0] == 0
    late = tmp_path / "parts/snapshots/000000000090-0.1000.safetensors"  # of steps that were lost
    late.touch()
    assert trainer_main(*same, "--out", tmp_path / "parts")[0] == 0
    assert not late.exists()
    files = sorted(path.name for path in (tmp_path / "whole/snapshots").iterdir())
    assert len(files) == 10
    for name in files:
        ours, theirs = ((tmp_path / run / "snapshots" / name).read_bytes() for run in ("whole", "parts"))
        assert ours == theirs, name
    code, out, _ = trainer_main("average", tmp_path / "whole", "--std", 0.1, "--out", tmp_path / "w")
    assert (code, "of 10 snapshots" in out) == (0, True)
    kept = load_file(tmp_path / "whole/snapshots/000000000100-0.1000.safetensors")
    made = {}
    for file in (tmp_path / "w/dit").glob("*.safetensors"):
        made |= load_file(file)
    for name, tensor in made.items():
        torch.testing.assert_close(tensor.float(), kept[name].float(), atol=2e-3, rtol=2e-3)
    assert yaml.safe_load((tmp_path / "w/config.yaml").read_text())["training"]["snapshots"]["count"] == 5
    for path in (tmp_path / "whole/snapshots").iterdir():  # as of a run in which some weights did not learn
        save_file({name: tensor for name, tensor in load_file(path).items() if not name.startswith("blocks")}, path)
    assert trainer_main("average", tmp_path / "whole", "--std", 0.07, "--out", tmp_path / "rest")[0] == 0
    end, rest = ({}, {})
    for folder, found in (("whole/weights", end), ("rest", rest)):
        for file in (tmp_path / folder / "dit").glob("*.safetensors"):
            found |= load_file(file)
    assert {name for name in end if torch.equal(end[name], rest[name])} >= {n for n in end if n.startswith("blocks")}
    assert any(not torch.equal(end[name], rest[name]) for name in end)
    for arguments, message in (
        (("whole", 0.5, "x"), "give a width from 0.01 to 0.25"),
        (("whole", 0.1, "w"), "is there already"),
        (("dataset", 0.1, "x"), "no weights in it"),
    ):
        with pytest.raises(UserError, match=message):
            average(tmp_path / arguments[0], arguments[1], tmp_path / arguments[2])


def test_widths_that_cannot_be_are_refused() -> None:
    for stds in ([0.3], [0.005], [0.1, 0.1]):
        with pytest.raises(ValueError, match=r"each from 0\.01 to 0\.25, and none twice"):
            Snapshots(stds=stds)
