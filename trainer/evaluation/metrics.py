"""Metrics of fusion: numpy in, numbers out, no torch.

An image is (H, W) or (H, W, 3), RGB, in grey levels 0 to 255, bytes or floats. All but PSNR look at BT.601 luma, which
is not rounded except where a histogram needs levels. a and b are the sources of the fused image f. A metric of several
sources is their sum, so VIF, MI, SCD and SSIM against two sources may pass 1.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[Any]
Plane: TypeAlias = NDArray[np.float64]  # (H, W)

PEAK = 255.0
LEVELS = 256
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5  # Wang et al.: an 11 × 11 Gaussian window
SSIM_C1, SSIM_C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
QABF_STRENGTH = (0.9994, -15.0, 0.5)  # Γ, κ, σ of Xydeas and Petrović for the strength of an edge
QABF_ANGLE = (0.9879, -22.0, 0.8)  # and for its orientation
VIF_NOISE = 2.0  # variance of the visual noise, in squared grey levels (Sheikh and Bovik's vifp_mscale)
VIF_SCALES = 4
VIF_SMALLEST = 41  # pixels of the short side that leave one window at the last scale
MEF_WINDOW, MEF_MOST = 8, 10.0  # pixels; the largest power of a contrast (Ma, Zeng, Wang)
MEF_SCALES = (0.0448, 0.2856, 0.3001)  # weights of three scales, before they are made to sum to 1
TINY = 1e-10  # variance, in squared grey levels, below which a window is flat


def luma(image: Picture) -> Plane:
    """BT.601 luma as float64 (H, W), in grey levels. Raises ValueError where the shape is no image's."""
    if image.ndim == 2:
        return image.astype(np.float64)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image is (H, W) or (H, W, 3), this is {image.shape}")
    weights = np.array([0.299, 0.587, 0.114])
    return image.astype(np.float64) @ weights


def psnr(x: Picture, reference: Picture) -> float:
    """Peak signal to noise in dB over all pixels and channels, 10 log10(255² / MSE); infinite for equal images.

    A grey image beside one with colour is taken as three equal channels.
    """
    if x.ndim != reference.ndim:
        x, reference = (image if image.ndim == 3 else image[:, :, None] for image in (x, reference))
    error = float(np.mean((x.astype(np.float64) - reference) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(PEAK**2 / error))


def ssim(x: Picture, reference: Picture) -> float:
    """Structural similarity of luma: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", TIP 2004.

    Gaussian window of σ 1.5 and 11 × 11 pixels, population variances, K = (0.01, 0.03), the mean over all windows that
    lie inside the image.
    """
    p, q = luma(x), luma(reference)
    if min(p.shape) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs {2 * SSIM_RADIUS + 1} pixels a side, the image is {p.shape[1]}×{p.shape[0]}")
    blur = _window(2 * SSIM_RADIUS + 1, SSIM_SIGMA)
    mean_p, mean_q = blur(p), blur(q)
    var_p, var_q = blur(p * p) - mean_p**2, blur(q * q) - mean_q**2
    covariance = blur(p * q) - mean_p * mean_q
    light = (2 * mean_p * mean_q + SSIM_C1) / (mean_p**2 + mean_q**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (var_p + var_q + SSIM_C2)
    return float(np.mean(light * structure))


def ssim_sources(a: Picture, b: Picture, f: Picture) -> float:
    """SSIM of the fused image with each source, summed: 2 where all three are equal."""
    return ssim(f, a) + ssim(f, b)


def qabf(a: Picture, b: Picture, f: Picture) -> float:
    """How much of the sources' edges the fused image has, in [0, 1].

    Xydeas and Petrović, "Objective image fusion performance measure", Electronics Letters 2000: Sobel edges; strength
    and orientation preserved, each through a sigmoid; weighted by the strength of the source's edge (L = 1). 0 where
    neither source has an edge.
    """
    edges_f = _edges(luma(f))
    kept = total = 0.0
    for source in (a, b):
        edges = _edges(luma(source))
        kept += float(np.sum(_preserved(edges, edges_f) * edges[0]))
        total += float(np.sum(edges[0]))
    return kept / total if total else 0.0


def _edges(plane: Plane) -> tuple[Plane, Plane]:
    """Strength and orientation, in (−π/2, π/2], of Sobel edges; the border repeats itself."""
    dx = cv2.Sobel(plane, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(plane, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    angle = np.where(dx == 0, np.pi / 2, np.arctan(dy / np.where(dx == 0, 1.0, dx)))
    return np.hypot(dx, dy), angle


def _preserved(source: tuple[Plane, Plane], fused: tuple[Plane, Plane]) -> Plane:
    """Q^AF at each pixel, in [0, 1]."""
    low, high = np.minimum(source[0], fused[0]), np.maximum(source[0], fused[0])
    strength = np.divide(low, high, out=np.zeros_like(low), where=high > 0)
    alignment = np.abs(np.abs(source[1] - fused[1]) - np.pi / 2) / (np.pi / 2)
    return _sigmoid(strength, *QABF_STRENGTH) * _sigmoid(alignment, *QABF_ANGLE)


def _sigmoid(x: Plane, top: float, slope: float, middle: float) -> Plane:
    return top / (1 + np.exp(slope * (x - middle)))


def vif(x: Picture, reference: Picture) -> float:
    """Visual information fidelity of luma in the pixel domain: 1 for equal images, above 1 for more contrast.

    Sheikh and Bovik, "Image information and visual quality", TIP 2006, in the multi-scale pixel version of their code
    (vifp_mscale): four scales, Gaussian windows of 17, 9, 5 and 3 pixels with σ a fifth of that, noise of variance 2.
    A reference without any structure gives 1.
    """
    p, q = luma(reference), luma(x)
    if min(p.shape) < VIF_SMALLEST:
        raise ValueError(f"VIF needs {VIF_SMALLEST} pixels a side, the image is {p.shape[1]}×{p.shape[0]}")
    passed = there = 0.0
    for scale in range(VIF_SCALES):
        size = 2 ** (VIF_SCALES - scale) + 1
        blur = _window(size, size / 5)
        if scale:
            p, q = blur(p)[::2, ::2], blur(q)[::2, ::2]
        mean_p, mean_q = blur(p), blur(q)
        var_p = np.maximum(blur(p * p) - mean_p**2, 0)
        var_q = np.maximum(blur(q * q) - mean_q**2, 0)
        covariance = blur(p * q) - mean_p * mean_q
        gain = covariance / (var_p + TINY)
        noise = var_q - gain * covariance
        gain, noise = np.where(var_p < TINY, 0, gain), np.where(var_p < TINY, var_q, noise)
        var_p = np.where(var_p < TINY, 0, var_p)
        gain, noise = np.where(var_q < TINY, 0, gain), np.where(var_q < TINY, 0, noise)
        gain, noise = np.where(gain < 0, 0, gain), np.where(gain < 0, var_q, noise)
        noise = np.maximum(noise, TINY)
        passed += float(np.sum(np.log10(1 + gain**2 * var_p / (noise + VIF_NOISE))))
        there += float(np.sum(np.log10(1 + var_p / VIF_NOISE)))
    return passed / there if there else 1.0


def vif_sources(a: Picture, b: Picture, f: Picture) -> float:
    """VIF of the fused image with each source, summed. It is not VIFF (Han et al., 2013), which works otherwise."""
    return vif(f, a) + vif(f, b)


def mutual_information(a: Picture, b: Picture, f: Picture) -> float:
    """MI(a; f) + MI(b; f) in bits, from joint histograms of 256 levels.

    Qu, Zhang, Yan, "Information measure for performance of image fusion", Electronics Letters 2002.
    """
    return _mutual(_levels(a), _levels(f)) + _mutual(_levels(b), _levels(f))


def _mutual(x: NDArray[np.intp], y: NDArray[np.intp]) -> float:
    joint = np.bincount(x * LEVELS + y, minlength=LEVELS**2).astype(np.float64).reshape(LEVELS, LEVELS)
    return _bits(joint.sum(0)) + _bits(joint.sum(1)) - _bits(joint)


def entropy(f: Picture) -> float:
    """EN: Shannon entropy of the luma's histogram of 256 levels, in bits (0 to 8)."""
    return _bits(np.bincount(_levels(f), minlength=LEVELS).astype(np.float64))


def _levels(image: Picture) -> NDArray[np.intp]:
    """Luma rounded to levels, (H·W,)."""
    return np.clip(np.rint(luma(image)), 0, LEVELS - 1).astype(np.intp).ravel()


def _bits(counts: Plane) -> float:
    shares = counts[counts > 0] / counts.sum()
    return -float(np.sum(shares * np.log2(shares)))


def scd(a: Picture, b: Picture, f: Picture) -> float:
    """Sum of the correlations of differences, r(f − b, a) + r(f − a, b), in [−2, 2].

    Aslantas and Bendes, "A new image quality metric for image fusion", AEU 2015. A correlation with something flat
    counts as 0.
    """
    p, q, fused = luma(a), luma(b), luma(f)
    return _correlation(fused - q, p) + _correlation(fused - p, q)


def _correlation(x: Plane, y: Plane) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / scale if scale > 0 else 0.0


def mef_ssim(a: Picture, b: Picture, f: Picture) -> float:
    """How well the fused image of a bracket has the structure of its exposures, in [−1, 1]; 1 is best.

    Ma, Zeng, Wang, "Perceptual quality assessment for multi-exposure image fusion", TIP 2015, on luma: at each place
    the contrast of the exposure that has most, and the mean of their structures by contrast to a power that agrees with
    how alike they are; three scales. What the mean brightness is does not count.
    """
    planes = [luma(image) for image in (a, b, f)]
    if min(planes[0].shape) < MEF_WINDOW * 2 ** (len(MEF_SCALES) - 1):
        raise ValueError(f"MEF-SSIM needs {MEF_WINDOW * 4} pixels a side, the image is {planes[0].shape[::-1]}")
    total = 1.0
    for weight in MEF_SCALES:
        value = _mef_ssim(*planes)
        total *= np.sign(value) * abs(value) ** (weight / sum(MEF_SCALES))
        planes = [cv2.blur(plane, (2, 2), borderType=cv2.BORDER_REFLECT)[::2, ::2] for plane in planes]
    return float(total)


def _mef_ssim(a: Plane, b: Plane, f: Plane) -> float:
    """At one scale."""

    def means(plane: Plane) -> Plane:
        whole: Plane = cv2.boxFilter(plane, cv2.CV_64F, (MEF_WINDOW, MEF_WINDOW))
        first, last = MEF_WINDOW // 2, -(MEF_WINDOW - 1 - MEF_WINDOW // 2)
        return whole[first:last, first:last]

    def covariance(p: Plane, q: Plane) -> Plane:
        return means(p * q) - means(p) * means(q)

    spread = [np.sqrt(np.maximum(covariance(plane, plane), TINY)) for plane in (a, b)]
    together = covariance(a, b)
    whole = np.sqrt(np.maximum(spread[0] ** 2 + spread[1] ** 2 + 2 * together, 0))
    alike = np.clip(whole / (spread[0] + spread[1]), 0, 1 - 1e-9)
    power = np.minimum(np.tan(np.pi / 2 * alike), MEF_MOST)
    highest = np.maximum(*spread)
    shares = [(each / highest) ** power for each in spread]
    shares = [share / (shares[0] + shares[1]) for share in shares]
    length = sum(share**2 for share in shares) + 2 * shares[0] * shares[1] * together / (spread[0] * spread[1])
    scale = highest / np.sqrt(np.maximum(length, TINY))
    wanted = scale * sum(
        share / each * covariance(plane, f) for share, each, plane in zip(shares, spread, (a, b), strict=True)
    )
    return float(np.mean((2 * wanted + SSIM_C2) / (highest**2 + covariance(f, f) + SSIM_C2)))


def spatial_frequency(f: Picture) -> float:
    """SF = √(RF² + CF²), the root mean squares of differences along rows and columns, in grey levels.

    Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Transactions on Communications 1995;
    each mean is over the differences that there are.
    """
    plane = luma(f)
    return float(np.sqrt(np.mean(np.diff(plane, axis=1) ** 2) + np.mean(np.diff(plane, axis=0) ** 2)))


def average_gradient(f: Picture) -> float:
    """AG: the mean of √((dx² + dy²) / 2) over forward differences, in grey levels; last row and column left out.

    Cui et al., "Detail preserved fusion of visible and infrared images", Optics Communications 2015.
    """
    plane = luma(f)
    dx, dy = np.diff(plane, axis=1)[:-1], np.diff(plane, axis=0)[:, :-1]
    return float(np.mean(np.sqrt((dx**2 + dy**2) / 2)))


AGAINST_SOURCES: dict[str, Callable[[Picture, Picture, Picture], float]] = {
    "Qabf": qabf,
    "VIF": vif_sources,
    "SSIM": ssim_sources,
    "MI": mutual_information,
    "SCD": scd,
}
"""Of (a, b, f), by the field's names; more is better."""
ALONE: dict[str, Callable[[Picture], float]] = {"SF": spatial_frequency, "AG": average_gradient, "EN": entropy}
"""Of f; more is richer, not always better: noise scores high."""

ARROWS = {
    **dict.fromkeys(("PSNR", "SSIM", "Qabf", "VIF", "SSIM ab", "MI", "SCD", "MEF-SSIM"), "↑"),
    **dict.fromkeys(("SF", "AG", "EN"), ""),
    "BRISQUE": "↓",
}
"""Which way is better, where one is."""


def _window(size: int, sigma: float) -> Callable[[Plane], Plane]:
    """Gaussian means over windows of size × size that lie inside the plane: (H, W) -> (H − size + 1, W − size + 1)."""
    kernel = cv2.getGaussianKernel(size, sigma, cv2.CV_64F)
    margin = size // 2

    def blur(plane: Plane) -> Plane:
        means: Plane = cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)[margin:-margin, margin:-margin]
        return means

    return blur
