"""What working in tiles changes, with weights as they are used.

    python -m bench.tiles --pairs data/pairs/train/mef [--weights DIR]
    python -m bench.tiles --shards shards/val512

The first writes docs/results.md. Pairs that are large enough are hazed and made noisy, and fused whole and in tiles.
The second prints how near the targets tiles of each size come.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.command import parsed, parser
from bench.document import put, table
from synth import degrade
from trainer.data.images import Image, read_image, to_tensor
from trainer.data.shards import open_shards
from trainer.evaluation import metrics
from trainer.frozen.tiles import spans
from trainer.inference.fuser import Fuser
from trainer.inference.tiles import EVEN, OVERLAP
from trainer.similarity import psnr

COMMAND = "python -m bench.tiles --pairs data/pairs/train/mef"
PROMPT = "remove the haze and remove the noise and fuse the images"
EFFECTS = {"haze": 0.5, "noise": {"sigma": 15}}
SIDES = {128: 2, 64: 1, 48: 1}
"""Positions along a tile's side, the usual one first; and by what pairs are enlarged, so that it takes several."""
TRUE_SIDES = (32, 48, 64)
LEAST = 850
"""Pixels along the long side of a pair that is large enough."""
PAIRS = 4
QUICK = {"SIDES": {24: 1}, "TRUE_SIDES": (24,), "LEAST": 160, "PAIRS": 1}


def fused(fuser: Fuser, a: Image, b: Image, side: int) -> Tensor:
    """(1, 3, H, W) in [-1, 1], by tiles of that side."""
    fuser.tile = side
    return to_tensor([fuser(a, b, PROMPT)], fuser.autoencoder.device)


def excess(whole: Tensor, tiled: Tensor, side: int, factor: int) -> float:
    """How much steeper a picture is than the whole one where tiles are blended, over the same elsewhere.

    Where that is along each axis is found by the tiles themselves: a map that is 1 in their overlaps.
    """
    grid = (-(-whole.shape[-2] // factor), -(-whole.shape[-1] // factor))
    ratios = []
    for axis, count in ((-2, grid[0]), (-1, grid[1])):
        covered = torch.zeros(count)
        for start, end in spans(count, side, OVERLAP, EVEN):
            covered[start:end] += 1
        if covered.max() < 2:
            continue
        blended = (covered > 1).repeat_interleave(factor)[: whole.shape[axis] - 1]
        steep = [picture.diff(dim=axis).abs().movedim(axis, 0).flatten(1).mean(1) for picture in (whole, tiled)]
        there, elsewhere = (float(steep[1][place].mean() / steep[0][place].mean()) for place in (blended, ~blended))
        ratios.append(there / elsewhere)
    return float(np.mean(ratios))


def compared(fuser: Fuser, pairs: Path) -> list[list[str]]:
    """A row for each side of tiles."""
    found = []
    for folder in sorted(pairs.iterdir()):
        files = [next(folder.glob(f"{name}.*"), None) for name in "ab"]
        if None in files:
            continue
        a, b = (read_image(file) for file in files if file)
        if max(a.shape[:2]) >= LEAST and a.shape == b.shape:
            damaged = degrade(a, b, EFFECTS, task="mef", seed=len(found))
            found.append((damaged.a, damaged.b))
        if len(found) == PAIRS:
            break
    rows = []
    for side, times in SIDES.items():
        near, steeper = [], []
        for pair in found:
            a, b = (cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC) for image in pair)
            whole, tiled = (fused(fuser, a, b, each) for each in (10**6, side))
            near.append(psnr(tiled, whole))
            steeper.append(excess(whole, tiled, side, fuser.autoencoder.factor))
        size = f"{a.shape[1]}x{a.shape[0]}"
        told = f"{np.mean(near):.1f} ({min(near):.1f})", f"{np.mean(steeper):.3f} ({max(steeper):.3f})"
        rows.append([str(side), f"{len(found)} of {size}", *told])
        print(*rows[-1], flush=True)
    return rows


def to_truth(fuser: Fuser, shards: str) -> str:
    """Mean PSNR in dB to the targets of shards, by the side of tiles."""
    reader = open_shards([shards], 0)
    samples = reader.load(range(len(reader)))  # type: ignore[arg-type]
    rows = []
    for side in TRUE_SIDES:
        fuser.tile = side
        each = [metrics.psnr(fuser(s.a, s.b, s.instruction), s.target) for s in samples]
        rows.append([str(side), str(len(each)), f"{np.mean(each):.2f}"])
    return table(["tile, positions", "samples", "PSNR to the target, dB"], rows)


def main() -> None:
    wanted = parser(__doc__)
    what = wanted.add_mutually_exclusive_group(required=True)
    what.add_argument("--pairs", type=Path, help="pairs of one task, some of them large")
    what.add_argument("--shards", help="samples with their targets")
    wanted.add_argument("--weights", default="release")
    given = parsed(wanted, globals(), QUICK)
    fuser = Fuser.from_pretrained(given.weights, "cpu")
    if given.shards:
        print(to_truth(fuser, given.shards))
        return
    rows = compared(fuser, given.pairs)
    heads = ["tile, positions", "pairs", "PSNR to the whole, dB (worst)", "steepness where tiles meet (worst)"]
    put("results.md", "tiles", COMMAND, table(heads, rows))


if __name__ == "__main__":
    main()
