"""The closed-form start: one fixed fusion that needs no task, from which the network predicts the residual.

Luma F minimises  ‖∇F - g‖² + λ‖F - u‖²,  in images of [0, 1]: g is at each pixel the luma gradient of the input whose
gradient energy, smoothed over σ = 2 px, is larger; u is the exposure fusion of both. Chroma is the mean of both inputs,
weighted by saturation. So the focused, the well-exposed and the thermal edges win without anyone naming the task.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.frozen.tiles import tiled

NAME = "gradient-mertens-1"
"""Stands in config.json: weights are valid with the base that they were trained on, and no other."""

LAMBDA = 0.05
SIGMA = 2.0
LUMA = (0.299, 0.587, 0.114)  # BT.601
TILE, OVERLAP = 2048, 64
"""Pixels along a side of the tiles of a picture of more than TILE² pixels, and by which they overlap, at least."""
WHOLE = 4096**2
"""Pixels of the largest picture of which u is found at full resolution."""
Solve: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""g along x, g along y and u, (B, H, W) each → F, as `screened_poisson`."""


@torch.no_grad()
def fuse_base(a: Tensor, b: Tensor) -> Tensor:
    """Two inputs (B, 3, H, W) in [-1, 1], any size → their fusion, (B, 3, H, W) in [-1, 1].

    Large pictures are solved in tiles, about u of the whole: what lies r pixels away counts by exp(-r √λ), which is
    6e-7 at OVERLAP. Of very large ones u has not the finest band of its pyramid, where g rules.
    """
    height, width = a.shape[-2:]
    if height * width <= TILE**2:
        return fused_about(a, b, exposure_fusion(lumas_of(a, b)))
    if height * width <= WHOLE:
        u = exposure_fusion(lumas_of(a, b))
    else:
        halves = tiled(_halved, (a, b), TILE, OVERLAP, 2, (1, 2))
        u = larger(blended(*halves.movedim(1, 0).split(2))[:, None], a.shape[-2:])[:, 0]
    return tiled(lambda a, b, u: fused_about(a, b, u[:, 0]), (a, b, u[:, None]), TILE, OVERLAP, 1, (1, 1))


def _halved(a: Tensor, b: Tensor) -> Tensor:
    """The second level of both lumas' and both weights' pyramids, (B, 4, ⌈H/2⌉, ⌈W/2⌉)."""
    lumas = lumas_of(a, b)
    return torch.cat([smaller(lumas), smaller(worth(lumas))]).movedim(0, 1)


def fused_about(a: Tensor, b: Tensor, u: Tensor, solve: Solve | None = None) -> Tensor:
    """`fuse_base`, with the luma that it should have at large, (B, H, W). solve: in place of `screened_poisson`."""
    lumas = lumas_of(a, b)
    luma = (solve or screened_poisson)(*_stronger(lumas), u)
    share = _saturation(a)
    share /= share + _saturation(b)
    fused = torch.lerp(b, a, share[:, None])  # of the colours; their luma goes, the new one comes
    fused += 2 * (luma - torch.lerp(lumas[1], lumas[0], share))[:, None]
    return fused.clamp_(-1, 1)


def lumas_of(a: Tensor, b: Tensor) -> Tensor:
    """(2, B, H, W) in [0, 1]."""
    return torch.stack([F.conv2d(x, x.new_tensor(LUMA)[None, :, None, None]).squeeze(1) for x in (a, b)]) / 2 + 0.5


def _stronger(lumas: Tensor) -> tuple[Tensor, Tensor]:
    """g of lumas (2, B, H, W), along x and y, (B, H, W) each."""
    dx, dy = gradients(lumas)
    energy = blur(dx**2 + dy**2)
    first = energy[0] >= energy[1]
    return torch.where(first, dx[0], dx[1]), torch.where(first, dy[0], dy[1])


def _saturation(x: Tensor) -> Tensor:
    """Standard deviation of the channels of (B, 3, H, W) in [-1, 1], smoothed, (B, H, W)."""
    mean, variance = x.mean(1), torch.zeros_like(x[:, 0])
    for channel in x.unbind(1):
        variance += (channel - mean) ** 2 / 12
    return blur(variance.sqrt_()) + 1e-4


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences of (…, H, W) along x and y, zero past the border; the same shape."""
    return F.pad(x.diff(dim=-1), (0, 1)), F.pad(x.diff(dim=-2), (0, 0, 0, 1))


def divergence(gx: Tensor, gy: Tensor) -> Tensor:
    """Of a field (…, H, W) along x and y; the last difference on each axis crosses the border, and does not count."""
    gx, gy = gx[..., :-1], gy[..., :-1, :]
    return (F.pad(gx, (0, 1)) - F.pad(gx, (1, 0))) + (F.pad(gy, (0, 0, 0, 1)) - F.pad(gy, (0, 0, 1, 0)))


def screened_poisson(gx: Tensor, gy: Tensor, u: Tensor, lam: float = LAMBDA) -> Tensor:
    """argmin over F of ‖∇F - g‖² + λ‖F - u‖², exactly; all (…, H, W).

    Its normal equations (λ - Δ) F = λ u - div g have reflecting borders, so the DCT-II makes Δ diagonal, with
    eigenvalues 2 cos(πk/N) - 2 along each axis (Bhat et al., "Fourier analysis of the 2D screened Poisson
    equation for gradient domain problems", ECCV 2008).
    """
    height, width = u.shape[-2:]
    rows = 2 - 2 * torch.cos(math.pi * torch.arange(height, device=u.device) / height)
    columns = 2 - 2 * torch.cos(math.pi * torch.arange(width, device=u.device) / width)
    spectrum = _dct(_dct(lam * u - divergence(gx, gy)).mT).mT
    return _idct(_idct((spectrum / (lam + rows[:, None] + columns)).mT).mT)


def exposure_fusion(luma: Tensor) -> Tensor:
    """K intensities (K, B, H, W) in [0, 1] → (B, H, W): weights contrast x well-exposedness, blended by a pyramid.

    Mertens, Kautz, Van Reeth, "Exposure fusion", 2007, on luma. Their saturation is left out: infrared has none.
    """
    return blended(luma, worth(luma))


def worth(luma: Tensor) -> Tensor:
    """The weight of each of K intensities (K, B, H, W) at each place; their sum is 1."""
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    contrast = 4 * luma
    for beside in (padded[..., 1:-1, 2:], padded[..., 1:-1, :-2], padded[..., 2:, 1:-1], padded[..., :-2, 1:-1]):
        contrast -= beside
    del padded
    weight = contrast.abs_().add_(1e-4)
    weight *= ((luma - 0.5) ** 2).mul_(-1 / (2 * 0.2**2)).exp_()
    weight += 1e-12
    return weight.div_(weight.sum(0))


def blended(luma: Tensor, weight: Tensor) -> Tensor:
    """Σ weight · luma over K, band by band of a pyramid, all (K, B, H, W) → (B, H, W)."""
    fused: list[Tensor] = []
    while min(luma.shape[-2:]) >= 4:
        half = smaller(luma)
        fused.append((weight * (luma - larger(half, luma.shape[-2:]))).sum(0))
        luma, weight = half, smaller(weight)
    result = (weight * luma).sum(0)
    for detail in reversed(fused):
        result = detail + larger(result[None], detail.shape[-2:])[0]
    return result


def blur(x: Tensor, sigma: float = SIGMA) -> Tensor:
    """Gaussian blur of (…, H, W), the border repeated."""
    radius = math.ceil(3 * sigma)
    kernel = [math.exp(-((i - radius) ** 2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
    return _separable(x, [tap / sum(kernel) for tap in kernel])


def smaller(x: Tensor) -> Tensor:
    """The next level of a pyramid, (…, H, W) → (…, ⌈H/2⌉, ⌈W/2⌉)."""
    return _separable(x, [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], step=2)


def larger(x: Tensor, size: torch.Size) -> Tensor:
    """A level, (K, B, h, w), at the size (H, W) of that below it."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _separable(x: Tensor, kernel: list[float], step: int = 1) -> Tensor:
    """Along both axes of (…, H, W), the border repeated, at every `step` places.

    Tap by tap: on one channel that takes a fraction of the time and memory of torch's convolution. Other programs,
    for which a graph is exported, have quicker ones.
    """
    r = len(kernel) // 2
    flat = x.reshape(-1, 1, *x.shape[-2:])
    if torch.compiler.is_exporting():
        taps = flat.new_tensor(kernel)
        padded = F.pad(flat, (r, r, r, r), mode="replicate")
        across = F.conv2d(padded, taps[None, None, None], stride=(1, step))
        flat = F.conv2d(across, taps[None, None, :, None], stride=(step, 1))
        return flat.view(*x.shape[:-2], *flat.shape[-2:])
    for axis, pad in ((-1, (r, r, 0, 0)), (-2, (0, 0, r, r))):
        side = flat.shape[axis]
        padded = F.pad(flat, pad, mode="replicate").movedim(axis, -1)
        seen = [padded[..., i : i + side : step] for i in range(2 * r + 1)]
        flat = kernel[0] * seen[0]
        for weight, tap in zip(kernel[1:], seen[1:], strict=True):
            flat.add_(tap, alpha=weight)
        flat = flat.movedim(-1, axis)
    return flat.view(*x.shape[:-2], *flat.shape[-2:])


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
