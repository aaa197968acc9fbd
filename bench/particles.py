"""Streaks and flakes held against real ones: `python -m bench.particles --data ROOT` (ROOT/real, ROOT/pairs).

Puts a table into docs/effects.md. Real photographs are measured in plain dark parts of them, ours where the clean
picture is dark, on what the effect adds to it; so neither leaves nor letters are taken for rain. `--title` names
another column (older code on the same path is measured by the same file), `--into` writes the numbers to a JSON file,
and `--beside` reads such files as further columns.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from synth.degradations import effects
from synth.degradations.engine import EffectSpec
from synth.images import codecs
from synth.images.pixels import Bytes, luma
from synth.pairs.folder import FolderSource
from synth.pairs.source import LeftOut
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.streams import Streams, stream
from synth.tasks import TASKS

EFFECTS = ("rain", "snow")
AROUND = 31  # pixels of the median that stands for what is behind
SEEN = 14.0  # grey levels above it from which a pixel belongs to a streak or a flake
DARK = 100.0  # grey level up to which ground counts as dark
SEVERITIES = (0.1, 0.25, 0.5, 0.75, 1.0)
OUTDOORS = {
    "vif": ("msrs", "roadscene", "m3fd", "m3svd", "llvip"),
    "mef": ("hdrps", "empa_hdr", "sice_lightfuse"),
}
PLAIN: dict[str, dict[str, tuple[int, int, int, int]]] = {  # left, top, right, bottom in real photographs
    "rain": {
        "SIRR-121": (220, 95, 600, 285),
        "SIRR-128": (500, 200, 770, 380),
        "SIRR-42": (240, 180, 480, 460),
        "SIRR-91": (600, 240, 782, 420),
        "SIRR-82": (520, 60, 666, 140),
        "SIRR-75": (160, 63, 310, 200),
    },
    "snow": {
        "DGSnow-64": (90, 350, 260, 420),
        "DGSnow-sidewalk_winter_-grayscale_-gray_02810": (80, 70, 560, 300),
        "HDCW-0": (80, 60, 180, 400),
        "HDCW-1": (190, 75, 300, 130),
        "HDCW-3": (150, 170, 410, 310),
        "JSTASR-1": (100, 95, 230, 375),
        "LMQ-first_snow_00153": (430, 63, 560, 373),
        "SIRR-100": (212, 276, 302, 416),
        "SIRR-69": (280, 74, 460, 184),
    },
}
Measured = dict[str, float]
RAMP_M = (1.0, 40.0)  # of a card whose distance grows from the lower edge to the upper one
CARD = (384, 384)
FIELDS = 24  # that are averaged over it
NEAR_M, FAR_M = 2.5, 30.0  # of a wall and of what is behind it, before the two shots of a multi-focus pair
BANDS = 32  # of equal ratio of distance
QUICK = {"FIELDS": 1, "pictures": 1, "PLAIN": {name: dict([*places.items()][:1]) for name, places in PLAIN.items()}}


def runs(over: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each crossing of a row with a particle, its width at half of its height in pixels, and its brightest level.

    over: (H, W) levels above what is behind, 0 where nothing is to be found. levels: of the picture itself.
    """
    widths, peaks = [], []
    for row, shown in zip(over, levels, strict=True):
        found = np.flatnonzero(np.diff(np.r_[0, row > SEEN, 0]))
        for start, end in found.reshape(-1, 2):
            part = row[start:end]
            top = int(part.argmax())
            half = part >= part[top] / 2
            left = top - int(np.argmin(np.r_[half[top::-1], False]))
            right = top + int(np.argmin(np.r_[half[top:], False]))
            widths.append(right - left - 1)
            peaks.append(float(shown[start + top]))
    return np.array(widths), np.array(peaks)


def above(levels: np.ndarray) -> np.ndarray:
    """Grey levels (H, W) above the median around."""
    return levels - cv2.medianBlur(np.clip(levels, 0, 255).astype(np.uint8), AROUND).astype(np.float32)


def measured(over: np.ndarray, image: Bytes, dark: np.ndarray) -> Measured:
    """What the table shows of one picture; empty where too little is found to tell."""
    levels = luma(image).astype(np.float32)
    widths, peaks = runs(np.where(dark, over, 0), levels)
    if len(widths) < 30:
        return {}
    whites = float(np.percentile(levels, 99))
    tops = np.percentile(peaks, (50, 90, 99)) / whites
    return {
        "width, median (px)": float(np.median(widths)),
        "width, 99%": float(np.percentile(widths, 99)),
        "brightness over the 99th percentile, median": tops[0],
        "brightness, 90%": tops[1],
        "brightness, 99%": tops[2],
        "share of dark ground covered (%)": 100 * float((over > SEEN)[dark].mean()),
    }


def of_real(folder: Path, effect: str) -> Iterator[Measured]:
    """Photographs of real weather, in their plain dark parts."""
    for name, (left, top, right, bottom) in PLAIN[effect].items():
        image = codecs.read(folder / f"{name}.jpg").image
        inside = np.zeros(image.shape[:2], bool)
        inside[top:bottom, left:right] = True
        yield measured(above(luma(image).astype(np.float32)), image, inside)


def pairs(folder: Path, task: str, count: int) -> list[dict]:
    """Outdoor pairs of a task, spread over the folder."""
    refs = [ref for ref in FolderSource(folder=folder / task).pairs(task) if not isinstance(ref, LeftOut)]
    refs = [ref for ref in refs if ref.scene.startswith(OUTDOORS[task])]
    return [refs[int(at)].load().pictures for at in np.linspace(0, len(refs) - 1, min(count, len(refs)))]


def fallen(task: str, pictures: dict, effect: str, severity: float, seed: int) -> tuple[Bytes, np.ndarray, np.ndarray]:
    """The brightest image of a pair under an effect, what it adds less its surroundings, and where ground is dark."""
    shot = Shot.of_whole(Backdrop(TASKS[task].capture, pictures), Streams(seed, 0))
    name = max(shot.scene.gain, key=lambda name: (shot.scene.gain[name], name == "a"))
    bad = shot.damage(shot.draw([EffectSpec(effect, (severity, severity))]))[name].image
    clean = luma(pictures[name]).astype(np.float32)
    added = luma(bad).astype(np.float32) - clean
    return bad, above(added), clean < DARK


def of_ours(found: list[tuple[str, dict]], effect: str) -> tuple[list[Measured], Measured]:
    """Ours at middling severities, and the share of dark ground that is covered at each severity."""
    singles, shares = [], []
    for seed, (task, pictures) in enumerate(found):
        at_each = []
        for severity in SEVERITIES:
            bad, over, dark = fallen(task, pictures, effect, severity, seed)
            at_each.append(100 * float((over > SEEN)[dark].mean()) if dark.mean() > 0.05 else np.nan)
            if severity == SEVERITIES[1 + seed % 3]:
                singles.append(measured(over, bad, dark))
        shares.append(at_each)
    growth = np.nanmean(shares, axis=0)
    return singles, {f"share covered at severity {s:g} (%)": float(v) for s, v in zip(SEVERITIES, growth, strict=True)}


def step_over_depth(effect: str) -> float:
    """The largest fall of the density of particles from one band of distance to the next (4 and 12% nearer), as a
    share of the greatest density: a field before a card that comes near evenly, averaged over many fields.
    """
    height, width = CARD
    depth = np.geomspace(*RAMP_M[::-1], height, dtype=np.float32)[:, None].repeat(width, 1)
    card = np.full((height, width, 3), 40, np.uint8)
    density = np.zeros(height)
    for seed in range(FIELDS):
        shot = Shot.of_whole(
            Backdrop(TASKS["vif"].capture, {"a": card, "b": card}, depth / RAMP_M[1]), Streams(seed, 0)
        )
        shot = replace(shot, scene=replace(shot.scene, depth_map=depth, night=0.0, airlight=(0.7, 0.7, 0.7)))
        view = shot.views["a"]
        params = replace(effects()[effect].draw(0.7, view, stream(seed, 0, "draw"), {}), veil_gain=0.0)
        lit = effects()[effect].apply(np.full(card.shape, 0.02, np.float32), params, view)
        density += (lit - 0.02).mean(axis=(1, 2))
    bands = density.reshape(BANDS, -1).mean(axis=1)
    return float((bands[:-1] - bands[1:]).max() / bands.max())


def blur_of_near(effect: str) -> Measured:
    """Mean width of what falls before a near wall, with a far ground beside it, in each shot of a multi-focus pair."""
    height, width = CARD
    depth = np.full((height, width), NEAR_M, np.float32)
    depth[: height // 3] = FAR_M
    card = np.full((height, width, 3), 40, np.uint8)
    widths: dict[str, list[float]] = {"a": [], "b": []}
    for seed in range(FIELDS):
        shot = Shot.of_whole(Backdrop(TASKS["mff"].capture, {"a": card, "b": card}), Streams(seed, 0))
        scene = replace(shot.scene, depth_map=depth, night=0.0, airlight=(0.7, 0.7, 0.7))
        for name, view in replace(shot, scene=scene).views.items():
            params = effects()[effect].draw(0.7, replace(view, name="a"), stream(seed, 0, "draw"), {})  # one field
            lit = effects()[effect].apply(np.full(card.shape, 0.02, np.float32), replace(params, veil_gain=0.0), view)
            over = (luma(lit) - 0.02)[height // 3 + 16 :]
            slope = float(np.abs(np.diff(over, axis=1)).sum())
            widths[name].append(2 * float(over.sum()) / max(slope, 1e-9))  # of a triangle: area over height
    return {
        "near drops or flakes, near shot: width (px)": float(np.mean(widths["a"])),
        "the same in the far shot": float(np.mean(widths["b"])),
    }


def cell(values: list[float]) -> str:
    """Median and range."""
    low, middle, high = np.nanpercentile(values, (10, 50, 90)) if values else (np.nan,) * 3
    digits = 2 if high < 2 else 1
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def column(singles: list[Measured]) -> dict[str, str]:
    """A column of the table."""
    names = next((single for single in singles if single), {})
    return {name: cell([single[name] for single in singles if single]) for name in names}


def main() -> None:
    """Measure, print and document."""
    wanted = parser(__doc__)
    wanted.add_argument("--data", type=Path, required=True, help="a folder with real/ and pairs/{train,test}")
    wanted.add_argument("--pictures", type=int, default=16, help="of each task")
    wanted.add_argument("--title", default="now", help="of the columns of this code")
    wanted.add_argument("--splits", nargs="*", default=["train", "test"])
    wanted.add_argument("--effects", nargs="*", default=list(EFFECTS))
    wanted.add_argument("--into", type=Path, help="a JSON file for the columns, in place of docs/effects.md")
    wanted.add_argument("--beside", type=Path, nargs="*", default=[], help="such files, for further columns")
    given = parsed(wanted, globals(), QUICK)
    cv2.setNumThreads(1)
    columns: dict[str, dict[str, dict[str, str]]] = {effect: {} for effect in given.effects}
    for effect in given.effects:
        columns[effect]["real"] = column(list(of_real(given.data / "real" / effect, effect)))
        for path in given.beside:
            columns[effect] |= json.loads(path.read_text(encoding="utf-8"))[effect]
        for split in given.splits:
            by_task = {task: pairs(given.data / "pairs" / split, task, given.pictures) for task in OUTDOORS}
            singles, growth = of_ours([(task, one) for task, all_of in by_task.items() for one in all_of], effect)
            numbers = growth | blur_of_near(effect)
            numbers["largest step over depth (%)"] = 100 * step_over_depth(effect)
            columns[effect][f"{given.title}, {split}"] = column(singles) | {k: f"{v:.1f}" for k, v in numbers.items()}
    if given.into is not None:
        given.into.write_text(json.dumps(columns), encoding="utf-8")
    text = "\n\n".join(_table(effect, columns[effect]) for effect in given.effects)
    print(text)
    if given.into is None:
        put("effects.md", "particles", "python -m bench.particles --data ROOT", text)


def _table(effect: str, columns: dict[str, dict[str, str]]) -> str:
    names = list(dict.fromkeys(name for numbers in columns.values() for name in numbers))
    return table([effect, *columns], [[name, *(c.get(name, "–") for c in columns.values())] for name in names])


if __name__ == "__main__":
    main()
