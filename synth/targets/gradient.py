"""Gradient-domain fusion in closed form (screened Poisson)."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.fft import dctn, idctn

from synth.pixels import Bytes, Floats, in_colour, luma, round_to_bytes
from synth.scene import Task
from synth.targets.exposure import mertens

LAMBDA = 0.05  # weight of the intensity against the gradients, images in [0, 1]
SIGMA = 2.0  # pixels over which gradient energy is gathered, so that one window chooses as one


@dataclass(frozen=True, eq=False)
class Choices:
    """What is decided on the clean pair: take_a, (H, W) bool, where image a's gradients are the stronger ones."""

    take_a: np.ndarray


def choose(a: Bytes, b: Bytes) -> Choices:
    """At each pixel, the image whose gradient energy, smoothed over σ = 2 px, is larger; a where they are equal."""
    return Choices(_energy(_unit_luma(a)) >= _energy(_unit_luma(b)))


def fuse(task: Task, a: Bytes, b: Bytes, choices: Choices) -> Bytes:
    """The fused image, (H, W, 3) where either image has colour, else (H, W).

    Its luma F minimises ‖∇F − g‖² + λ‖F − u‖², where g is the gradient of the chosen image and u the maximum of both
    (vif), the chosen image (mff) or Mertens' fusion (mef). Chroma: of the visible image (vif), of the chosen image
    (mff), of Mertens' fusion (mef).
    """
    luma_a, luma_b = _unit_luma(a), _unit_luma(b)
    take_a = choices.take_a
    colour = a.ndim == 3 or b.ndim == 3
    if task == "vif":
        intensity, chroma = np.maximum(luma_a, luma_b), a
    elif task == "mff":
        intensity = np.where(take_a, luma_a, luma_b)
        chroma = np.where(take_a[:, :, None], in_colour(a), in_colour(b)) if colour else a
    else:
        chroma = mertens(a, b)
        intensity = _unit_luma(chroma)
    dx = np.where(take_a[:, :-1], np.diff(luma_a, axis=1), np.diff(luma_b, axis=1))
    dy = np.where(take_a[:-1, :], np.diff(luma_a, axis=0), np.diff(luma_b, axis=0))
    fused = solve(dx, dy, intensity, LAMBDA)
    return _with_chroma(fused, in_colour(chroma)) if colour else round_to_bytes(fused * 255)


def solve(dx: Floats, dy: Floats, intensity: Floats, weight: float) -> Floats:
    """The F that minimises ‖∂x F − dx‖² + ‖∂y F − dy‖² + weight ‖F − intensity‖² on forward differences.

    dx: (H, W-1), dy: (H-1, W), intensity: (H, W). With no flux through the border the normal equations
    (weight − Δ) F = weight · intensity − div(dx, dy) are diagonal under a DCT-II (Bhat et al., "Fourier analysis of
    the 2D screened Poisson equation for gradient domain problems", ECCV 2008).
    """
    right = np.float32(weight) * intensity
    right[:, :-1] -= dx
    right[:, 1:] += dx
    right[:-1, :] -= dy
    right[1:, :] += dy
    spectrum = dctn(right, norm="ortho", overwrite_x=True)
    spectrum /= _eigenvalues(*intensity.shape) + np.float32(weight)
    return idctn(spectrum, norm="ortho", overwrite_x=True)


@lru_cache(maxsize=8)
def _eigenvalues(height: int, width: int) -> Floats:
    """Of −Δ with mirrored borders under the DCT-II: 4 sin²(π k / 2H) + 4 sin²(π l / 2W)."""
    rows = 4 * np.sin(np.pi * np.arange(height) / (2 * height)) ** 2
    columns = 4 * np.sin(np.pi * np.arange(width) / (2 * width)) ** 2
    return (rows[:, None] + columns[None, :]).astype(np.float32)


def _energy(image: Floats) -> Floats:
    """Squared forward differences, (H, W), smoothed."""
    energy = np.zeros_like(image)
    energy[:, :-1] += np.diff(image, axis=1) ** 2
    energy[:-1, :] += np.diff(image, axis=0) ** 2
    return cv2.GaussianBlur(energy, (0, 0), SIGMA, borderType=cv2.BORDER_REFLECT_101)


def _unit_luma(image: Bytes) -> Floats:
    """Luma in [0, 1] without rounding it to bytes: differences of a level matter to gradients."""
    return luma(image.astype(np.float32) * np.float32(1 / 255))


def _with_chroma(fused: Floats, chroma: Bytes) -> Bytes:
    """Luma (H, W) in [0, 1] with the colour differences (Cb, Cr) of another image."""
    ycc = cv2.cvtColor(chroma.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2YCrCb)
    ycc[:, :, 0] = fused
    return round_to_bytes(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB) * 255)
