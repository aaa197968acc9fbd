"""Our own autoencoder: its start, its pictures, its training and what it writes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.trainer.helpers import Command, assert_same_bits, checkpoint_of, log_of, picture
from trainer import load_autoencoder
from trainer.autoencoder.depthwise import DepthwiseConv2d
from trainer.autoencoder.network import ResidualKLTAutoencoder
from trainer.autoencoder.pictures import Pictures, crop_size, read_pictures
from trainer.autoencoder.training import Settings, loss, ssim, start, train
from trainer.autoencoder.weights import worth
from trainer.data.images import to_tensor
from trainer.errors import UserError
from trainer.evaluation import metrics
from trainer.frozen.klt import DIM, KLTAutoencoder

CPU = torch.device("cpu")
MINI = Settings(
    samples=96, channels=16, width=16, encoder_blocks=1, decoder_blocks=2, crops=(64, 96), batch_pixels=4 * 96 * 96,
    warmup=16, lapped_steps=10, ema_half_life=20,
)  # fmt: skip


def pictures(count: int = 6, size: int = 128) -> Pictures:
    made = Pictures()
    for seed in range(count):
        made.add("photos", picture(seed, size))
        made.add("pairs/vif-x", np.repeat(picture(100 + seed, size, 1)[:, :, None], 3, axis=2))
    return made


def klt(made: Pictures) -> KLTAutoencoder:
    return KLTAutoencoder.fit(list(to_tensor(list(made.crops(0, 0, 16, 128)), CPU)), DIM)


def moved(model: ResidualKLTAutoencoder, size: float = 0.02) -> ResidualKLTAutoencoder:
    """The model with other weights than those it starts with."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return model


def test_untrained_it_is_the_klt() -> None:
    made = pictures()
    full = klt(made)
    x = to_tensor(list(made.crops(1, 0, 2, 96)), CPU)
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(full)
    z = torch.nn.functional.conv2d(
        torch.nn.functional.pixel_unshuffle(x, 8) - full.mean[:, None, None], full.basis[:12, :, None, None]
    )
    torch.testing.assert_close(model.encode(x), z, atol=1e-5, rtol=1e-5)
    linear = KLTAutoencoder(12)
    linear.mean.copy_(full.mean)
    linear.basis.copy_(full.basis[:12])
    torch.testing.assert_close(model.decode(z), linear.decode(z), atol=1e-5, rtol=1e-5)


def test_the_linear_path_is_fitted_to_better_than_the_klt() -> None:
    made = pictures(12)
    settings = replace(MINI, lapped_steps=80)
    x = to_tensor(list(made.crops(3, 0, 16, 64)), CPU)
    errors = []
    for steps in (0, 80):
        model = start(made, replace(settings, lapped_steps=steps), CPU, untrained=True)
        with torch.no_grad():
            errors.append(float((model.decode(model.encode(x)) - x).square().mean()))
        assert float(model.lapped_error(x).detach()) == pytest.approx(errors[-1], rel=1e-3)
    assert errors[1] < 0.9 * errors[0]


def test_other_units_of_the_latents_decode_to_the_same_picture() -> None:
    made = pictures()
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(made))
    moved(model)
    x = to_tensor(list(made.crops(1, 0, 2, 96)), CPU)
    before, z = model.decode(model.encode(x)), model.encode(x)
    factors = torch.linspace(0.2, 3, 12)
    model.rescale(factors, torch.zeros(12), torch.ones(12))
    torch.testing.assert_close(model.encode(x), z * factors[:, None, None], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.decode(model.encode(x)), before, atol=1e-4, rtol=1e-4)


def test_a_number_of_the_klt_is_worth_its_square() -> None:
    model = ResidualKLTAutoencoder(latent_channels=12, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(pictures()))
    torch.testing.assert_close(worth(model, torch.randn(2, 12, 8, 8)), torch.ones(12), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_convolution_has_the_gradients_of_torch(kernel: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(6, kernel)
    x = torch.randn(2, 6, 9, 11).contiguous(memory_format=torch.channels_last).requires_grad_()
    g = torch.randn(2, 6, 9, 11)
    ours = torch.autograd.grad(layer(x), (x, layer.weight, layer.bias), g)
    theirs = torch.autograd.grad(torch.nn.Conv2d.forward(layer, x), (x, layer.weight, layer.bias), g)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)


def test_the_ssim_of_the_loss_agrees_with_the_metric() -> None:
    clean = picture(0, 256)
    rng = np.random.default_rng(0)
    for sigma in (3, 10, 30):
        noisy = np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 255).astype(np.uint8)
        x, y = (to_tensor([np.repeat(i[:, :, 1:2], 3, axis=2)], CPU) for i in (clean, noisy))
        assert abs(float(ssim(x, y)) - metrics.ssim(noisy[:, :, 1], clean[:, :, 1])) < 0.1


def test_the_kl_term_prices_wide_latents_and_the_noise_narrow_ones() -> None:
    made = pictures()
    x = to_tensor(list(made.crops(1, 0, 4, 64)), CPU)
    model = ResidualKLTAutoencoder(latent_channels=16, width=16, encoder_blocks=1, decoder_blocks=1)
    model.start_from(klt(made))

    def cost(unit: float, settings: Settings) -> float:
        model.unit.fill_(unit)
        torch.manual_seed(0)
        return float(loss(model, x, settings).detach())

    kl = replace(MINI, kl=0.1, noise=0.01)
    assert cost(10, kl) - cost(1, kl) == pytest.approx(0.1 * np.log(10), rel=0.1)
    noise = replace(MINI, kl=0.0, noise=0.1)
    assert cost(0.1, noise) > cost(1, noise) * 1.2


def test_crops_are_a_function_of_seed_and_number() -> None:
    made = pictures()
    crops = made.crops(5, 10, 6, 64)
    assert crops.shape == (6, 64, 64, 3)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops[3:], made.crops(5, 13, 3, 64))
    assert not np.array_equal(crops, made.crops(6, 10, 6, 64))
    sizes = {crop_size(0, first, (128, 256)) for first in range(200)}
    assert sizes == {128, 160, 192, 224, 256}


def test_groups_come_in_their_shares_and_grey_is_held_once() -> None:
    made = Pictures()
    for _ in range(3):
        made.add("photos", np.full((64, 64, 3), (200, 0, 0), np.uint8))
    for group, count, level in (("pairs/vif-x", 16, 60), ("pairs/vif-y", 4, 120)):
        for _ in range(count):
            made.add(group, np.full((64, 64, 3), level, np.uint8))
    made.add("photos", np.zeros((40, 200, 3), np.uint8))  # too small
    assert len(made) == 23
    assert {image.ndim for image in made.groups["pairs/vif-x"]} == {2}
    shares = made.shares()
    assert shares["photos"] == pytest.approx(0.5 / 0.85)
    assert shares["pairs/vif-x"] == pytest.approx(2 * shares["pairs/vif-y"])
    red = np.mean([crop[..., 0].mean() > 2 * crop[..., 1].mean() for crop in made.crops(0, 0, 800, 64)])
    assert red == pytest.approx(shares["photos"], abs=0.06)


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
    settings = replace(MINI, samples=400)
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
    with pytest.raises(UserError, match="other settings"):
        train(made, replace(MINI, kl=1e-3), out, CPU)
    with pytest.raises(UserError, match="other pictures"):
        train(pictures(7), MINI, out, CPU)
    seen = max(int(path.name) for path in (out / "checkpoints").iterdir())
    before = checkpoint_of(out, seen)
    train(made, replace(MINI, samples=200, lr=1e-4), out, CPU, stop_after=seen)  # another schedule alone
    assert all(torch.equal(before[name], value) for name, value in checkpoint_of(out, seen).items())
    train(pictures(7), MINI, out, CPU, stop_after=10, restart=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UserError, match="holds something else"):
        train(made, MINI, tmp_path / "other", CPU)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """photos/ with 6 pictures, pairs/ with a pair of each of two tasks."""
    root = tmp_path / "data"
    for seed in range(6):
        _write(root / "photos" / f"{seed}.png", picture(seed, 128))
    for task, scene in (("vif", "x-1"), ("mef", "y-1")):
        for number, name in enumerate(("a", "b")):
            _write(root / "pairs" / task / scene / f"{name}.png", picture(20 + number, 128, 1 if name == "b" else 3))
    return root


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def test_folders_pairs_and_shards_are_read_by_group(data: Path, dataset: Path) -> None:
    (data / "pairs" / "vif" / "x-1" / "depth.png").write_bytes(b"not read")
    made = read_pictures([data / "photos"], [data / "pairs"])
    assert {group: len(images) for group, images in made.groups.items()} == {
        "photos": 6,
        "pairs/vif-x": 2,
        "pairs/mef-y": 2,
    }
    with pytest.raises(UserError, match="no picture of 64 px"):
        read_pictures(shards=[str(dataset)])  # its samples have 32 px


def test_a_pack_keeps_the_limit_and_trains_alike(data: Path, tmp_path: Path, trainer_main: Command) -> None:
    sources = ("--photos", data / "photos", "--pairs", data / "pairs")
    code, out, err = trainer_main("autoencoder", "pack", *sources, "--out", tmp_path / "packed", "--limit-mib", 0.1)
    assert (code, err) == (0, "")
    files = [path for path in (tmp_path / "packed").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    assert f"{len(files)} pictures" in out
    assert len(files) == 10 or size > 0.08 * 2**20
    assert size <= 0.1 * 2**20
    packed = read_pictures(packed=tmp_path / "packed")
    whole = read_pictures([data / "photos"], [data / "pairs"])
    assert set(packed.groups) <= set(whole.groups)
    for group, images in packed.groups.items():
        for image in images:
            errors = [np.abs(image.astype(int) - w).mean() for w in whole.groups[group] if w.shape == image.shape]
            assert min(errors) < 3
    code, _, err = trainer_main("autoencoder", "pack", *sources, "--out", tmp_path / "packed")
    assert code == 2
    assert "is there already" in err


NETWORK = ("--width", 16, "--encoder-blocks", 0, "--decoder-blocks", 1, "--channels", 8)
TINY = (*NETWORK, "--batch", 1, "--lapped-steps", 4)


@pytest.fixture
def few_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured before and after the training, on few crops."""
    monkeypatch.setattr("trainer.autoencoder.training.FIT", 12)
    monkeypatch.setattr("trainer.autoencoder.weights.COUNT", 6)


@pytest.mark.usefixtures("few_crops")
def test_train_and_eval_by_command(data: Path, tmp_path: Path, trainer_main: Command, dataset: Path) -> None:
    run = ("autoencoder", "train", "--photos", data / "photos", "--samples", 8, *TINY, "--out", tmp_path / "run")
    code, out, err = trainer_main(*run, "--stop-after", 4)
    assert code == 0, err
    assert "weights" not in out
    code, out, err = trainer_main(*run)
    assert code == 0, err
    assert f"weights: {tmp_path / 'run' / 'weights'}" in out
    shutil.copy(data / "photos" / "0.png", tmp_path / "single.png")
    code, out, err = trainer_main(
        *("autoencoder", "eval", tmp_path / "run" / "weights", "--images", data / "photos", "--pairs", data / "pairs"),
        *("--shards", dataset, "--sheet", tmp_path / "sheet.png", "--rows", 2),
    )
    assert code == 0, err
    lines = out[: out.index("the worst:")].splitlines()[1:]
    sets = {" ".join(line.split()[:-4]): line.split()[-4:] for line in lines}
    assert set(sets) == {
        *(str(data / "photos"), "pairs mef", "pairs vif visible", "pairs vif infrared"),
        *("shards, degraded inputs", "shards, targets"),
    }
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 3 * 128

    autoencoder = load_autoencoder(tmp_path / "run" / "weights")
    values = []
    for path in sorted((data / "photos").iterdir()):
        image = cv2.imread(str(path))[:, :, ::-1].copy()
        x = to_tensor([image], CPU)
        back = ((autoencoder.decode(autoencoder.encode(x)) + 1) * 127.5).round().clamp(0, 255)[0].permute(1, 2, 0)
        values.append(10 * np.log10(255**2 / np.mean((back.numpy().astype(float) - image) ** 2)))
    assert sets[str(data / "photos")][1] == f"{np.mean(values):.2f}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--out", "{tmp}/x"), "give --photos, --pairs, --shards or --packed"),
        (("train", "--out", "{tmp}/x", "--photos", "{tmp}/none"), "no such folder"),
        (("train", "--out", "{tmp}/x", "--photos", "{tmp}", "--precision", "fp8"), "fp32 or bf16"),
        (("eval", "mmaif"), "nothing to measure on"),
        (("eval", "{tmp}/none", "--images", "{tmp}"), "no config.json"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path, trainer_main: Command) -> None:
    code, _, err = trainer_main("autoencoder", *(a.format(tmp=tmp_path) for a in arguments))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
