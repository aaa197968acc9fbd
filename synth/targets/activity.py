"""How much an image shows at each place: the energy of its gradients, and the noise below it. Luma in [0, 1]."""

import cv2
import numpy as np

from synth.pixels import Bytes, Floats, luma

SIGMA = 2.0  # pixels over which energy is gathered, so that one window chooses as one
DETAIL = 0.7  # pixels of smoothing before energy is taken: noise is finer than what it hides
NOISE_QUANTILE = 0.05  # of energy over the picture: what its flattest places have is noise
NOISE_MARGIN = 2.0  # energy in a window scatters about the noise's mean, and the quantile lies below it
NOISE_MOST = 2 * (6 / 255) ** 2  # energy of noise of 6 grey levels: a picture full of texture has no flat place


def unit_luma(image: Bytes) -> Floats:
    """Luma in [0, 1] without rounding it to bytes: differences of a level matter to gradients."""
    return luma(image.astype(np.float32) * np.float32(1 / 255))


def blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian means of (H, W), mirrored at the border."""
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def energy(plane: Floats) -> Floats:
    """Squared forward differences of both directions, (H, W), zero past the border."""
    result = np.zeros_like(plane)
    result[:, :-1] += np.square(np.diff(plane, axis=1))
    result[:-1, :] += np.square(np.diff(plane, axis=0))
    return result


def signal(plane: Floats) -> tuple[Floats, float]:
    """Energy above the noise, (H, W) ≥ 0, gathered over σ = 2 px, and the energy of the noise that was taken off."""
    gathered = blur(energy(blur(plane, DETAIL)), SIGMA)
    sparse = gathered[::4, ::4].ravel()  # neighbours within σ tell the same
    rank = int(NOISE_QUANTILE * (sparse.size - 1))
    noise = NOISE_MARGIN * min(float(np.partition(sparse, rank)[rank]), NOISE_MOST)
    return np.maximum(gathered - np.float32(noise), 0), noise
