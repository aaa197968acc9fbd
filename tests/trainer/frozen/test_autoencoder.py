"""The KLT against numpy's PCA, and every autoencoder behind one interface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AsymmetricAutoencoderKL,
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLHunyuanImage,
    AutoencoderKLKVAE,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    AutoencoderOobleck,
    AutoencoderTiny,
    VQModel,
)

from tests.trainer.helpers import picture
from trainer import load_autoencoder
from trainer.data.images import to_tensor
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder, hash_of
from trainer.frozen.klt import KLTAutoencoder

CPU = torch.device("cpu")


def images(count: int = 24, size: int = 64) -> torch.Tensor:
    """Smooth pictures with a little noise, so that the covariance has full rank."""
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(picture(i, size) + rng.normal(0, 6, (size, size, 3)), 0, 255).astype(np.uint8) for i in range(count)
    ]
    return to_tensor(noisy, CPU)


def blocks_of(x: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) → (N, 192), cut by numpy alone."""
    batch, _, height, width = x.shape
    cut = x.numpy().reshape(batch, 3, height // 8, 8, width // 8, 8).transpose(0, 2, 4, 1, 3, 5)
    return cut.reshape(-1, 192).astype(np.float64)


def psnr(x: torch.Tensor, y: torch.Tensor) -> float:
    return float(10 * torch.log10(4 / ((x - y) ** 2).mean()))


def test_the_round_trip_is_that_of_principal_components() -> None:
    x = images()
    model = KLTAutoencoder.fit(list(x), latent_channels=20)
    blocks = blocks_of(x)
    mean = blocks.mean(0)
    _, singular, rows = np.linalg.svd(blocks - mean, full_matrices=False)
    expected = (blocks - mean) @ rows[:20].T @ rows[:20] + mean
    np.testing.assert_allclose(blocks_of(model.decode(model.encode(x))), expected, atol=2e-4)
    np.testing.assert_allclose(model.latent_std, singular[:20] / np.sqrt(len(blocks)), rtol=1e-3)


def test_more_channels_are_better_and_all_are_exact() -> None:
    x = images()
    quality = [psnr(m.decode(m.encode(x)), x) for m in (KLTAutoencoder.fit(list(x), c) for c in (8, 32, 96, 192))]
    assert quality == sorted(quality)
    assert quality[-1] > 90


def test_latents_of_the_fit_have_the_saved_mean_and_scale() -> None:
    x = images()
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(x), 16))
    z = autoencoder.normalise(autoencoder.encode(x)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(z.mean(1), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(z.std(1, correction=0), torch.ones(16), atol=1e-2, rtol=0)


def test_a_saved_autoencoder_loads_bit_for_bit(tmp_path: Path) -> None:
    x = images(4)
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(x), 32))
    autoencoder.save(tmp_path / "klt")
    again = load_autoencoder(tmp_path / "klt")
    assert again.hash == autoencoder.hash
    assert torch.equal(again.encode(x), autoencoder.encode(x))
    assert torch.equal(again.latent_mean, autoencoder.latent_mean)
    assert torch.equal(again.latent_std, autoencoder.latent_std)
    other = Autoencoder(KLTAutoencoder.fit([*list(x), -x[0]], 32))
    assert other.hash != autoencoder.hash


def test_weights_of_any_shape_are_hashed_by_their_bytes() -> None:
    norm, other = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)  # holds a tensor without dimensions
    assert hash_of(norm) == hash_of(other)
    other.num_batches_tracked += 1
    assert hash_of(norm) != hash_of(other)


FOREIGN = {
    "kl": lambda: AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        norm_num_groups=4,
        latent_channels=6,
        layers_per_block=1,
    ),
    "tiny": lambda: AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4),
    "dc": lambda: AutoencoderDC(
        latent_channels=8,
        attention_head_dim=4,
        encoder_block_out_channels=(8, 16, 16),
        decoder_block_out_channels=(8, 16, 16),
        encoder_layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        encoder_qkv_multiscales=((), (), ()),
        decoder_qkv_multiscales=((), (), ()),
        scaling_factor=0.4,
    ),
    "asymmetric": lambda: AsymmetricAutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        down_block_out_channels=(8, 8),
        up_block_types=("UpDecoderBlock2D",) * 2,
        up_block_out_channels=(8, 8),
        norm_num_groups=4,
        scaling_factor=0.5,
    ),
    "flux2": lambda: AutoencoderKLFlux2(block_out_channels=(8,) * 4, norm_num_groups=4, latent_channels=5),
    "hunyuan": lambda: AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=8,
        block_out_channels=(32, 32, 32),
        layers_per_block=1,
        spatial_compression_ratio=4,
        sample_size=64,
        scaling_factor=0.8,
    ),
    "kvae": lambda: AutoencoderKLKVAE(channels=32, ch_mult=(1, 1), z_channels=4, num_enc_blocks=1, num_dec_blocks=1),
    "vq": lambda: VQModel(block_out_channels=(8,), norm_num_groups=4),
    "qwen": lambda: AutoencoderKLQwenImage(base_dim=8, num_res_blocks=1),
    "wan": lambda: AutoencoderKLWan(
        base_dim=8, z_dim=2, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False], latents_mean=[0.5, -1.0],
        latents_std=[2.0, 4.0], scale_factor_spatial=2,
    ),
}  # fmt: skip
SHAPES = {
    **{"kl": (6, 4), "tiny": (4, 8), "dc": (8, 4), "asymmetric": (4, 2), "flux2": (5, 8), "hunyuan": (8, 4)},
    **{"kvae": (4, 2), "vq": (3, 1), "qwen": (16, 8), "wan": (2, 2)},
}
"""Channels and factor."""


@pytest.mark.parametrize("name", FOREIGN)
def test_any_diffusers_autoencoder_stands_behind_one_interface(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    FOREIGN[name]().save_pretrained(tmp_path / name)
    autoencoder = load_autoencoder(tmp_path / name)
    assert (autoencoder.channels, autoencoder.factor) == SHAPES[name]
    x = images(1, 32)[:, :, :27, :31]
    z = autoencoder.encode(x)
    assert z.shape == (1, autoencoder.channels, -(-27 // autoencoder.factor), -(-31 // autoencoder.factor))
    assert autoencoder.decode(z, (27, 31)).shape == x.shape
    assert torch.equal(z, autoencoder.encode(x)), "the mode of the posterior, not a draw"

    autoencoder.measure(list(images(6, 32)))
    normalised = torch.cat([autoencoder.normalise(autoencoder.encode(i[None])).flatten(2)[0] for i in images(6, 32)], 1)
    torch.testing.assert_close(normalised.mean(1), torch.zeros(autoencoder.channels), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalised.std(1), torch.ones(autoencoder.channels), atol=1e-3, rtol=0)
    autoencoder.save(tmp_path / "measured")
    assert torch.equal(load_autoencoder(tmp_path / "measured").latent_std, autoencoder.latent_std)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [("kl", [0.0] * 6, [1 / 0.18215] * 6), ("dc", [0.0] * 8, [2.5] * 8), ("wan", [0.5, -1.0], [2.0, 4.0])],
)
def test_scale_and_shift_are_those_of_the_config(
    name: str, mean: list[float], std: list[float], tmp_path: Path
) -> None:
    FOREIGN[name]().save_pretrained(tmp_path)
    autoencoder = load_autoencoder(tmp_path)
    assert autoencoder.measured
    torch.testing.assert_close(autoencoder.latent_mean, torch.tensor(mean))
    torch.testing.assert_close(autoencoder.latent_std, torch.tensor(std))


def test_the_shift_of_a_pipeline_is_the_mean(tmp_path: Path) -> None:
    AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, scaling_factor=0.5, shift_factor=0.25).save_pretrained(
        tmp_path
    )
    autoencoder = load_autoencoder(tmp_path)
    z = torch.randn(1, autoencoder.channels, 4, 4)
    torch.testing.assert_close(autoencoder.normalise(z), (z - 0.25) * 0.5)  # as pipelines of diffusers have it


def test_a_name_that_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"^autoencoder nobody/nothing-here: no such folder here, and from the hub"):
        load_autoencoder("nobody/nothing-here")


def test_a_model_of_no_images_is_one_line(tmp_path: Path) -> None:
    AutoencoderOobleck(encoder_hidden_size=8, decoder_channels=8, decoder_input_channels=4).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="as AutoencoderOobleck of images") as refused:
        load_autoencoder(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (8, 9), (3, 5), (1, 1)])
def test_any_size_comes_back_at_its_size(size: tuple[int, int]) -> None:
    autoencoder = Autoencoder(KLTAutoencoder.fit(list(images(8)), 192))
    x = images(1)[:, :, : size[0], : size[1]]
    torch.testing.assert_close(autoencoder.decode(autoencoder.encode(x), size), x, atol=1e-4, rtol=0)


def test_a_saved_folder_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    load_autoencoder("mmaif").save(tmp_path / "saved")
    assert "/" not in (tmp_path / "saved" / "config.json").read_text(encoding="utf-8")
    load_autoencoder(tmp_path / "saved")
