"""Each metric against a library, or against its formula written another way."""

import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.signal import convolve2d
from skimage import data
from skimage.metrics import normalized_mutual_information, peak_signal_noise_ratio, structural_similarity

from trainer.evaluation import metrics

RNG = np.random.default_rng(0)


@pytest.fixture
def trio() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two sources and something fused of them, with flat parts and noise."""
    image = data.camera()[100:164, 180:252]
    other = np.clip(255 - image.astype(int) // 2 + RNG.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    other[:20, :30] = 200
    image = image.copy()
    image[40:, 50:] = 0
    return image, other, ((image.astype(int) + other) // 2).astype(np.uint8)


def test_metrics_are_imported_without_torch():
    code = "import sys; import trainer.evaluation.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_psnr_is_scikit_images(trio):
    a, b, _ = trio
    assert metrics.psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255))
    assert metrics.psnr(np.dstack([a, a, b]), b) == pytest.approx(
        peak_signal_noise_ratio(np.dstack([b, b, b]), np.dstack([a, a, b]), data_range=255)
    )
    assert metrics.psnr(a, a) == math.inf


def test_ssim_is_scikit_images_on_whole_windows(trio):
    a, _, f = trio
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    full = structural_similarity(a.astype(float), f.astype(float), full=True, **settings)[1]
    assert metrics.ssim(a, f) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)
    assert metrics.ssim(a, a) == pytest.approx(1)


def test_qabf_is_xydeas_and_petrovics_formula_pixel_by_pixel(trio):
    """A loop over pixels, on Sobel edges by scipy."""
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
    strength, angle = [], []
    for image in trio:
        dx, dy = (correlate(image.astype(float), kernel, mode="nearest") for kernel in (sobel, sobel.T))
        strength.append(np.sqrt(dx**2 + dy**2))
        angle.append(np.vectorize(lambda x, y: math.atan(y / x) if x else math.pi / 2)(dx, dy))
    top = bottom = 0.0
    for y in range(trio[0].shape[0]):
        for x in range(trio[0].shape[1]):
            for source in (0, 1):
                g_s, g_f = strength[source][y, x], strength[2][y, x]
                if g_s == 0:
                    continue
                g = g_f / g_s if g_s > g_f else g_s / g_f
                alignment = abs(abs(angle[source][y, x] - angle[2][y, x]) - math.pi / 2) * 2 / math.pi
                q_g = 0.9994 / (1 + math.exp(-15 * (g - 0.5)))
                q_a = 0.9879 / (1 + math.exp(-22 * (alignment - 0.8)))
                top += q_g * q_a * g_s
                bottom += g_s
    assert metrics.qabf(*trio) == pytest.approx(top / bottom, abs=1e-9)


def test_qabf_is_near_one_for_equal_images_and_zero_without_edges(trio):
    a = trio[0]
    assert 0.96 < metrics.qabf(a, a, a) < 1
    assert metrics.qabf(*(np.full((9, 9), 7, np.uint8),) * 3) == 0


def vifp(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Sheikh and Bovik's vifp_mscale, line by line, with scipy's convolution."""
    p, q = reference.astype(float), distorted.astype(float)
    numerator = denominator = 0.0
    for scale in range(1, 5):
        n = 2 ** (4 - scale + 1) + 1
        axis = np.arange(n) - n // 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * (n / 5) ** 2))
        window /= window.sum()
        if scale > 1:
            p, q = (convolve2d(x, window, mode="valid")[::2, ::2] for x in (p, q))
        mu1, mu2, pp, qq, pq = (convolve2d(x, window, mode="valid") for x in (p, q, p * p, q * q, p * q))
        sigma1, sigma2, sigma12 = np.maximum(pp - mu1**2, 0), np.maximum(qq - mu2**2, 0), pq - mu1 * mu2
        g = sigma12 / (sigma1 + 1e-10)
        sv = sigma2 - g * sigma12
        g[sigma1 < 1e-10], sv[sigma1 < 1e-10] = 0, sigma2[sigma1 < 1e-10]
        sigma1[sigma1 < 1e-10] = 0
        g[sigma2 < 1e-10] = 0
        sv[sigma2 < 1e-10] = 0
        sv[g < 0] = sigma2[g < 0]
        g[g < 0] = 0
        sv[sv <= 1e-10] = 1e-10
        numerator += np.log10(1 + g**2 * sigma1 / (sv + 2)).sum()
        denominator += np.log10(1 + sigma1 / 2).sum()
    return numerator / denominator


def test_vif_is_vifp_mscale_summed_over_the_sources(trio):
    a, b, f = trio
    assert metrics.vif(f, a) == pytest.approx(vifp(a, f), abs=1e-6)
    assert metrics.vif_sources(a, b, f) == pytest.approx(vifp(a, f) + vifp(b, f), abs=1e-6)
    assert metrics.vif(a, a) == pytest.approx(1, abs=1e-6)


def test_mutual_information_in_bits(trio):
    """By marginal and joint probabilities, and through scikit-image's normalised one."""
    a, b, f = trio
    joint = np.histogram2d(a.ravel(), f.ravel(), bins=256, range=[[0, 256]] * 2)[0] / a.size
    outer = joint.sum(1)[:, None] * joint.sum(0)[None, :]
    there = joint > 0
    by_ratio = float((joint[there] * np.log2(joint[there] / outer[there])).sum())
    of_b = (metrics.entropy(b) + metrics.entropy(f)) * (1 - 1 / normalized_mutual_information(b, f, bins=256))
    assert metrics.mutual_information(a, a, f) == pytest.approx(2 * by_ratio)
    assert metrics.mutual_information(a, b, f) == pytest.approx(by_ratio + of_b, abs=0.02)
    assert metrics.mutual_information(a, a, a) == pytest.approx(2 * metrics.entropy(a))


def test_scd_is_two_correlation_coefficients(trio):
    a, b, f = (x.astype(float) for x in trio)
    expected = np.corrcoef((f - b).ravel(), a.ravel())[0, 1] + np.corrcoef((f - a).ravel(), b.ravel())[0, 1]
    assert metrics.scd(*trio) == pytest.approx(expected)
    assert metrics.scd(trio[0], np.zeros_like(trio[0]), trio[0]) == pytest.approx(1), "b is flat"


def test_sf_and_ag_by_loops(trio):
    f = trio[2].astype(int)
    rows = [(f[y, x] - f[y, x - 1]) ** 2 for y in range(f.shape[0]) for x in range(1, f.shape[1])]
    columns = [(f[y, x] - f[y - 1, x]) ** 2 for y in range(1, f.shape[0]) for x in range(f.shape[1])]
    assert metrics.spatial_frequency(trio[2]) == pytest.approx(math.sqrt(np.mean(rows) + np.mean(columns)))
    slopes = [
        math.sqrt(((f[y, x + 1] - f[y, x]) ** 2 + (f[y + 1, x] - f[y, x]) ** 2) / 2)
        for y in range(f.shape[0] - 1)
        for x in range(f.shape[1] - 1)
    ]
    assert metrics.average_gradient(trio[2]) == pytest.approx(np.mean(slopes))


def test_entropy_of_known_histograms():
    assert metrics.entropy(np.full((8, 8), 9, np.uint8)) == 0
    assert metrics.entropy(np.arange(256, dtype=np.uint8).reshape(16, 16)) == pytest.approx(8)


def test_colour_counts_by_its_luma(trio):
    """Of three equal channels all metrics say what they say of one."""
    coloured = [np.dstack([x] * 3) for x in trio]
    for metric in metrics.AGAINST_SOURCES.values():
        assert metric(*coloured) == pytest.approx(metric(*trio))
    for alone in metrics.ALONE.values():
        assert alone(coloured[2]) == pytest.approx(alone(trio[2]))


def test_what_is_too_small_is_refused():
    small = np.zeros((10, 40), np.uint8)
    with pytest.raises(ValueError, match="11 pixels"):
        metrics.ssim(small, small)
    with pytest.raises(ValueError, match="41 pixels"):
        metrics.vif(small, small)
    with pytest.raises(ValueError, match="an image is"):
        metrics.entropy(np.zeros((4, 4, 2), np.uint8))


def test_mef_ssim_is_one_for_the_exposure_that_has_it_all_and_falls_with_noise_blur_and_lost_parts() -> None:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.uniform(0, 255, (96, 128)), (0, 0), 2)
    scene = (scene - scene.min()) / (scene.max() - scene.min()) * 200 + 20
    dark, bright = np.full_like(scene, 5), np.full_like(scene, 250)
    assert metrics.mef_ssim(scene, dark, scene) == pytest.approx(1, abs=1e-3)
    assert metrics.mef_ssim(bright, scene, scene + 30) == pytest.approx(1, abs=1e-3), "brightness does not count"
    left, right = scene.copy(), scene.copy()
    left[:, 64:], right[:, :64] = scene.mean(), scene.mean()
    both = metrics.mef_ssim(left, right, scene)
    assert both > 0.95
    for worse in (left, right, cv2.GaussianBlur(scene, (0, 0), 3), scene + rng.normal(0, 10, scene.shape), scene / 3):
        assert metrics.mef_ssim(left, right, worse) < both - 0.02
    with pytest.raises(ValueError, match="needs 32 pixels a side"):
        metrics.mef_ssim(scene[:20], dark[:20], scene[:20])


def test_mef_ssim_follows_its_paper_window_by_window() -> None:
    """One window, one scale, the patches as vectors."""
    rng = np.random.default_rng(1)
    a, b, f = rng.uniform(0, 255, (3, 8, 8))
    x, y, z = (patch.ravel() - patch.mean() for patch in (a, b, f))
    lengths = [np.linalg.norm(x), np.linalg.norm(y)]
    power = min(np.tan(np.pi / 2 * np.linalg.norm(x + y) / sum(lengths)), 10)
    structure = sum(n**power * patch / n for n, patch in zip(lengths, (x, y), strict=True))
    wanted = max(lengths) * structure / np.linalg.norm(structure)
    c = (0.03 * 255) ** 2
    expected = (2 * wanted @ z / 64 + c) / (wanted @ wanted / 64 + z @ z / 64 + c)
    assert metrics._mef_ssim(a, b, f) == pytest.approx(expected, rel=1e-9)
