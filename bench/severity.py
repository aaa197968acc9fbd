"""What a severity costs: PSNR and SSIM of every effect against the clean picture, at three sizes.

`python -m bench.severity --photos DIR` puts the tables into docs/effects.md; the numbers there are of the Kodak set.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.document import put, table
from bench.gallery import damaged
from synth.degradations import effects
from synth.degradations.base import Stage
from synth.engines.memory import keep_memory
from synth.images import codecs
from synth.images.pixels import Bytes

RIM = 4  # pixels
SIZES = (128, 256, 512)
SEVERITIES = tuple(round(0.1 * step, 1) for step in range(1, 11))
PICTURES = 12


def pictures(folder: Path) -> list[Bytes]:
    """The middle of the first pictures of a folder that have 512 x 512 pixels, without the black lines at their rims
    that some of Kodak's have: what blurs would smear them in, and they would count more than all else.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in codecs.SUFFIXES:
            continue
        image = codecs.read(path).image
        y, x = (image.shape[0] - SIZES[-1]) // 2, (image.shape[1] - SIZES[-1]) // 2
        if image.ndim == 3 and min(y, x) >= 0:
            middle = image[y : y + SIZES[-1], x : x + SIZES[-1]][RIM:-RIM, RIM:-RIM]
            found.append(cv2.resize(middle, (SIZES[-1], SIZES[-1]), interpolation=cv2.INTER_AREA))
    return found[:PICTURES]


def scores(photographs: list[Bytes], effect: str, size: int, severity: float) -> tuple[float, float]:
    """Mean PSNR in dB and mean SSIM over the pictures; each has draws of its own, the same at every size."""
    values = []
    for seed, photograph in enumerate(photographs):
        clean = cv2.resize(photograph, (size, size), interpolation=cv2.INTER_AREA)
        bad = damaged(clean, effect, severity, seed)
        psnr = peak_signal_noise_ratio(clean, bad, data_range=255)
        values.append((psnr, structural_similarity(clean, bad, channel_axis=2, data_range=255)))
    mean = np.mean(values, axis=0)
    return float(mean[0]), float(mean[1])


def main() -> None:
    """Measure, print and document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs of 512 px or more")
    photographs = pictures(parser.parse_args().photos)
    cv2.setNumThreads(1)
    keep_memory()
    psnr_rows, ssim_rows, remarks = [], [], []
    for name, effect in effects().items():
        found = np.array([[scores(photographs, name, size, s) for s in SEVERITIES] for size in SIZES])
        psnr_rows.append([name, *(" / ".join(f"{found[k, s, 0]:.1f}" for k in range(3)) for s in range(10))])
        ssim_rows.append([name, *(f"{found[1, s, 1]:.2f}" for s in range(10))])
        falls = bool((np.diff(found, axis=1) < 0).all())
        spread = float(np.ptp(found[:, :, 0], axis=0).max())
        bound = "" if effect.stage > Stage.OPTICS else (", within 1 dB" if spread <= 1 else ", **over 1 dB**")
        verdict = "falls at every step" if falls else "**does not fall at every step**"
        remarks.append(f"- {name}: {verdict}; sizes differ by {spread:.2f} dB at most{bound}")
        print(remarks[-1], flush=True)
    head = ["severity", *(f"{s:g}" for s in SEVERITIES)]
    text = "\n\n".join(
        [
            f"PSNR in dB at 128 / 256 / 512 px, mean of {len(photographs)} pictures:",
            table(head, psnr_rows),
            "SSIM at 256 px:",
            table(head, ssim_rows),
            "\n".join(remarks),
        ]
    )
    put("effects.md", "severity", "python -m bench.severity --photos DIR", text)


if __name__ == "__main__":
    main()
