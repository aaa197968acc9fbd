"""The closed-form start: it solves what it says, and needs no task."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.fft import dctn

from tests.trainer.helpers import picture
from trainer.data.images import to_images, to_tensor
from trainer.frozen import fusion
from trainer.frozen.fusion import LAMBDA, _dct, blur, exposure_fusion, fuse_base, gradients, screened_poisson

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(24, 40), (17, 33), (5, 2), (1, 7)])
def test_the_solution_satisfies_its_normal_equations(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    gx, gy, u = (torch.rand(2, *size, generator=generator) - 0.5 for _ in range(3))
    gx[..., -1], gy[..., -1, :] = 0, 0  # no difference crosses the border
    f = screened_poisson(gx, gy, u).requires_grad_()
    dx, dy = gradients(f)
    energy = ((dx - gx) ** 2 + (dy - gy) ** 2).sum() + LAMBDA * ((f - u) ** 2).sum()
    (slope,) = torch.autograd.grad(energy, f)
    assert slope.abs().max() < 1e-4


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_transform_is_the_dct_ii(n: int) -> None:
    x = torch.randn(3, n, generator=torch.Generator().manual_seed(n))
    np.testing.assert_allclose(_dct(x), dctn(x.numpy(), axes=[1]) / 2, atol=1e-5)


def test_the_blur_is_a_gaussian() -> None:
    x = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    expected = cv2.GaussianBlur(x.numpy(), (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(blur(x), expected, atol=1e-5)


@pytest.mark.parametrize("size", [64, 33, 9])
def test_equal_inputs_give_that_image(size: int) -> None:
    x = to_tensor([picture(3, 64)[:size, : size - 1]], CPU)
    torch.testing.assert_close(fuse_base(x, x), x, atol=2e-4, rtol=0)


def test_a_sample_does_not_depend_on_its_neighbours_in_a_batch() -> None:
    a, b = (to_tensor([picture(i), picture(i + 1)], CPU) for i in (0, 5))
    torch.testing.assert_close(fuse_base(a, b)[:1], fuse_base(a[:1], b[:1]), atol=1e-5, rtol=0)


def test_exposure_fusion_takes_the_well_exposed_input() -> None:
    rng = np.random.default_rng(0)
    good = torch.from_numpy(rng.uniform(0.35, 0.65, (1, 64, 64)).astype(np.float32))
    for bad in (good * 0.05, 0.95 + good * 0.05):
        fused = exposure_fusion(torch.stack([bad, good]))
        assert (fused - good).abs().mean() < 0.2 * (fused - bad).abs().mean()


def test_focus_is_taken_from_the_sharp_side_and_colour_from_the_coloured_input() -> None:
    rng = np.random.default_rng(1)
    sharp = rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    near, far = sharp.copy(), sharp.copy()
    near[:, 32:], far[:, :32] = soft[:, 32:], soft[:, :32]
    fused = to_images(fuse_base(to_tensor([near], CPU), to_tensor([far], CPU)))[0]
    luma = np.array([0.299, 0.587, 0.114])
    for side in (slice(4, 26), slice(38, 60)):
        error = [np.abs((image @ luma - sharp @ luma)[:, side]).mean() for image in (fused, soft)]
        assert error[0] < 0.25 * error[1]

    coloured, grey = picture(2, 64), np.repeat(picture(9, 64, 1)[:, :, None], 3, axis=2)
    fused = to_images(fuse_base(to_tensor([coloured], CPU), to_tensor([grey], CPU)))[0].astype(float)
    chroma, expected = fused - (fused @ luma)[..., None], coloured - (coloured @ luma)[..., None]
    inside = (fused > 2).all(2) & (fused < 253).all(2)
    assert np.abs(chroma - expected)[inside].mean() < 3


@pytest.mark.parametrize("size", [(300, 411), (512, 97)])
def test_large_pictures_in_tiles_are_those_solved_at_once(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from skimage import data

    large = cv2.resize(data.astronaut(), (1024, 1024), interpolation=cv2.INTER_CUBIC)  # as soft as large pictures are
    picture = large[100 : 100 + size[0], 200 : 200 + size[1]]
    a, b = (to_tensor([(picture * gain).clip(0, 255).astype(np.uint8)], CPU) for gain in (0.4, 1.8))
    whole = fuse_base(a, b)
    monkeypatch.setattr(fusion, "TILE", 192)
    tiles = fuse_base(a, b)
    assert (tiles - whole).abs().max() < 1e-3, "an eighth of a grey level"
    monkeypatch.setattr(fusion, "WHOLE", 1)
    without_finest = fuse_base(a, b)
    assert (without_finest - whole).abs().max() > 1e-3
    assert (without_finest - whole).square().mean() < 4 * 10**-4, "40 dB"
