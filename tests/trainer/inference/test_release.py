"""The weights that ship, on photographs of scikit-image, which they were not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from skimage import data

from tests.trainer.helpers import Command
from trainer.data.images import read_image, to_images, to_tensor, write_image
from trainer.evaluation.metrics import psnr
from trainer.frozen.fusion import fuse_base
from trainer.inference.folder import SHIPPED
from trainer.inference.fuser import Fuser

PHOTOGRAPHS = [data.astronaut()[:256, :320], data.coffee()[80:336, 100:356]]


@pytest.fixture(scope="module")
def fuser() -> Fuser:
    return Fuser.from_pretrained("release")


def noisy(image: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 25, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def test_files_are_small_and_in_half_precision() -> None:
    files = list(SHIPPED["release"].rglob("*.safetensors"))
    assert len(files) > 1
    for path in files:
        assert path.stat().st_size <= 15 * 2**20
        with safe_open(path, "pt") as tensors:
            assert {str(tensors.get_slice(name).get_dtype()) for name in tensors.keys()} <= {"F16", "I64"}  # noqa: SIM118


@pytest.mark.parametrize("number", range(len(PHOTOGRAPHS)))
def test_it_takes_noise_away_that_the_closed_form_leaves(fuser: Fuser, number: int) -> None:
    clean = PHOTOGRAPHS[number]
    a, b = noisy(clean, 0), noisy(clean, 1)
    base = to_images(fuse_base(*(to_tensor([image], torch.device("cpu")) for image in (a, b))))[0]
    fused = fuser(a, b, "remove the noise in both images and fuse them")
    assert psnr(fused, clean) > psnr(base, clean) + 4


def test_it_does_as_it_is_told(fuser: Fuser) -> None:
    clean = PHOTOGRAPHS[0]
    a, b = noisy(clean, 0), noisy(clean, 1)
    removed, kept = (
        fuser(a, b, prompt) for prompt in ("remove the noise", "just fuse them and leave everything as it is")
    )
    assert psnr(removed, clean) > psnr(kept, clean) + 3


def test_the_command_takes_it_where_no_other_is_named(trainer_main: Command, fuser: Fuser, tmp_path: Path) -> None:
    for name, image in zip("ab", (PHOTOGRAPHS[0], noisy(PHOTOGRAPHS[0], 1)), strict=True):
        write_image(tmp_path / f"{name}.png", image)
    code, _, errors = trainer_main(
        "fuse", tmp_path / "a.png", tmp_path / "b.png", "--prompt", "denoise", "-o", tmp_path / "out.png"
    )
    assert (code, "Loading" in errors) == (0, False)
    expected = fuser(str(tmp_path / "a.png"), str(tmp_path / "b.png"), "denoise")
    np.testing.assert_array_equal(read_image(tmp_path / "out.png"), expected)
