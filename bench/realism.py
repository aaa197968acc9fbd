"""Ours held against real weather: the same measurements on real photographs, on ours, and on the clean ones below ours.

`python -m bench.realism --data ROOT` (ROOT/real/{rain,snow,haze,noise}, ROOT/photos/train) puts a table into
docs/effects.md: the median over the pictures, and in brackets the 10th and 90th percentile. The measurements are rough
(a threshold on luma minus its 31 px median also finds leaves and letters); the last column says how much of them is
the picture itself.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from bench.gallery import damaged
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour, luma

LONG_SIDE = 700  # real files are 400 to 720 pixels high
STRONG = 24.0  # grey levels a pixel: a strong gradient
STREAK = 14.0  # grey levels over the median around it: a streak or a flake
PICTURES = 24  # of ours
SEVERITIES = (0.3, 0.5, 0.7, 0.9)
QUICK = {"PICTURES": 2, "LONG_SIDE": 240}
Measured = dict[str, float]


def particles(image: Bytes) -> Measured:
    """Lengths, widths, contrast and directions of what is small and brighter than its surroundings."""
    grey = luma(image).astype(np.float32)
    around = cv2.medianBlur(luma(image), 31).astype(np.float32)
    over = grey - around
    count, labels, stats, _ = cv2.connectedComponentsWithStats((over > STREAK).astype(np.uint8))
    lengths, widths, angles = [], [], []
    for label in range(1, count):
        x, y, w, h, area = stats[label]
        if not 4 <= area <= 4000:
            continue
        ys, xs = np.nonzero(labels[y : y + h, x : x + w] == label)
        axes = np.linalg.eigh(np.cov(np.stack([xs, ys]).astype(np.float64)) + np.eye(2) / 12)
        minor, major = 2 * np.sqrt(3 * axes[0])  # of a uniform bar with these moments
        lengths.append(major)
        widths.append(minor)
        if major > 2 * minor and major > 5:
            angles.append(np.arctan2(axes[1][1, 1], axes[1][0, 1]))
    if len(lengths) < 20:
        return {}
    found = over > STREAK
    return {
        "length, median (px)": float(np.median(lengths)),
        "length, 90%": float(np.percentile(lengths, 90)),
        "length, 99%": float(np.percentile(lengths, 99)),
        "width, median": float(np.median(widths)),
        "width, 99%": float(np.percentile(widths, 99)),
        "share of pixels (%)": 100 * float(found.mean()),
        "contrast over dark ground (levels)": _mean(over[found & (around < 90)]),
        "contrast over bright ground": _mean(over[found & (around > 170)]),
        "share of dark ground that shows them (%)": 100 * _mean(found[around < 90]),
        "share of bright ground": 100 * _mean(found[around > 170]),
        "direction, interquartile range (°)": _spread(np.array(angles)) if len(angles) >= 20 else np.nan,
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size > 200 else float("nan")


def _spread(angles: np.ndarray) -> float:
    """Interquartile range in degrees of directions, which are equal after half a turn."""
    middle = np.angle(np.exp(2j * angles).mean()) / 2
    apart = np.angle(np.exp(2j * (angles - middle))) / 2
    return float(np.degrees(np.subtract(*np.percentile(apart, (75, 25)))))


def veil(image: Bytes) -> Measured:
    """Level of black by height, and strong gradients: what a veil that grows with distance does to both."""
    grey = luma(image).astype(np.float32)
    fifths = np.array_split(grey, 5)
    size = np.hypot(cv2.Sobel(grey, -1, 1, 0, scale=1 / 4), cv2.Sobel(grey, -1, 0, 1, scale=1 / 4))
    strong = [100 * float((part > STRONG).mean()) for part in np.array_split(size, 5)]
    dark = image.min(axis=2) if image.ndim == 3 else image
    dark = cv2.erode(dark, np.ones((15, 15), np.uint8))
    light = in_colour(image)[dark >= np.percentile(dark, 99.9)].mean(axis=0)
    return {
        "darkest 5%, upper fifth (level)": float(np.percentile(fifths[0], 5)),
        "darkest 5%, middle fifth": float(np.percentile(fifths[2], 5)),
        "darkest 5%, lowest fifth": float(np.percentile(fifths[4], 5)),
        "darkest 1% of all": float(np.percentile(grey, 1)),
        "strong gradients, upper fifth (%)": strong[0],
        "strong gradients, lowest fifth": strong[4],
        "airlight, mean (level)": float(light.mean()),
        "airlight, red less blue": float(light[0] - light[2]),
    }


def grain(image: Bytes) -> Measured:
    """Correlation of noise, in the 32 flattest windows of 24 pixels that are neither black nor white."""
    if image.ndim == 2:
        return {}
    levels = image.astype(np.float32)
    residual = levels - cv2.GaussianBlur(levels, (0, 0), 4)
    windows = []
    for y in range(0, image.shape[0] - 24, 24):
        for x in range(0, image.shape[1] - 24, 24):
            part = residual[y : y + 24, x : x + 24]
            if 30 < levels[y : y + 24, x : x + 24].mean() < 225 and part.std() > 0.7:
                windows.append(part - part.mean(axis=(0, 1)))
    windows = sorted(windows, key=lambda part: float(part.std()))[:32]
    if len(windows) < 8:
        return {}

    def correlation(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(np.median([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]))

    return {
        "lag 1, green": correlation((w[:, 1:, 1], w[:, :-1, 1]) for w in windows),
        "lag 3, red less green": correlation(
            ((w[..., 0] - w[..., 1])[:, 3:], (w[..., 0] - w[..., 1])[:, :-3]) for w in windows
        ),
        "red with green": correlation((w[..., 0], w[..., 1]) for w in windows),
    }


def fitted(image: Bytes) -> Bytes:
    """A real file as it is, but at most LONG_SIDE pixels long."""
    scale = LONG_SIDE / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def read_all(folder: Path) -> list[Bytes]:
    """The pictures of a folder, by name."""
    return [codecs.read(path).image for path in sorted(folder.iterdir()) if path.suffix.lower() in codecs.SUFFIXES]


SECTIONS: list[tuple[str, str, list[Callable[[Bytes], Measured]]]] = [
    ("rain", "rain", [particles, veil]),
    ("snow", "snow", [particles, veil]),
    ("haze", "haze", [veil]),
    ("noise", "sensor_noise", [grain]),
]


def gathered(images: list[Bytes], measures: list[Callable[[Bytes], Measured]]) -> dict[str, np.ndarray]:
    """Every measurement over the pictures that have it."""
    found: dict[str, list[float]] = {}
    for image in images:
        for measure in measures:
            for name, value in measure(image).items():
                found.setdefault(name, []).append(value)
    return {name: np.array(values)[np.isfinite(values)] for name, values in found.items()}


def cell(values: np.ndarray | None) -> str:
    """Median and range."""
    if values is None or values.size == 0:
        return "–"
    low, middle, high = np.percentile(values, (10, 50, 90))
    digits = 2 if max(abs(low), abs(high)) < 2 else 0 if abs(high) >= 20 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    """Measure, print and document."""
    wanted = parser(__doc__)
    wanted.add_argument("--data", type=Path, required=True, help="a folder with real/ and photos/train")
    data = parsed(wanted, globals(), QUICK).data
    photographs = read_all(data / "photos" / "train")
    clean = [photographs[int(i)] for i in np.linspace(0, len(photographs) - 1, PICTURES)]
    parts = []
    for folder, effect, measures in SECTIONS:
        real = [fitted(image) for image in read_all(data / "real" / folder)]
        ours = [damaged(image, effect, SEVERITIES[n % len(SEVERITIES)], n) for n, image in enumerate(clean)]
        columns = [gathered(images, measures) for images in (real, ours, clean)]
        rows = []
        for name in columns[0]:
            real_values, our_values = columns[0][name], columns[1].get(name, np.array([]))
            inside = ""
            if real_values.size and our_values.size:
                within = real_values.min() <= np.median(our_values) <= real_values.max()
                inside = "yes" if within else "no"
            rows.append([name, *(cell(column.get(name)) for column in columns), inside])
        head = [f"{effect}", f"real ({len(real)})", f"ours ({len(ours)})", "clean", "our median within the real"]
        parts.append(table(head, rows))
    text = "\n\n".join(parts)
    print(text)
    put("effects.md", "realism", "make bench-realism", text)


if __name__ == "__main__":
    main()
