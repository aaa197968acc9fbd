"""Damage taken off by classical means that are told the truth: what fell on an image, in which order, how strong.

What a record says is undone from the last effect to the first, each by a method of the textbooks with the parameter of
the record in place of a guess. It is what a network has to beat; it is no part of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means, wiener

from trainer.data.images import Image

Floats: TypeAlias = NDArray[np.float32]
"""(H, W, 3) sRGB in [0, 1]."""
Params: TypeAlias = Mapping[str, Any]

BALANCE = 0.03
"""Of the Wiener filter: power of the noise in that of the picture, at all frequencies alike."""
FLAT = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
"""The regularisation of that: the picture itself."""
OMEGA = 0.95
"""Share of the haze that the dark channel takes (He, Sun, Tang, 2009)."""
LEAST_LIGHT = 0.1
"""Transmission below which nothing is divided by it."""
GUIDE = 20
"""Pixels: radius of the guided filter that refines the transmission."""
DROPS = 5
"""Pixels: side of the median that tells streaks and flakes from what is behind them."""


def restore(image: Image, damages: Sequence[Mapping[str, Any]]) -> Image:
    """(H, W, 3) uint8 without the damages that are asked away.

    damages: entries of `degradations` of a record for this image, in the order applied. What is to be kept stays as it
    is; what is to be lessened to a factor f is a mean of the image (weight f) and of the restored one.
    """
    levels: Floats = image.astype(np.float32) / np.float32(255)
    for damage in reversed(damages):
        undo = UNDO.get(damage["effect"])
        if undo is None or damage["asked"] == "keep":
            continue
        factor = float(damage.get("factor", 0.0))
        undone = np.clip(undo(levels, damage["params"]), 0, 1).astype(np.float32)
        levels = np.float32(factor) * levels + np.float32(1 - factor) * undone
    return np.rint(levels * 255).astype(np.uint8)


def dehazed(image: Floats, params: Params) -> Floats:
    """The dark channel prior with the record's airlight (He, Sun, Tang, "Single image haze removal", CVPR 2009), in
    linear light; the transmission is refined by a guided filter of the luma (He, Sun, Tang, ECCV 2010)."""
    light = linear(image)
    air = np.broadcast_to(np.float32(params["airlight"]), (3,)).clip(0.05)
    side = max(3, min(image.shape[:2]) // 25 | 1)
    dark = cv2.erode((light / air).min(2), np.ones((side, side), np.uint8))
    transmission = guided(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1 - OMEGA * dark, GUIDE, 1e-3)
    return encoded((light - air) / np.maximum(transmission, LEAST_LIGHT)[..., None] + air)


def without_drops(image: Floats, _params: Params) -> Floats:
    """Streaks and flakes are brighter than what is behind them, and small: where the image is above the median of its
    neighbours, that median."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    behind = cv2.medianBlur((luma * 255).astype(np.uint8), DROPS).astype(np.float32) / 255
    return image - np.maximum(luma - behind, 0)[..., None]


def sharpened(kernel: NDArray[np.float32]) -> Callable[[Floats], Floats]:
    """Wiener's filter for a known kernel of odd sides, in linear light as the blur fell."""

    def undo(image: Floats) -> Floats:
        rim = max(kernel.shape)
        light = cv2.copyMakeBorder(linear(image), rim, rim, rim, rim, cv2.BORDER_REFLECT_101)
        planes = [wiener(light[..., channel], kernel, BALANCE, FLAT, clip=False) for channel in range(3)]
        return encoded(np.stack(planes, 2)[rim:-rim, rim:-rim].astype(np.float32))

    return undo


def of_blur(image: Floats, params: Params) -> Floats:
    sigma = float(params["sigma"])
    return image if sigma < 0.4 else sharpened(_gaussian(sigma))(image)


def of_defocus(image: Floats, params: Params) -> Floats:
    radius = float(params["radius"])
    return image if radius < 0.6 else sharpened(_disc(radius))(image)


def of_motion(image: Floats, params: Params) -> Floats:
    """As along a straight line: what a shaken hand draws is not told."""
    length = float(params["length"])
    return image if length < 1.5 else sharpened(_line(length, math.radians(float(params["angle"]))))(image)


def denoised(image: Floats, params: Params) -> Floats:
    """Non-local means (Buades, Coll, Morel, CVPR 2005), the deviation as the record has it, else as it is seen."""
    sigma = float(params["sigma"]) / 255 if "sigma" in params else seen_sigma(image)
    if sigma < 0.002:
        return image
    found: Floats = denoise_nl_means(
        image, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True, channel_axis=2
    )
    return found


def seen_sigma(image: Floats) -> float:
    """The noise's deviation, from what a mask that is blind to edges leaves (Immerkær, "Fast noise variance
    estimation", CVIU 1996)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    left = cv2.filter2D(image, -1, mask, borderType=cv2.BORDER_REFLECT_101)
    return float(math.sqrt(math.pi / 2) / 6 * np.abs(left).mean())


def deblocked(image: Floats, params: Params) -> Floats:
    """A bilateral filter as wide as a block, for steps as large as the quality lets them be."""
    step = (100 - float(params["quality"])) / 100 * 0.08
    return image if step < 0.005 else cv2.bilateralFilter(image, 7, step, 3)


def of_exposure(image: Floats, params: Params) -> Floats:
    return encoded(linear(image) * np.float32(2.0 ** -float(params["stops"])))


def of_contrast(image: Floats, params: Params) -> Floats:
    pivot = params.get("pivot")
    middle = float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).mean()) if pivot is None else float(pivot) / 255
    return (image - middle) / np.float32(params["gain"]) + middle


def without_stripes(image: Floats, _params: Params) -> Floats:
    """Each column is moved to where the median of its neighbours' means is."""
    means = image.mean((0, 2))
    width = min(31, (len(means) - 1) | 1)
    around = np.pad(means, width // 2, mode="reflect")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(around, width), 1)
    return image - (means - smooth[: len(means)])[None, :, None].astype(np.float32)


UNDO: dict[str, Callable[[Floats, Params], Floats]] = {
    "haze": dehazed,
    "rain": without_drops,
    "snow": without_drops,
    "motion": of_motion,
    "blur": of_blur,
    "defocus": of_defocus,
    "exposure": of_exposure,
    "contrast": of_contrast,
    "noise": denoised,
    "sensor_noise": denoised,
    "jpeg": deblocked,
    "stripes": without_stripes,
}
"""By effect; another one stays, as does an image that was enlarged: Wiener's filter makes it worse."""


def linear(image: Floats) -> Floats:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    light: Floats = np.where(image <= 0.04045, image / 12.92, ((image.clip(0) + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def encoded(light: Floats) -> Floats:
    """The inverse of `linear`, clipped to [0, 1]."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def guided(guide: Floats, image: Floats, radius: int, smooth: float) -> Floats:
    """He, Sun, Tang's guided filter of (H, W) by (H, W), in windows of 2 radius + 1."""

    def mean(plane: Floats) -> Floats:
        return cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_image = mean(guide), mean(image)
    slope = (mean(guide * image) - mean_guide * mean_image) / (mean(guide * guide) - mean_guide**2 + smooth)
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)


def _gaussian(sigma: float) -> NDArray[np.float32]:
    side = 2 * math.ceil(3 * sigma) + 1
    line = cv2.getGaussianKernel(side, sigma, cv2.CV_32F)
    return line @ line.T


def _disc(radius: float) -> NDArray[np.float32]:
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def _line(length: float, angle: float) -> NDArray[np.float32]:
    """angle: in radians, counter-clockwise as one sees it."""
    reach = math.ceil(length / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    along = np.linspace(-length / 2, length / 2, 8 * reach + 1)
    at = np.rint(np.stack([reach - along * math.sin(angle), reach + along * math.cos(angle)])).astype(int)
    np.add.at(kernel, tuple(at), 1)
    return kernel / kernel.sum()
