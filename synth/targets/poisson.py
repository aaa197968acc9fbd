"""The screened Poisson equation: an image from gradients and an intensity, in closed form."""

from functools import lru_cache

import numpy as np
from scipy.fft import dctn, idctn

from synth.images.pixels import Floats


def solve(dx: Floats, dy: Floats, intensity: Floats, weight: float) -> Floats:
    """The F that minimises ‖∂x F − dx‖² + ‖∂y F − dy‖² + weight ‖F − intensity‖² on forward differences.

    dx: (H, W-1), dy: (H-1, W), intensity: (H, W). With no flux through the border the normal equations
    (weight − Δ) F = weight · intensity − div(dx, dy) are diagonal under a DCT-II (Bhat et al., "Fourier analysis of
    the 2D screened Poisson equation for gradient domain problems", ECCV 2008). What is broader than 1 / √weight pixels
    follows the intensity, what is finer follows the gradients.
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
