"""The targets beside plain fusions: `python -m bench.targets --pairs DIR` measures, documents, and draws sheets.

DIR holds vif/, mef/ and mff/ as a folder source does. Written are the table of docs/targets.md and, into out/targets/,
one sheet for each pair: its sources, its given truth where it has one, and every fusion. One thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from bench import fusion_references
from bench.command import parsed, parser
from bench.document import put, table
from synth.engines.memory import keep_memory
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.pairs.base import CleanPair
from synth.pairs.folder import FolderSource
from synth.pairs.source import LeftOut
from synth.targets.target import TargetKind, make_target
from synth.tasks import TASKS
from trainer.evaluation import metrics

TARGETS: tuple[TargetKind, ...] = ("gradient", "exposure")
SIZES = [(640, 480), (256, 256)]
REPEATS = 15
CELL_WIDTH = 760  # pixels of a sheet's cell at most
LABEL_HEIGHT = 18
EXACT = 99.0  # dB of a target that is the given truth to the byte: a mean over pairs has to stay finite
COLUMNS = 2
COMMAND = "make bench-targets"
QUICK = {"SIZES": [(40, 30), (32, 32)], "REPEATS": 1}

Fusion = Callable[[CleanPair], Bytes]


def fusions(task: str) -> dict[str, Fusion]:
    """All that is compared for a task, by name; our targets first."""
    found: dict[str, Fusion] = {kind: partial(_target, kind, task) for kind in TARGETS if kind in TASKS[task].targets}
    return found | {method: partial(_reference, method, task) for method in fusion_references.METHODS}


def _target(kind: TargetKind, task: str, pair: CleanPair) -> Bytes:
    return make_target(kind, TASKS[task], pair.pictures, None)[0]


def _reference(method: str, task: str, pair: CleanPair) -> Bytes:
    return fusion_references.fuse(method, task, pair.pictures["a"], pair.pictures["b"])


def pairs(root: Path, task: str) -> Iterator[tuple[str, CleanPair]]:
    """The pairs of a task by the names of their folders."""
    for item in FolderSource(folder=root / task).pairs(task):
        if not isinstance(item, LeftOut):
            yield item.scene, item.load()


def pairs_parser(doc: str | None) -> argparse.ArgumentParser:
    """Options of a bench that measures one folder of pairs after another."""
    wanted = parser(doc)
    wanted.add_argument("--pairs", type=Path, action="append", required=True, help="a folder of pairs; may come again")
    return wanted


def by_roots(document: str, section: str, made_by: str, roots: list[Path], told: Callable[[Path], str]) -> None:
    """Print what is told of each folder, on one thread, and document it all."""
    cv2.setNumThreads(1)
    parts = []
    for root in roots:
        parts.append(told(root))
        print(parts[-1], flush=True)
    put(document, section, made_by, "\n\n".join(parts))


def measure(root: Path, task: str, out: Path) -> tuple[int, int, dict[str, dict[str, list[float]]]]:
    """The number of pairs, of those with a truth, and by fusion and metric a value for each pair; draws the sheets."""
    found: dict[str, dict[str, list[float]]] = {}
    count = truths = 0
    for name, pair in pairs(root, task):
        count += 1
        truths += pair.gt is not None
        a, b = pair.pictures["a"], pair.pictures["b"]
        cells = {"a": a, "b": b} | ({} if pair.gt is None else {"given": pair.gt})
        for fusion, fuse in fusions(task).items():
            cells[fusion] = fused = fuse(pair)
            values = {key: metric(a, b, fused) for key, metric in metrics.AGAINST_SOURCES.items()}
            if pair.gt is not None:
                values |= {
                    "PSNR, given": min(metrics.psnr(fused, pair.gt), EXACT),
                    "SSIM, given": metrics.ssim(fused, pair.gt),
                }
            for key, value in values.items():
                found.setdefault(fusion, {}).setdefault(key, []).append(value)
        (out / f"{task}-{name}.png").write_bytes(codecs.encode_png(sheet(cells)))
    return count, truths, found


def sheet(cells: dict[str, Bytes]) -> Bytes:
    """Pictures under their names, two in a row, at their own size where that fits."""
    labelled = []
    for name, image in cells.items():
        scale = min(1.0, CELL_WIDTH / image.shape[1])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        shown = in_colour(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        strip = Image.new("RGB", (size[0], LABEL_HEIGHT), "white")
        ImageDraw.Draw(strip).text((3, 1), name, fill="black", font=ImageFont.load_default(13))
        labelled.append(np.vstack([np.asarray(strip), shown]))
    labelled += [np.full_like(labelled[0], 255)] * (-len(labelled) % COLUMNS)
    return np.vstack([np.hstack(labelled[i : i + COLUMNS]) for i in range(0, len(labelled), COLUMNS)])


def seconds(task: str) -> dict[str, list[float]]:
    """By fusion, the median time of a pair in milliseconds at each of `SIZES`, on a built-in photograph."""
    found: dict[str, list[float]] = {}
    for width, height in SIZES:
        image = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_AREA)
        other = image[:, :, 0].copy() if task == "vif" else cv2.GaussianBlur(image, (0, 0), 2)
        pair = CleanPair({"a": image, "b": other}, None, None, "distance", {"a": 3, "b": 3}, (), ())
        for name, fuse in fusions(task).items():
            times = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                fuse(pair)
                times.append(time.perf_counter() - start)
            found.setdefault(name, []).append(1000 * statistics.median(times))
    return found


def rows_of(
    values: dict[str, dict[str, list[float]]], times: dict[str, list[float]], keys: list[str]
) -> list[list[str]]:
    """A row a fusion: the mean of each metric over all pairs that have it, the best of each in bold, then the times."""
    means = {name: {key: statistics.fmean(found[key]) for key in keys} for name, found in values.items()}
    best = {key: max(mean[key] for mean in means.values()) for key in keys}
    rows = []
    for name, mean in means.items():
        shown = [_number(key, mean[key]) for key in keys]
        bold = [f"**{s}**" if s == _number(k, best[k]) else s for k, s in zip(keys, shown, strict=True)]
        rows.append([name, *bold, *(f"{ms:.1f}" for ms in times[name])])
    return rows


def _number(key: str, value: float) -> str:
    return f"{value:.2f}" if key.startswith(("PSNR", "MI")) else f"{value:.3f}"


def main() -> None:
    """Measure, print, document, draw."""
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True, help="a folder with vif/, mef/ and mff/")
    wanted.add_argument("--out", type=Path, default=Path("out/targets"), help="where the sheets go")
    arguments = parsed(wanted, globals(), QUICK)
    cv2.setNumThreads(1)
    keep_memory()
    arguments.out.mkdir(parents=True, exist_ok=True)
    parts = []
    for task in TASKS:
        count, truths, values = measure(arguments.pairs, task, arguments.out)
        keys = list(metrics.AGAINST_SOURCES) + (["PSNR, given", "SSIM, given"] if truths else [])
        head = [task, *keys, *(f"ms, {w}×{h}" for w, h in SIZES)]
        known = f", {truths} of them with a given truth" if truths else ""
        parts.append(f"{count} pairs{known}.\n\n{table(head, rows_of(values, seconds(task), keys))}")
        print(parts[-1], flush=True)
    put("targets.md", "targets", COMMAND, "\n\n".join(parts))


if __name__ == "__main__":
    main()
