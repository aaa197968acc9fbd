"""What becomes of the ends of a bracket's range in its targets: `python -m bench.brackets --pairs DIR [--pairs DIR]`.

DIR holds mef/ as a folder source does. `crushed`: pixels of luma 16 or less where a source has more than 45. `clipped`:
pixels with a channel of 254 or more where a source has none above 235; shown is the share of pairs in which more than
2% of the pixels are. Qabf and MEF-SSIM beside them. Pairs are shrunk to 640 pixels. Writes docs/targets.md.
"""

from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed
from bench.document import table
from bench.targets import by_roots, fusions, pairs, pairs_parser
from synth.images.pixels import Bytes, in_colour, luma
from synth.pairs.base import CleanPair
from trainer.evaluation import metrics

LONGEST = 640
SHOWN = ("gradient", "exposure", "Laplacian pyramid", "average")
QUICK = {"LONGEST": 64}


def measures(a: Bytes, b: Bytes, fused: Bytes) -> dict[str, float]:
    """Of one target."""
    pictures = [in_colour(image) for image in (a, b, fused)]
    first, second, made = (luma(image) for image in pictures)
    least = np.minimum(pictures[0].max(axis=2), pictures[1].max(axis=2))
    return {
        "crushed": float(np.mean((made <= 16) & (np.maximum(first, second) > 45))),
        "clipped": float(np.mean((pictures[2].max(axis=2) >= 254) & (least <= 235))),
        "Qabf": metrics.qabf(a, b, fused),
        "MEF-SSIM": metrics.mef_ssim(a, b, fused),
    }


def shrunk(pair: CleanPair) -> CleanPair:
    height, width = pair.pictures["a"].shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (round(width * scale), round(height * scale))
    pictures = {name: cv2.resize(image, size, interpolation=cv2.INTER_AREA) for name, image in pair.pictures.items()}
    return CleanPair(pictures, None, None, pair.depth_kind, pair.source_channels, (), ())


def row(name: str, found: list[dict[str, float]]) -> list[str]:
    values = {key: np.array([each[key] for each in found]) for key in found[0]}
    crushed = values["crushed"]
    clips = np.mean(values["clipped"] > 0.02)
    ends = [f"{crushed.mean():.2%}", f"{crushed.max():.1%}", f"{clips:.0%}"]
    return [name, *ends, f"{values['Qabf'].mean():.3f}", f"{values['MEF-SSIM'].mean():.3f}"]


def told(root: Path) -> str:
    """The table of a folder."""
    found: dict[str, list[dict[str, float]]] = {}
    for _, pair in pairs(root, "mef"):
        small = shrunk(pair)
        a, b = small.pictures["a"], small.pictures["b"]
        for name, fuse in fusions("mef").items():
            if name in SHOWN:
                found.setdefault(name, []).append(measures(a, b, fuse(small)))
    count = len(next(iter(found.values())))
    head = [f"{root.name}, {count} brackets", "crushed, mean", "worst", "pairs clipped", "Qabf", "MEF-SSIM"]
    return table(head, [row(name, values) for name, values in found.items()])


def main() -> None:
    roots = parsed(pairs_parser(__doc__), globals(), QUICK).pairs
    by_roots("targets.md", "brackets", "make bench-brackets", roots, told)


if __name__ == "__main__":
    main()
