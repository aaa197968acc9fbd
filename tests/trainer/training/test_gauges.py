"""What the log tells of the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.trainer.helpers import log_of
from trainer.config import load_config
from trainer.model.cost import total
from trainer.training import gauges
from trainer.training.dry_run import given_of
from trainer.training.loop import train
from trainer.training.parts import unfitted_autoencoder


def test_the_log_tells_operations_and_memory(dataset: Path, tmp_path: Path, config_file: Callable[..., str]) -> None:
    config = load_config(config_file())
    train(config, [str(dataset)], tmp_path / "run", device="cpu", stop_after=40)
    step = total(config.model, given_of(config, unfitted_autoencoder(config), (32, 32))).step
    for line in log_of(tmp_path / "run"):
        assert line["tflop_per_s"] == pytest.approx(line["samples_per_s"] * step / 1e12, abs=1e-4)
        assert 50 < line["memory_mib"] < 100_000
        assert "mfu" not in line


@pytest.mark.parametrize(("name", "expected"), [("NVIDIA H200", 0.1), ("some other", None)])
def test_a_gpu_of_known_peak_has_a_share_of_it(
    name: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 << 20)
    shown = gauges.gauges_of(torch.device("cuda"), 10**11)(989)
    assert (shown["tflop_per_s"], shown["memory_mib"], shown.get("mfu")) == (98.9, 3, expected)
