"""How much an image shows at each place: the energy of its gradients, and the noise below it. Luma in [0, 1]."""

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats, luma

SIGMA = 2.0  # pixels over which energy is gathered, so that one window chooses as one
DETAIL = 0.7  # pixels of smoothing before energy is taken: noise is finer than what it hides
SPARSE = 4  # pixels between the places where noise is looked for: neighbours within σ tell the same
NOISE_QUANTILE = 0.05  # of energy over the picture: what its flattest places have is noise
NOISE_AROUND = 15  # places to a side of a window whose least energy is noise as well: a street that is nowhere even
NOISE_MARGIN = 2.0  # energy in a window scatters about the noise's mean, and the least of it lies below
NOISE_MOST = 2 * (6 / 255) ** 2  # energy of noise of 6 grey levels: a picture full of texture has no flat place
NOISE_MOST_AROUND = 2 * (4 / 255) ** 2  # and a window is full of texture more easily


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


def signal(plane: Floats, thermal: bool = False) -> tuple[Floats, Floats]:
    """Energy above the noise, (H, W) ≥ 0, gathered over σ = 2 px, and the energy of the noise that was taken off.

    thermal: the noise differs from place to place, as infrared cameras stretch what they see.
    """
    gathered = blur(energy(blur(plane, DETAIL)), SIGMA)
    sparse = np.ascontiguousarray(gathered[::SPARSE, ::SPARSE])
    rank = int(NOISE_QUANTILE * (sparse.size - 1))
    least = min(float(np.partition(sparse.ravel(), rank)[rank]), NOISE_MOST)
    noise = np.full_like(gathered, NOISE_MARGIN * least)
    if thermal:
        noise = np.maximum(noise, cv2.resize(_around(sparse), noise.shape[1::-1]) * np.float32(NOISE_MARGIN))
    return np.maximum(gathered - noise, 0), noise


def _around(energies: Floats) -> Floats:
    """The least energy in the window around each place."""
    window = (NOISE_AROUND, NOISE_AROUND)
    least = cv2.erode(energies, np.ones(window, np.uint8))
    return np.minimum(cv2.blur(least, window, borderType=cv2.BORDER_REFLECT), NOISE_MOST_AROUND)
