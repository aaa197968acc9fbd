"""Camera curves from real brackets: `python -m bench.camera_curves --data ROOT`, with ROOT/pairs/train/mef and
ROOT/pairs/test/mef as folder sources are.

What a level of the darker shot is in the brighter one, the median over flat pixels where neither clips, says of a curve
g that log g(T(u)) − log g(u) is one number, the stops between the shots (Mitsunaga and Nayar, "Radiometric self
calibration", CVPR 1999). With log g a sum of terms that is linear in what is sought, and so in the stops: least squares
over all brackets of a data set, one camera and one converter each, with a small weight on sRGB's curve.

Brackets tell a curve up to a power (Grossberg and Nayar, "What can be known about the radiometric response from
images", ECCV 2002): the stops would scale with it. Photographers put whole stops between shots, so the power is the one
that brings the stops found nearest to whole numbers; how near they are to them, as a share of a stop, is told: ¼ would
be chance. Prints what synth/images/curves.py holds and puts a table into docs/dataset.md. The error is that of levels
of the brighter shot as foretold from the darker one, in scenes of train that the fit has not seen, and in those of test
by the curve of synth/images/curves.py.
"""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from synth.images import codecs
from synth.images.curves import EXPONENTS, SRGB, curve
from synth.images.pixels import in_colour
from synth.pairs.split import PAIR

LEVELS = np.arange(256)
DARKEST, BRIGHTEST = 6, 249  # grey levels that are compared
FLAT = 24  # grey levels within 5 px: beyond it a shift of a pixel would count as a curve
FEWEST_PIXELS, FEWEST_LEVELS = 40, 30
PRIOR = 0.03
POWERS = np.arange(0.68, 1.35, 0.005)  # stops found for each whole one: under a factor of 2, where halves would fit
FOLDS = 5
TAKEN = ("hdrps", "empa_hdr", "ntu_kim", "ntu_ssar")  # of one camera each, whose stops tell the power
QUICK = {"FOLDS": 2, "TAKEN": TAKEN[:1]}

Match = np.ndarray  # (N, 3): level of the darker shot, of the brighter, weight


def matches(folder: Path) -> list[Match]:
    """What the levels of one shot are in the other, a list for each channel that has enough of them."""
    files = {path.stem: path for path in folder.iterdir()}
    a, b = (cv2.GaussianBlur(in_colour(codecs.read(files[name]).image), (0, 0), 1.0) for name in ("a", "b"))
    found = []
    for x, y in zip(cv2.split(a), cv2.split(b), strict=True):
        square = np.ones((5, 5), np.uint8)
        even = [cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, square) < FLAT for plane in (x, y)]
        dark, bright = x[even[0] & even[1]], y[even[0] & even[1]]
        rows = []
        for level in range(DARKEST, BRIGHTEST + 1):
            there = bright[dark == level]
            if len(there) >= FEWEST_PIXELS:
                low, middle, high = np.percentile(there, (25, 50, 75))
                if DARKEST <= middle <= BRIGHTEST:
                    rows.append((level, middle, np.sqrt(len(there)) / (1 + high - low)))
        if len(rows) >= FEWEST_LEVELS:
            found.append(np.array(rows))
    return found


def log_srgb() -> np.ndarray:
    """Of each byte; black as half of the first step, which nothing is compared to."""
    light = curve(SRGB).light.astype(np.float64)
    return np.log(np.maximum(light, light[1] / 2))


def terms(levels: np.ndarray) -> np.ndarray:
    """(N, terms)."""
    x = np.asarray(levels, np.float64)[:, None] / 255
    return 1 - x ** np.array(EXPONENTS)


def fitted(found: list[Match]) -> np.ndarray:
    """The weights of the terms."""
    base, size, count = log_srgb(), len(EXPONENTS), len(found)
    rows, right = [], []
    for number, match in enumerate(found):
        dark, bright, weight = match.T
        weight = weight / np.linalg.norm(weight)
        row = np.zeros((len(match), size + count))
        row[:, :size] = terms(bright) - terms(dark)
        row[:, size + number] = -1
        rows.append(row * weight[:, None])
        right.append((np.interp(dark, LEVELS, base) - np.interp(bright, LEVELS, base)) * weight)
    rows.append(np.eye(size, size + count) * PRIOR * np.sqrt(count))
    return np.linalg.lstsq(np.vstack(rows), np.concatenate([*right, np.zeros(size)]))[0][:size]


def log_curve(weights: np.ndarray) -> np.ndarray:
    """Of each byte, made to rise."""
    log = log_srgb() + terms(LEVELS) @ weights
    return np.maximum.accumulate(log) + 1e-6 * (LEVELS - 255)


def told(log: np.ndarray, match: Match) -> tuple[float, float]:
    """Error in levels of the brighter shot as a curve foretells it, and the stops between the two."""
    dark, bright, weight = match.T
    below = np.interp(dark, LEVELS, log)
    apart = np.average(np.interp(bright, LEVELS, log) - below, weights=weight)
    error = np.interp(below + apart, log, LEVELS) - bright
    return float(np.sqrt(np.average(error**2, weights=weight))), float(apart / np.log(2))


def power_of(stops: np.ndarray) -> tuple[float, float]:
    """Whole stops for each stop found, and the mean distance from whole stops."""
    off = [float(np.mean(np.abs(stops / unit - np.rint(stops / unit)))) for unit in POWERS]
    return float(1 / POWERS[np.argmin(off)]), min(off)


def gathered(pairs: Path) -> dict[str, dict[str, list[list[Match]]]]:
    """By data set and scene, what each of its brackets tells."""
    scenes: dict[str, dict[str, list[list[Match]]]] = defaultdict(lambda: defaultdict(list))
    for folder in sorted(pairs.iterdir()):
        dataset = folder.name.split("-")[0]
        if dataset in TAKEN and (found := matches(folder)):
            scenes[dataset][PAIR.sub("", folder.name)].append(found)
    return scenes


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--data", type=Path, required=True)
    root = parsed(wanted, globals(), QUICK).data / "pairs"
    scenes, tested = (gathered(root / side / "mef") for side in ("train", "test"))
    rows = []
    for dataset in TAKEN:
        by_scene = [[match for pair in pairs for match in pair] for pairs in scenes[dataset].values()]
        errors: dict[str, list[float]] = {"srgb": [], "fit": []}
        for fold in range(FOLDS):
            seen = [m for number, found in enumerate(by_scene) if number % FOLDS != fold for m in found]
            log = log_curve(fitted(seen))
            for match in (m for found in by_scene[fold::FOLDS] for m in found):
                errors["srgb"].append(told(log_srgb(), match)[0])
                errors["fit"].append(told(log, match)[0])
        weights = fitted([match for found in by_scene for match in found])
        log = log_curve(weights)
        stops = np.array(
            [np.median([told(log, m)[1] for m in pair]) for pairs in scenes[dataset].values() for pair in pairs]
        )
        power, off = power_of(stops)
        print(f'    "{dataset}": ({power:.3f}, ({", ".join(f"{c:.3f}" for c in weights)})),')
        middle = np.exp(power * (log - log[255]))[[32, 64, 128, 192, 240]]
        share = [f"{value:.3f}" for value in middle]
        error = " → ".join(f"{np.median(errors[kind]):.1f}" for kind in ("srgb", "fit"))
        shipped = np.log(np.maximum(curve(dataset).light.astype(np.float64), 1e-7))
        others = [match for pairs in tested[dataset].values() for pair in pairs for match in pair]
        beyond = [np.median([told(log, match)[0] for match in others] or [np.nan]) for log in (log_srgb(), shipped)]
        tests = f"{beyond[0]:.1f} → {beyond[1]:.1f}" if others else "–"
        rows.append([dataset, f"{len(by_scene)} / {len(stops)}", error, tests, f"{off:.2f}", *share])
    light = [f"{curve(SRGB).light[level]:.3f}" for level in (32, 64, 128, 192, 240)]
    rows.append(["sRGB", "", "", "", "", *light])
    head = ["curve", "scenes / brackets", "levels off, sRGB → fit", "the same of test", "off whole stops"]
    text = table([*head, *(f"light at {level}" for level in (32, 64, 128, 192, 240))], rows)
    print(text)
    put("dataset.md", "camera_curves", "make bench-pairs", text)


if __name__ == "__main__":
    main()
