"""The closed-form start: one fixed fusion that needs no task, from which the network predicts the residual.

Luma F minimises  ‖∇F - g‖² + λ‖F - u‖²,  in images of [0, 1]: g is at each pixel the luma gradient of the input whose
gradient energy, smoothed over σ = 2 px, is larger; u is the exposure fusion of both. Chroma is the mean of both inputs,
weighted by saturation. So the focused, the well-exposed and the thermal edges win without anyone naming the task.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NAME = "gradient-mertens-1"
"""Stands in config.json: weights are valid with the base that they were trained on, and no other."""

LAMBDA = 0.05
SIGMA = 2.0
LUMA = (0.299, 0.587, 0.114)  # BT.601


@torch.no_grad()
def fuse_base(a: Tensor, b: Tensor) -> Tensor:
    """Two inputs (B, 3, H, W) in [-1, 1], any size → their fusion, (B, 3, H, W) in [-1, 1]."""
    rgb = torch.stack([a, b]) / 2 + 0.5  # (2, B, 3, H, W)
    luma = (rgb * rgb.new_tensor(LUMA)[:, None, None]).sum(2)  # (2, B, H, W)
    chroma = rgb - luma[:, :, None]

    dx, dy = gradients(luma)
    energy = blur(dx**2 + dy**2)
    first = energy[0] >= energy[1]
    fused = screened_poisson(torch.where(first, dx[0], dx[1]), torch.where(first, dy[0], dy[1]), exposure_fusion(luma))

    saturation = blur(chroma.std(2, correction=0)) + 1e-4  # (2, B, H, W)
    weight = (saturation / saturation.sum(0))[:, :, None]
    return ((fused[:, None] + (weight * chroma).sum(0)) * 2 - 1).clamp(-1, 1)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences of (…, H, W) along x and y, zero past the border; the same shape."""
    return F.pad(x.diff(dim=-1), (0, 1)), F.pad(x.diff(dim=-2), (0, 0, 0, 1))


def screened_poisson(gx: Tensor, gy: Tensor, u: Tensor, lam: float = LAMBDA) -> Tensor:
    """argmin over F of ‖∇F - g‖² + λ‖F - u‖², exactly; all (…, H, W).

    Its normal equations (λ - Δ) F = λ u - div g have reflecting borders, so the DCT-II makes Δ diagonal, with
    eigenvalues 2 cos(πk/N) - 2 along each axis (Bhat et al., "Fourier analysis of the 2D screened Poisson
    equation for gradient domain problems", ECCV 2008).
    """
    gx, gy = gx[..., :-1], gy[..., :-1, :]  # the last difference crosses the border
    divergence = (F.pad(gx, (0, 1)) - F.pad(gx, (1, 0))) + (F.pad(gy, (0, 0, 0, 1)) - F.pad(gy, (0, 0, 1, 0)))
    height, width = u.shape[-2:]
    rows = 2 - 2 * torch.cos(math.pi * torch.arange(height, device=u.device) / height)
    columns = 2 - 2 * torch.cos(math.pi * torch.arange(width, device=u.device) / width)
    spectrum = _dct(_dct(lam * u - divergence).mT).mT
    return _idct(_idct((spectrum / (lam + rows[:, None] + columns)).mT).mT)


def exposure_fusion(luma: Tensor) -> Tensor:
    """K intensities (K, B, H, W) in [0, 1] → (B, H, W): weights contrast x well-exposedness, blended by a pyramid.

    Mertens, Kautz, Van Reeth, "Exposure fusion", 2007, on luma. Their saturation is left out: infrared has none.
    """
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    contrast = (
        4 * luma - padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2] - padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    ).abs()
    exposed = torch.exp(-((luma - 0.5) ** 2) / (2 * 0.2**2))
    weight = contrast * exposed + 1e-4 * exposed + 1e-12
    weight = weight / weight.sum(0)

    fused: list[Tensor] = []
    while min(luma.shape[-2:]) >= 4:
        smaller = _down(luma)
        fused.append((weight * (luma - _up(smaller, luma.shape[-2:]))).sum(0))
        luma, weight = smaller, _down(weight)
    result = (weight * luma).sum(0)
    for detail in reversed(fused):
        result = detail + _up(result[None], detail.shape[-2:])[0]
    return result


def blur(x: Tensor, sigma: float = SIGMA) -> Tensor:
    """Gaussian blur of (…, H, W), the border repeated."""
    radius = math.ceil(3 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1, device=x.device) ** 2) / (2 * sigma**2))
    return _separable(x, kernel / kernel.sum())


def _down(x: Tensor) -> Tensor:
    return _separable(x, x.new_tensor([1, 4, 6, 4, 1]) / 16)[..., ::2, ::2]


def _up(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _separable(x: Tensor, kernel: Tensor) -> Tensor:
    flat = x.reshape(-1, 1, *x.shape[-2:])
    r = len(kernel) // 2
    flat = F.conv2d(F.pad(flat, (r, r, r, r), mode="replicate"), kernel[None, None, None])
    return F.conv2d(flat, kernel[None, None, :, None]).reshape(x.shape)


def _dct(x: Tensor) -> Tensor:
    """DCT-II along the last axis, unscaled: Σ_n x_n cos(πk(2n+1)/2N), by one FFT of length N (Makhoul 1980)."""
    n = x.shape[-1]
    spectrum = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], dim=-1))
    return (spectrum * _twiddle(n, x.device)).real


def _idct(x: Tensor) -> Tensor:
    """The inverse of `_dct`."""
    n = x.shape[-1]
    mirrored = F.pad(x.flip(-1)[..., :-1], (1, 0))
    v = torch.fft.ifft(torch.complex(x, -mirrored) * _twiddle(n, x.device).conj()).real
    out = torch.empty_like(x)
    out[..., ::2], out[..., 1::2] = v[..., : (n + 1) // 2], v[..., (n + 1) // 2 :].flip(-1)
    return out


def _twiddle(n: int, device: torch.device) -> Tensor:
    return torch.polar(torch.ones(n, device=device), -math.pi * torch.arange(n, device=device) / (2 * n))
