"""PSNR and SSIM of tensors against the metrics of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.autoencoder.helpers import CPU
from tests.trainer.helpers import picture
from trainer.data.images import to_tensor
from trainer.evaluation import metrics
from trainer.evaluation.similarity import psnr, ssim


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
