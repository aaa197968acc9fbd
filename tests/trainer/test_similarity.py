"""PSNR and SSIM of tensors against the metrics of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.autoencoder.helpers import CPU
from tests.trainer.helpers import picture
from trainer.data.images import to_tensor
from trainer.evaluation import metrics
from trainer.similarity import ms_ssim, psnr, ssim


def test_the_ssim_of_the_loss_agrees_with_the_metric() -> None:
    clean = picture(0, 256)
    rng = np.random.default_rng(0)
    for sigma in (3, 10, 30):
        noisy = np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 255).astype(np.uint8)
        x, y = (to_tensor([np.repeat(i[:, :, 1:2], 3, axis=2)], CPU) for i in (clean, noisy))
        assert abs(float(ssim(x, y)) - metrics.ssim(noisy[:, :, 1], clean[:, :, 1])) < 0.1


def test_psnr_is_that_of_the_metric() -> None:
    clean = picture(0, 64)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 9, clean.shape), 0, 255).astype(np.uint8)
    x, y = (to_tensor([image], CPU) for image in (noisy, clean))
    assert psnr(x, y) == pytest.approx(metrics.psnr(noisy, clean), abs=1e-4)
    assert psnr(y, y) > 120, "and finite"


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_blur_and_with_noise() -> None:
    torch.manual_seed(0)
    y = torch.nn.functional.interpolate(torch.rand(3, 3, 16, 16), size=128, mode="bicubic") * 2 - 1
    y = y + 0.1 * torch.randn(3, 3, 128, 128)
    torch.testing.assert_close(ms_ssim(y, y), torch.ones(3))
    blurred = [ms_ssim(torch.nn.functional.avg_pool2d(y, k, 1, k // 2, count_include_pad=False), y) for k in (3, 5, 9)]
    noisy = [ms_ssim(y + s * torch.randn_like(y), y) for s in (0.05, 0.2, 0.8)]
    for row in (blurred, noisy):
        assert ((torch.stack(row).diff(dim=0)) < 0).all()
    one = ms_ssim(torch.cat([y[:1], blurred_of(y[1:2])]), y[:2])
    assert one[0] > 0.999
    assert one[1] < 0.95, "each picture has its own"


def blurred_of(y: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(y, 9, 1, 4, count_include_pad=False)


@pytest.mark.parametrize("side", [8, 24, 100])
def test_ms_ssim_of_small_pictures_has_fewer_scales_and_a_gradient(side: int) -> None:
    torch.manual_seed(0)
    y, x = torch.rand(2, 3, side, side), torch.rand(2, 3, side, side, requires_grad=True)
    value = ms_ssim(x, y)
    value.sum().backward()
    assert ((value > 0) & (value < 1)).all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0
