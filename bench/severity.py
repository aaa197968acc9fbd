"""What a severity costs: PSNR and SSIM of every effect against the clean picture, at three sizes.

`python -m bench.severity --photos DIR` puts the tables into docs/effects.md; the numbers there are of the Kodak set.
"""

from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.command import parsed, parser
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
QUICK = {"SIZES": (16, 24, 32), "SEVERITIES": (0.4, 0.8), "PICTURES": 1}


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
            found.append(cv2.copyMakeBorder(middle, RIM, RIM, RIM, RIM, cv2.BORDER_REFLECT))
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
    wanted = parser(__doc__)
    wanted.add_argument("--photos", type=Path, required=True, help="a folder of photographs of 512 px or more")
    photographs = pictures(parsed(wanted, globals(), QUICK).photos)
    cv2.setNumThreads(1)
    keep_memory()
    psnr_rows, ssim_rows, remarks = [], [], []
    for name, effect in effects().items():
        found = np.array([[scores(photographs, name, size, s) for s in SEVERITIES] for size in SIZES])
        psnr_rows.append([name, *(" / ".join(f"{value:.1f}" for value in of) for of in found[:, :, 0].T)])
        ssim_rows.append([name, *(f"{value:.2f}" for value in found[1, :, 1])])
        falls = bool((np.diff(found, axis=1) < 0).all())
        spread = float(np.ptp(found[:, :, 0], axis=0).max())
        bound = "" if effect.stage > Stage.OPTICS else (", within 1 dB" if spread <= 1 else ", **over 1 dB**")
        verdict = "falls at every step" if falls else "**does not fall at every step**"
        remarks.append(f"- {name}: {verdict}; sizes differ by {spread:.2f} dB at most{bound}")
        print(remarks[-1], flush=True)
    head = ["severity", *(f"{s:g}" for s in SEVERITIES)]
    text = "\n\n".join(
        [
            f"PSNR in dB at {' / '.join(map(str, SIZES))} px, mean of {len(photographs)} pictures:",
            table(head, psnr_rows),
            f"SSIM at {SIZES[1]} px:",
            table(head, ssim_rows),
            "\n".join(remarks),
        ]
    )
    put("effects.md", "severity", "python -m bench.severity --photos DIR", text)


if __name__ == "__main__":
    main()
