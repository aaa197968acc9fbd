"""Pairs made of photographs beside real ones: `python -m bench.made_pairs --data ROOT` with ROOT/pairs/train and
ROOT/photos/train, and the same of test. In the third column what the built-in sources make of the same photographs:
sRGB's curve and fixed stops; a Gaussian and a soft mask.

Of brackets: stops between the frames as `synth` measures them (through sRGB's curve), what each frame shows. Of focus
pairs: `sharpness apart` is by how many stops the energy of fine detail differs between both images where they differ
most (the 90th percentile of places, each 4 px wide); `decided` the share of places with detail where it differs by a
stop at least; `near` how much of that is sharp in the near one; `both blurred` the share of places with detail where
neither image has within a stop of what the truth has, of pairs that have one. Median, 10th and 90th percentile over
the pairs. `ms` is the median processor time to load one.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import cv2
import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from bench.realism import cell
from synth.images.pixels import Bytes, Floats, luma
from synth.pairs.base import CleanPair, PairRef
from synth.pairs.builtin import BUILTINS
from synth.pairs.folder import FolderSource
from synth.pairs.photos import PhotoSource
from synth.pairs.source import LeftOut
from synth.scene.backdrop import Backdrop
from synth.scene.depth import proxy
from synth.tasks import TASKS

PAIRS = 60  # of each kind, spread over all
PLACE = 4.0  # pixels over which detail is counted
DETAIL = 4.0  # grey levels: of fine detail in the sharper image, from which a place counts
QUICK = {"PAIRS": 1}


def bracket(pair: CleanPair) -> dict[str, float]:
    """What both frames show."""
    under, over = pair.pictures["a"], pair.pictures["b"]
    light = Backdrop(TASKS["mef"].capture, pair.pictures).light
    dark, bright = luma(under), luma(over)
    stops = -np.log2(light.gain["a"]) if light.gain_kind == "measured" else np.nan
    return {
        "stops between both": float(stops),
        "under: median level": float(np.median(dark)),
        "under: brightest 1%": float(np.percentile(dark, 99)),
        "under: black (%)": 100 * float((dark <= 2).mean()),
        "over: median level": float(np.median(bright)),
        "over: clipped (%)": 100 * float((_highest(over) >= 250).mean()),
        "over: darkest 2%": float(np.percentile(bright, 2)),
    }


def _highest(image: Bytes) -> Bytes:
    return image if image.ndim == 2 else image.max(axis=2)


def focus(pair: CleanPair) -> dict[str, float]:
    """Where each image is sharp, and by how much."""
    near, far = (_detail(pair.pictures[name]) for name in "ab")
    there = np.maximum(near, far) > DETAIL
    if not there.any():
        return {}
    apart = 2 * np.log2((near[there] + 0.5) / (far[there] + 0.5))  # energy, not amplitude
    decided = np.abs(apart) >= 1
    found = {
        "sharpness apart (stops)": float(np.percentile(np.abs(apart), 90)),
        "decided (%)": 100 * float(decided.mean()),
        "near (%)": 100 * float((apart[decided] > 0).mean()) if decided.any() else np.nan,
    }
    if pair.gt is not None:
        truth = _detail(pair.gt)
        seen = truth > DETAIL
        lost = 2 * np.log2((truth[seen] + 0.5) / (np.maximum(near, far)[seen] + 0.5)) > 1
        found["both blurred (%)"] = 100 * float(lost.mean()) if seen.any() else np.nan
    return found


def _detail(image: Bytes) -> Floats:
    """The root of the energy of fine detail around each place, in grey levels."""
    grey = luma(image).astype(np.float32)
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    return np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), PLACE))


def gathered(
    refs: list[PairRef],
    look: Callable[[CleanPair], dict[str, float]],
    change: Callable[[CleanPair], CleanPair] = lambda pair: pair,
) -> dict[str, np.ndarray]:
    """Each measurement over some pairs, spread over all."""
    found: dict[str, list[float]] = {}
    for at in np.linspace(0, len(refs) - 1, min(PAIRS, len(refs))).astype(int):
        begun = time.process_time()
        pair = change(refs[at].load())
        found.setdefault("ms", []).append(1e3 * (time.process_time() - begun))
        for name, value in look(pair).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values)[np.isfinite(values)] for name, values in found.items()}


def plainly(task: str) -> Callable[[CleanPair], CleanPair]:
    """What the built-in source of a task makes of a photograph that is given as the truth of a pair."""
    make = next(source.make for source in BUILTINS.values() if source.task == task)

    def made(pair: CleanPair) -> CleanPair:
        assert pair.gt is not None
        a, b, truth = make(pair.gt, proxy(pair.gt))
        return replace(pair, pictures={"a": a, "b": b}, gt=truth)

    return made


def usable(items: Iterable[PairRef | LeftOut]) -> list[PairRef]:
    """The pairs among what a source lists."""
    return [item for item in items if not isinstance(item, LeftOut)]


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--data", type=Path, required=True)
    data = parsed(wanted, globals(), QUICK).data
    cv2.setNumThreads(1)
    parts = []
    for side, (task, look) in product(("train", "test"), (("mef", bracket), ("mff", focus))):
        photos = PhotoSource(photos=data / "photos" / side)
        real = gathered(usable(FolderSource(folder=data / "pairs" / side / task).pairs(task)), look)
        made = gathered(usable(photos.pairs(task)), look)
        plain = gathered(usable(photos.pairs("mff")), look, plainly(task))  # whose truth is the photograph
        names = [name for name in dict.fromkeys(chain(real, made)) if name != "ms"]
        rows = [[name, *(cell(found.get(name)) for found in (real, made, plain))] for name in names]
        rows.append(["ms to load", *(f"{np.median(found['ms']):.0f}" for found in (real, made)), ""])
        head = [f"{TASKS[task].title}, {side}", "real", "made of photographs", "as built-in sources make them"]
        parts.append(table(head, rows))
        print(parts[-1], flush=True)
    put("dataset.md", "made_pairs", "make bench-pairs", "\n\n".join(parts))


if __name__ == "__main__":
    main()
