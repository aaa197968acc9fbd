"""What was wrong with targets, measured: `python -m bench.target_faults --pairs DIR [--pairs DIR]`.

DIR holds vif/ and mff/ as a folder source does; docs/targets.md gets the tables. Of vif, as shares of the infrared
image:

- `white, ground`: gradients along infrared's where the visible image is white, infrared is above its noise, and it is
  as warm as the ground (three quarters of its mean where the visible image is not bright) or warmer. `white, all`: the
  same, cold skies among it.
- `warm by warm`: how far bodies rise from the visible luma to infrared's, of the twentieth that is warmest and by .15
  warmer than the visible luma is bright, where their surroundings are warm as well.
- `padding`: gradients that the visible image has not, in grey levels a pixel, within 2 pixels of a border of infrared.

Of mff, `blotches`: the share of places that are flat in both sources (less than half a level a pixel, smoothed) where
the target is steeper than either by a quarter of a level a pixel; `unequal`: the same with the second image a twentieth
brighter and noise of two levels on both.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.command import parsed
from bench.document import table
from bench.targets import by_roots, fusions, pairs, pairs_parser
from synth.images.borders import content
from synth.images.pixels import Bytes, Floats, round_to_bytes
from synth.pairs.base import CleanPair
from synth.targets.activity import blur, signal, unit_luma

SHOWN = ("gradient", "Laplacian pyramid", "average")
WHITE = 0.97  # visible luma, in every pixel of a window of 5
BRIGHT = 0.75
BESIDE = 0.1  # σ of what is beside a body, as a share of √(width × height)
FLAT, STEEPER = 0.5 / 255, 0.25 / 255  # a pixel
UNEQUAL, NOISE = 1.05, 2.0

Sums = dict[str, NDArray[np.float64]]  # by measure: numerator and denominator


def thermal(pair: CleanPair, fused: Bytes) -> Sums:
    """Of one vif target."""
    visible, infrared, made = (unit_luma(x) for x in (pair.pictures["a"], pair.pictures["b"], fused))
    return white(visible, infrared, made) | {
        "warm by warm": warm(*(blur(x, 2) for x in (visible, infrared, made))),
        "padding": padding(content(pair.pictures["b"]), made - visible),
    }


def white(visible: Floats, infrared: Floats, made: Floats) -> Sums:
    above, noise = signal(infrared, thermal=True)
    where = (cv2.erode(visible, np.ones((5, 5), np.uint8)) >= WHITE) & (above > 2 * noise)
    shown = visible < BRIGHT
    ground = infrared[shown].mean() if shown.any() else 1.0
    steps = [np.stack([np.diff(x, axis=1)[:-1], np.diff(x, axis=0)[:, :-1]]) for x in (infrared, made)]
    return {
        f"white, {name}": np.array([np.sum(steps[0] * other, where=mask[:-1, :-1]) for other in reversed(steps)])
        for name, mask in (("ground", where & (cv2.blur(infrared, (5, 5)) >= 0.75 * ground)), ("all", where))
    }


def warm(visible: Floats, infrared: Floats, made: Floats) -> NDArray[np.float64]:
    beside = blur(infrared, BESIDE * float(np.sqrt(infrared.size)))
    body = (infrared >= np.quantile(infrared, 0.95)) & (infrared > visible + 0.15)
    body &= beside > np.quantile(infrared, 0.6)
    return np.array([np.sum(x - visible, where=body) for x in (made, infrared)])


def padding(inside: NDArray[np.bool_], added: Floats) -> NDArray[np.float64]:
    rim = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    return np.array([255 * np.sum(steepness(added), where=rim), np.sum(rim)])


def blotches(pair: CleanPair, fused: Bytes) -> NDArray[np.float64]:
    """Of one mff target."""
    a, b, made = (steepness(blur(unit_luma(x), 2)) for x in (*pair.pictures.values(), fused))
    most = np.maximum(a, b)
    return np.array([100 * np.sum((most < FLAT) & (made > most + STEEPER)), np.sum(most < FLAT)])


def steepness(plane: Floats) -> Floats:
    """The length of the gradient, a pixel."""
    return np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=1 / 8))


def unequal(pair: CleanPair) -> CleanPair:
    rng = np.random.default_rng(0)
    pictures = {
        name: round_to_bytes((x * gain + rng.normal(0, NOISE, x.shape)).astype(np.float32))
        for (name, x), gain in zip(pair.pictures.items(), (1, UNEQUAL), strict=True)
    }
    return CleanPair(pictures, None, None, pair.depth_kind, pair.source_channels, (), ())


def focused(pair: CleanPair, fuse: Callable[[CleanPair], Bytes]) -> Sums:
    other = unequal(pair)
    return {"blotches": blotches(pair, fuse(pair)), "unequal": blotches(other, fuse(other))}


def rows(root: Path, task: str, measures: Callable[[CleanPair, Callable[[CleanPair], Bytes]], Sums]) -> str:
    """A table of all pairs of a task: sums over all of them."""
    found: dict[str, Sums] = {name: {} for name in fusions(task) if name in SHOWN}
    count = 0
    for _, pair in pairs(root, task):
        count += 1
        for name, total in found.items():
            for key, value in measures(pair, fusions(task)[name]).items():
                total[key] = total.get(key, np.zeros(2)) + value
    head = [f"{root.name}, {count} pairs of {task}", *found[SHOWN[0]]]
    body = [[name, *(_number(key, *value) for key, value in total.items())] for name, total in found.items()]
    return table(head, body)


def _number(key: str, part: float, whole: float) -> str:
    value = part / whole if whole else float("nan")
    return f"{value:.2f}%" if key in ("blotches", "unequal") else f"{value:.2f}"


def told(root: Path) -> str:
    """The tables of a folder."""
    thermals = rows(root, "vif", lambda pair, fuse: thermal(pair, fuse(pair)))
    return f"{thermals}\n\n{rows(root, 'mff', focused)}"


def main() -> None:
    roots = parsed(pairs_parser(__doc__), globals(), {}).pairs
    by_roots("targets.md", "faults", "make bench-target-faults", roots, told)


if __name__ == "__main__":
    main()
