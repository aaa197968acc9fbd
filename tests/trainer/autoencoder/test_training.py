"""The training of our own autoencoder: it learns, it resumes bit for bit, it refuses what does not belong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.autoencoder.helpers import CPU, MINI, changed, klt, pictures
from tests.trainer.helpers import assert_same_bits, checkpoint_of, log_of
from trainer import load_autoencoder
from trainer.autoencoder.config import AutoencoderRun
from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.training import loss, start, train
from trainer.autoencoder.weights import worth
from trainer.data.images import to_tensor
from trainer.errors import UserError


def test_the_linear_path_is_fitted_to_better_than_the_klt() -> None:
    made = pictures(12)
    settings = changed(MINI, lapped_steps=80)
    x = to_tensor(list(made.crops(3, 0, 16, 64)), CPU)
    errors = []
    for steps in (0, 80):
        model = start(made, changed(settings, lapped_steps=steps), CPU, untrained=True)
        with torch.no_grad():
            errors.append(float((model.decode(model.encode(x)) - x).square().mean()))
        assert float(model.lapped_error(x).detach()) == pytest.approx(errors[-1], rel=1e-3)
    assert errors[1] < 0.9 * errors[0]


def test_the_kl_term_prices_wide_latents_and_the_noise_narrow_ones() -> None:
    made = pictures()
    x = to_tensor(list(made.crops(1, 0, 4, 64)), CPU)
    model = ResidualKLTAutoencoder(latent_channels=16, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(made))

    def cost(unit: float, settings: AutoencoderRun) -> float:
        model.unit.fill_(unit)
        torch.manual_seed(0)
        return float(loss(model, x, settings).detach())

    kl = changed(MINI, kl=0.1, noise=0.01)
    assert cost(10, kl) - cost(1, kl) == pytest.approx(0.1 * np.log(10), rel=0.1)
    noise = changed(MINI, kl=0.0, noise=0.1)
    assert cost(0.1, noise) > cost(1, noise) * 1.2


def test_pieces_of_a_run_equal_the_whole_bit_for_bit(tmp_path: Path) -> None:
    made = pictures()
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert train(made, MINI, whole, CPU) == whole / "weights"
    for stop in (20, 50, 51):
        assert train(made, MINI, pieces, CPU, stop_after=stop) is None
    assert train(made, MINI, pieces, CPU) == pieces / "weights"
    assert_same_bits(whole, pieces, 96)
    for name in ("diffusion_pytorch_model.safetensors", "latents.json", "config.json"):
        assert (whole / "weights" / name).read_bytes() == (pieces / "weights" / name).read_bytes()


def test_a_run_learns_and_its_weights_are_fp16_with_statistics(tmp_path: Path) -> None:
    made = pictures(12)
    settings = changed(MINI, samples=400)
    out = tmp_path / "run"
    weights = train(made, settings, out, CPU)
    assert weights is not None
    losses = [line["loss"] for line in log_of(out)]
    assert len(losses) >= 1
    trained = load_autoencoder(weights)
    untrained = ResidualKLTAutoencoder(latent_channels=16, width=16, encoder_blocks=1, decoder_blocks=2)
    untrained.start_from(klt(made))
    x = to_tensor(list(made.crops(7, 0, 16, 64)), CPU)
    with torch.no_grad():
        error, before = (float((m.decode(m.encode(x)) - x).abs().mean()) for m in (trained, untrained))
    assert error < 0.97 * before

    from safetensors.torch import load_file

    stored = load_file(weights / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    z = trained.normalise(trained.encode(to_tensor(list(made.crops(8, 0, 64, 96)), CPU))).transpose(0, 1).flatten(1)
    assert float(z.mean(1).abs().max()) < 0.3
    assert 0.6 < float(z.std(1).min()) <= float(z.std(1).max()) < 1.5
    prices = worth(trained.model, trained.encode(x))
    assert 0.5 < float(prices.min()) <= float(prices.max()) < 2


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    made, out = pictures(), tmp_path / "run"
    train(made, MINI, out, CPU, stop_after=10)
    with pytest.raises(UserError, match=r"kl is 0\.0001 there, 0\.001 here"):
        train(made, changed(MINI, kl=1e-3), out, CPU)
    with pytest.raises(UserError, match="other pictures"):
        train(pictures(7), MINI, out, CPU)
    seen = max(int(path.name) for path in (out / "checkpoints").iterdir())
    before = checkpoint_of(out, seen)
    train(made, changed(MINI, samples=200, lr=1e-4), out, CPU, stop_after=seen)  # another schedule alone
    assert all(torch.equal(before[name], value) for name, value in checkpoint_of(out, seen).items())
    train(pictures(7), MINI, out, CPU, stop_after=10, restart=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UserError, match="holds something else"):
        train(made, MINI, tmp_path / "other", CPU)


def test_a_run_that_was_stopped_before_its_first_checkpoint_is_begun_again(tmp_path: Path) -> None:
    made, out = pictures(), tmp_path / "run"
    train(made, MINI, out, CPU, stop_after=10)
    shutil.rmtree(out / "checkpoints")
    assert sorted(path.name for path in out.iterdir()) == ["config.yaml", "log.jsonl"]
    train(made, MINI, out, CPU, stop_after=10)
    train(made, MINI, tmp_path / "whole", CPU, stop_after=10)
    (seen,) = (int(path.name) for path in (out / "checkpoints").iterdir())
    assert_same_bits(tmp_path / "whole", out, seen)


def test_a_run_of_an_older_version_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "checkpoints" / f"{10:012d}"
    old.mkdir(parents=True)
    (old / "state.json").write_text('{"version": 1, "samples": 10, "pictures": "x", "settings": "{}"}')
    with pytest.raises(UserError, match=r"version 1, and this trainer reads 2; .*--restart") as error:
        train(pictures(), MINI, tmp_path, CPU)
    assert "\n" not in str(error.value)
