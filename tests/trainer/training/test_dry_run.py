"""The dry run's figures beside a step that is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from trainer.config import load_config
from trainer.frozen.text import Prompts
from trainer.model.inputs import Inputs
from trainer.training.dry_run import activations_of, given_of, probe
from trainer.training.parts import build_model, unfitted_autoencoder


def test_the_probe_tells_how_fast_a_few_steps_are_and_leaves_nothing(
    dataset: Path, tmp_path: Path, config_file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = probe(load_config(config_file(samples=100_000)), [str(dataset)], "cpu")
    found = re.fullmatch(
        r"speed +about ([\d.]+) samples/s while samples are encoded: (\d+) (minutes|hours) at most\n"
        r"encoding +(\d+) ms of the (\d+) ms of a sample; `trainer encode` does it once",
        said,
    )
    assert found
    minutes = int(found[2]) * (60 if found[3] == "hours" else 1)
    assert minutes == pytest.approx(100_000 / float(found[1]) / 60, rel=0.3, abs=1)
    assert (sorted(tmp_path.rglob("*.tar")), capsys.readouterr().err) == ([p for p in before if p.suffix == ".tar"], "")


FORMS: list[dict[str, Any]] = [{}, {"fine": 1}, {"text": "joint"}, {"experts": 4}, {"experts": 3, "active": 1}]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_activations_are_what_a_forward_keeps(config_file: Callable[..., str], form: dict[str, Any]) -> None:
    config = load_config(config_file(batch_size=2), {f"model.{key}": value for key, value in form.items()})
    autoencoder = unfitted_autoencoder(config)
    given = given_of(config, autoencoder, (72, 128))
    model, z, kept = build_model(config, autoencoder, given.text_dim), torch.zeros(2, given.channels, *given.grid), {}
    text = torch.zeros(2, given.words, given.text_dim)
    prompts = Prompts(text, torch.ones(2, given.words, dtype=torch.bool), torch.zeros(2, given.text_dim))

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        estimate = model(Inputs(z, z, z, prompts, torch.zeros(2, 3, 3, 72, 128)))
    for weight in model.parameters():
        kept.pop(weight.untyped_storage().data_ptr(), None)
    assert estimate.z.requires_grad
    # the choice of experts is a few numbers a position, and not counted
    within = 0.03 if "experts" in form else 1e-9
    there = sum(storage.nbytes() for storage in kept.values())
    assert activations_of(config, autoencoder, given) == pytest.approx(there, rel=within)
