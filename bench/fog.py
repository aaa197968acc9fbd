"""What fog gets wrong, in numbers: `python -m bench.fog --pairs DIR ...`. Each DIR holds vif/, mef/ and mff/.

At severity .5, on every so many pairs. Writes docs/effects.md.

- sky turned: skies of over-exposed frames (a mean luma over 200) whose hue lies more than 10° from both that of the
  clear frame and that of the light behind it (median over pixels with a chroma of 6 or more in CIELAB);
- sky darkened: under-exposed frames whose sky gets darker by more than 3% of its luma;
- depth by row: the share of a depth's variance that its rows explain;
- focus: of two points, one sharp in the near shot and one in the far shot, how often the first is the nearer (the area
  under the curve).
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from synth import degrade
from synth.images.pixels import Bytes, in_colour, luma, to_bytes
from synth.pairs.base import CleanPair
from synth.pairs.source import LeftOut, parse_source
from synth.scene.backdrop import Backdrop
from synth.scene.light import unclip
from synth.targets.activity import unit_luma
from synth.targets.focus import focus
from synth.tasks import TASKS

SEVERITY = 0.5
CHROMA, TURNED, DARKER, OVER = 6.0, 10.0, 0.97, 200.0
SURE = 0.9  # lean of a focus that counts
QUICK = {"most": 1}


def pairs(root: Path, task: str, most: int) -> Iterator[CleanPair]:
    refs = [ref for ref in parse_source({"folder": str(root / task)}).pairs(task) if not isinstance(ref, LeftOut)]
    for at in np.unique(np.linspace(0, len(refs) - 1, min(most, len(refs))).astype(int)):
        pair = refs[at].load()
        if len({picture.shape[:2] for picture in pair.pictures.values()}) == 1:
            yield pair


def hues(image: Bytes) -> tuple[np.ndarray, np.ndarray]:
    """Hue in degrees and chroma of each pixel, in CIELAB."""
    lab = cv2.cvtColor(in_colour(image).astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)
    return np.degrees(np.arctan2(lab[..., 2], lab[..., 1])), np.hypot(lab[..., 1], lab[..., 2])


def turned(hazy: Bytes, references: list[Bytes], sky: np.ndarray) -> float:
    """Degrees between the hue of a hazy sky and the nearest of its references; 0 where it has no colour."""
    hue, chroma = hues(hazy)
    angles = []
    for reference in references:
        known, strength = hues(reference)
        both = sky & (chroma >= CHROMA) & (strength >= CHROMA / 2)
        coloured = sky & (chroma >= CHROMA)
        if coloured.sum() < 0.02 * sky.sum():
            return 0.0
        if both.any():
            angles.append(float(np.median(np.abs((hue - known + 180) % 360 - 180)[both])))
    return min(angles) if angles else 180.0


def brackets(root: Path, most: int) -> tuple[list[float], list[float]]:
    """Degrees that skies turn by, and what is left of their luma in the darker frame."""
    angles, left = [], []
    for number, pair in enumerate(pairs(root, "mef", most)):
        backdrop = Backdrop(TASKS["mef"].capture, pair.pictures)
        land = backdrop.land
        if land.sky is None:
            continue
        height, width = backdrop.size
        sky = cv2.resize(land.sky.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        gain = backdrop.light.gain
        dark, bright = sorted(gain, key=lambda name: gain[name])
        clear = pair.pictures
        hazy = degrade(clear["a"], clear["b"], {"haze": SEVERITY}, task="mef", seed=number).images
        light = unclip(clear[bright], clear[dark], gain[bright], gain[dark])
        behind = to_bytes(light / np.float32(max(float(np.percentile(light, 99.9)), 1)))
        if luma(clear[bright])[sky].mean() > OVER:
            angles.append(turned(hazy[bright], [clear[bright], behind], sky))
        left.append(float(luma(hazy[dark])[sky].mean() / max(luma(clear[dark])[sky].mean(), 1)))
    return angles, left


def by_row(depth: np.ndarray) -> float:
    spread = float(depth.var())
    return float(depth.mean(axis=1).var()) / spread if spread > 1e-6 else 0.0


def nearer(depth: np.ndarray, lean: np.ndarray) -> float | None:
    """The share of pairs of points in which the one sharp in the near shot is the nearer."""
    small = cv2.resize(depth, (96, 96), interpolation=cv2.INTER_AREA)
    sure = cv2.resize(lean, (96, 96), interpolation=cv2.INTER_AREA)
    near, far = small[sure > SURE], small[sure < -SURE]
    if min(near.size, far.size) < 50:
        return None
    ranks = np.searchsorted(np.sort(far), near, "left"), np.searchsorted(np.sort(far), near, "right")
    return float(1 - (ranks[0] + ranks[1]).mean() / 2 / far.size)


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, action="append", required=True)
    wanted.add_argument("--most", type=int, default=60, help="pairs of a task")
    given = parsed(wanted, globals(), QUICK)
    cv2.setNumThreads(1)
    rows = []
    for root in given.pairs:
        angles, left = brackets(root, given.most)
        share = []
        for task in ("vif", "mef"):
            share += [by_row(Backdrop(TASKS[task].capture, p.pictures).depth) for p in pairs(root, task, given.most)]
        known = []
        for pair in pairs(root, "mff", given.most):
            a, b = pair.pictures["a"], pair.pictures["b"]
            lean = focus(unit_luma(a), unit_luma(b))
            known.append(nearer(Backdrop(TASKS["mff"].capture, pair.pictures).whole(), lean))
        angles, left = angles or [0.0], left or [1.0]
        rows.append(
            [
                root.name,
                f"{np.mean(np.array(angles) > TURNED):.0%} of {len(angles)}, {max(angles):.0f}° at most",
                f"{np.mean(np.array(left) < DARKER):.0%}, {min(left):.2f} at least",
                f"{np.mean(share):.2f}",
                f"{np.mean([value for value in known if value is not None]):.2f}",
            ]
        )
    text = table(["", "sky turned", "sky darkened", "depth by row", "focus"], rows)
    print(text)
    put("effects.md", "fog", "make bench-fog", text)


if __name__ == "__main__":
    main()
