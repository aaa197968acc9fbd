"""Errors of decoded pictures, which a loss may count late in a run."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from trainer.schema import Section
from trainer.similarity import ms_ssim


class PictureStage(Section):
    """The `pictures:` of an objective: from `start` on its loss is of decoded pictures, with the latents' beside it."""

    start: float = Field(default=0.667, ge=0, le=1)
    """Share of the run before it."""
    latent: float = Field(default=0.5, ge=0)
    """Weight of the loss on latents within the stage."""
    l1: float = Field(default=0.1, ge=0)
    """Weight of the mean absolute difference."""
    gradient: float = Field(default=0.1, ge=0)
    """Weight of the mean absolute difference of the gradients."""
    fft: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute difference of the spectra (Cho et al., "Rethinking coarse-to-fine approach in single
    image deblurring", ICCV 2021)."""
    ms_ssim: float = Field(default=0.0, ge=0)
    """Weight of 1 - MS-SSIM."""


def picture_errors(x: Tensor, y: Tensor, stage: PictureStage) -> Mapping[str, Tensor]:
    """The mean squared error of pictures x from y, (B, 3, H, W) in [-1, 1], and what else the stage counts, (B,) each.

    All are of values in [0, 1], and zero where x is y; those but the first are weighted. The spectrum is the
    orthonormal one, so that its scale is that of the picture.
    """
    error = (x - y) / 2
    of = {
        "l1": lambda: error.abs().mean((1, 2, 3)),
        "gradient": lambda: sum(error.diff(dim=axis).abs().mean((1, 2, 3)) for axis in (2, 3)),
        "fft": lambda: torch.view_as_real(torch.fft.rfft2(error, norm="ortho")).abs().mean((1, 2, 3, 4)),
        "ms_ssim": lambda: 1 - ms_ssim(x, y),
    }
    weights = {name: getattr(stage, name) for name in of}
    return {"picture": error.square().mean((1, 2, 3))} | {
        name: weights[name] * measure() for name, measure in of.items() if weights[name]
    }
