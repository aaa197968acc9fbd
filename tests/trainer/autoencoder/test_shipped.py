"""The autoencoder that ships, on photographs of scikit-image, which it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage import data

from tests.trainer.helpers import Command
from trainer import load_autoencoder
from trainer.data.images import to_images, to_tensor
from trainer.evaluation.metrics import psnr, ssim
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.loading import SHIPPED

CPU = torch.device("cpu")
PHOTOGRAPHS = [data.astronaut()[:320, :400], data.coffee()[:400, :400], data.chelsea()[:296, :440]]


def round_trip(autoencoder: Autoencoder, image: np.ndarray) -> np.ndarray:
    x = to_tensor([image], CPU)
    return to_images(autoencoder.decode(autoencoder.encode(x), image.shape[:2]))[0]


def test_it_is_small_and_in_half_precision() -> None:
    files = list(SHIPPED["mmaif"].glob("*.safetensors"))
    assert sum(path.stat().st_size for path in files) <= 8e6
    assert {tensor.dtype for path in files for tensor in load_file(path).values()} == {torch.float16}
    autoencoder = load_autoencoder("mmaif")
    assert (autoencoder.channels, autoencoder.factor, autoencoder.measured) == (32, 8, True)


def test_it_is_better_than_the_klt_of_other_photographs() -> None:
    own = load_autoencoder("mmaif")
    for i, image in enumerate(PHOTOGRAPHS):
        others = [to_tensor([other], CPU)[0] for j, other in enumerate(PHOTOGRAPHS) if j != i]
        klt = Autoencoder(KLTAutoencoder.fit(others, 32))
        ours, linear = round_trip(own, image), round_trip(klt, image)
        assert psnr(ours, image) > psnr(linear, image)
        assert ssim(ours, image) > ssim(linear, image)
    assert np.mean([psnr(round_trip(own, image), image) for image in PHOTOGRAPHS]) > 34


def test_its_normalised_latents_have_unit_variance_about() -> None:
    autoencoder = load_autoencoder("mmaif")
    z = torch.cat(
        [autoencoder.normalise(autoencoder.encode(to_tensor([i], CPU))).flatten(2)[0] for i in PHOTOGRAPHS], 1
    )
    assert float(z.mean(1).abs().max()) < 2  # three pictures have colours of their own
    assert 0.3 < float(z.std(1).min()) <= float(z.std(1).max()) < 2.5


def test_small_errors_of_latents_stay_small() -> None:
    """Noise of s on every latent number costs about what it costs through a KLT: s² C / 192 in the pixels."""
    autoencoder = load_autoencoder("mmaif")
    x = to_tensor([PHOTOGRAPHS[0]], CPU)
    z = autoencoder.encode(x)
    torch.manual_seed(0)
    for s in (0.02, 0.1):
        error = (autoencoder.decode(z + s * torch.randn_like(z)) - autoencoder.decode(z)).square().mean()
        assert float(error) == pytest.approx(s**2 * 32 / 192, rel=0.5)


def test_bf16_costs_little() -> None:
    image = PHOTOGRAPHS[1]
    exact, fast = (psnr(round_trip(load_autoencoder("mmaif", precision=p), image), image) for p in ("fp32", "bf16"))
    assert fast != exact
    assert fast == pytest.approx(exact, abs=0.5)


def test_it_is_named_in_commands(trainer_main: Command, tmp_path: Path, dataset: Path) -> None:
    code, out, err = trainer_main("train", "--shards", dataset, "--autoencoder", "mmaif", "--dry-run")
    assert code == 0, err
    assert "latents      32 x 4 x 4" in out
    code, _, err = trainer_main(
        *("train", "--shards", dataset, "--autoencoder", "mmaif", "--samples", 8, "--batch-size", 4),
        *("--out", tmp_path / "run"),
    )
    assert code == 0, err
    assert "autoencoder: 32 channels at 1/8" in err
    shipped, used = load_autoencoder("mmaif"), load_autoencoder(tmp_path / "run" / "weights" / "autoencoder")
    assert shipped.hash == used.hash
    assert shipped.statistics_hash == used.statistics_hash


@pytest.mark.slow
def test_a_large_picture_needs_no_large_memory_and_shows_no_tiles() -> None:
    from bench.autoencoder import peak_mib, worst_block_db

    assert peak_mib("mmaif", 4096) < 3000
    for size in ((1856, 640), (640, 2048), (1088, 1088)):  # the first leaves the overlap that is asked for, no more
        assert worst_block_db("mmaif", *size)[0] >= 45
