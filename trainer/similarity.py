"""PSNR and SSIM of tensors in [-1, 1], where they lie: for losses and for what is told on the way.

What a table says of rounded pictures is `metrics`.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def psnr(x: Tensor, reference: Tensor) -> float:
    """In dB over all numbers of both, of any one shape; 126 dB at most."""
    return decibels(float(((x - reference) ** 2).mean()))


def decibels(error: float) -> float:
    """PSNR of a mean squared error, 10 log10(2² / error): pictures in [-1, 1] have a peak of 2."""
    return 10 * math.log10(4 / max(error, 1e-12))


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean SSIM of the channels of pictures (B, C, H, W) (Wang et al., 2004), in every fourth flat window of 7x7.

    Differentiable, and quick: `metrics.ssim` has the Gaussian window of the paper, at every place.
    """
    light, structure = _light_and_structure(x + 1, y + 1)
    return (light * structure).mean()


SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM's scales, from the finest on."""


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM of each of the pictures (B, C, H, W), (B,): structure at five scales, light at the coarsest alone.

    Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", 2003, in the windows of
    `ssim`. A scale that correlates negatively counts as one that hardly does. Pictures smaller than 112 px have fewer
    scales, whose exponents are stretched to the same sum.
    """
    scales = SCALES[: max(1, min(len(SCALES), int(math.log2(min(x.shape[-2:]) / 7)) + 1))]
    x, y = x + 1, y + 1
    product = x.new_ones(len(x))
    for number, exponent in enumerate(scales):
        light, structure = _light_and_structure(x, y)
        similar = light * structure if number + 1 == len(scales) else structure
        product = product * similar.mean((1, 2, 3)).clamp_min(1e-3) ** (exponent * sum(SCALES) / sum(scales))
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product


def _light_and_structure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM in each window, of pictures in [0, 2]."""
    mean = [F.avg_pool2d(t, 7, 4) for t in (x, y, x * x, y * y, x * y)]
    xx, yy, xy = mean[0] ** 2, mean[1] ** 2, mean[0] * mean[1]
    light = (2 * xy + 0.02**2) / (xx + yy + 0.02**2)
    structure = (2 * (mean[4] - xy) + 0.06**2) / (mean[2] - xx + mean[3] - yy + 0.06**2)
    return light, structure
