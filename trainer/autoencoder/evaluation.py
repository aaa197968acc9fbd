"""How well an autoencoder brings pictures back: PSNR and SSIM a set, the worst pictures, a sheet to look at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainer.autoencoder.pictures import images_of
from trainer.data.images import Image, read_image, to_images, to_tensor
from trainer.errors import UserError
from trainer.evaluation.metrics import SSIM_RADIUS, psnr, ssim
from trainer.frozen.autoencoder import Autoencoder

WINDOW = 256
"""Pixels of the sheet's cuts, at full size."""
GAIN = 8
"""By which the sheet's differences are amplified."""
CAP = 100.0
"""dB that an exact round trip counts as, so that a mean exists."""


@dataclass
class Score:
    """The round trip of one picture."""

    name: str
    psnr: float
    """dB, over all pixels and channels of the rounded and clipped picture."""
    ssim: float
    """Of luma."""
    cut: Image = field(repr=False)
    """(256, 768, 3) at most: the window with the largest error as it was, as it comes back, and the difference."""


def score(autoencoder: Autoencoder, name: str, image: Image) -> Score:
    """Encodes and decodes a picture, (H, W, 3) uint8."""
    latents = autoencoder.encode(to_tensor([image], autoencoder.device))
    back = to_images(autoencoder.decode(latents, image.shape[:2]))[0]
    small = min(image.shape[:2]) <= 2 * SSIM_RADIUS
    return Score(name, min(psnr(back, image), CAP), float("nan") if small else ssim(back, image), _cut(image, back))


def evaluate(
    autoencoder: Autoencoder, sets: Iterable[tuple[str, str, Image]], tell: bool = True
) -> dict[str, list[Score]]:
    """The scores of (set, name, picture), by set."""
    from trainer.training.log import say

    scores: dict[str, list[Score]] = {}
    begun = time.monotonic()
    for number, (group, name, image) in enumerate(sets, 1):
        scores.setdefault(group, []).append(score(autoencoder, name, image))
        if tell and time.monotonic() - begun > 30:
            begun = time.monotonic()
            say(f"{number} pictures")
    return scores


def read_sets(images: Sequence[Path], pairs: Sequence[Path], shards: Sequence[str]) -> Iterator[tuple[str, str, Image]]:
    """(set, name, picture): a set for each folder of images; of pairs, one a task, infrared apart; of shards, the
    degraded inputs, infrared apart, and the targets. Raises UserError.
    """
    for folder in images:
        for path in images_of(folder, "--images"):
            yield str(folder), path.relative_to(folder).as_posix(), read_image(path)
    for folder in pairs:
        for path in images_of(folder, "--pairs"):
            task = path.parent.parent.name
            if path.stem not in ("a", "b", "gt"):
                continue
            infrared = " infrared" if task == "vif" and path.stem == "b" else " visible" if task == "vif" else ""
            yield f"pairs {task}{infrared}", f"{path.parent.name}/{path.stem}", read_image(path)
    if shards:
        from trainer.data.shards import IndexedShards, open_shards

        reader = open_shards(list(shards), 0)
        if not isinstance(reader, IndexedShards):
            raise UserError(f"--shards {shards[0]}: no sidecar (.parquet) beside it, which is needed here")
        for number in range(len(reader)):
            sample = reader.load([number])[0]
            task = sample.record.get("task", "")
            for member, image in (("a", sample.a), ("b", sample.b), ("target", sample.target)):
                kind = "targets" if member == "target" else "degraded inputs"
                infrared = ", infrared" if task == "vif" and member == "b" else ""
                yield f"shards, {kind}{infrared}", f"{sample.key}.{member}", image
        reader.close()


def table(scores: dict[str, list[Score]]) -> str:
    """One line a set: pictures, mean PSNR and SSIM, the worst PSNR."""
    width = max(len(name) for name in scores)
    lines = [f"{'set':{width}}  pictures  PSNR dB    SSIM  worst dB"]
    for name, found in scores.items():
        mean, structure = (np.nanmean([getattr(s, key) for s in found]) for key in ("psnr", "ssim"))
        worst = min(s.psnr for s in found)
        lines.append(f"{name:{width}}  {len(found):8}  {mean:7.2f}  {structure:.4f}  {worst:8.2f}")
    return "\n".join(lines)


def worst(scores: dict[str, list[Score]], count: int) -> str:
    """The worst pictures of each set, by PSNR."""
    lines = []
    for name, found in scores.items():
        for s in sorted(found, key=lambda s: s.psnr)[:count]:
            lines.append(f"{name}: {s.name}  {s.psnr:.2f} dB  {s.ssim:.4f}")
    return "\n".join(lines)


def sheet(scores: dict[str, list[Score]], rows: int) -> Image:
    """The worst, the middle and the best of each set, `rows` in all: original, round trip, 8 times the difference."""
    cuts = []
    for found in scores.values():
        ordered = sorted(found, key=lambda s: s.psnr)
        chosen = sorted({round(i * (len(ordered) - 1) / max(rows - 1, 1)) for i in range(rows)})
        cuts += [ordered[i].cut for i in chosen]
    page = np.full((sum(c.shape[0] + 8 for c in cuts), max(c.shape[1] for c in cuts), 3), 255, np.uint8)
    top = 0
    for cut in cuts:
        page[top : top + cut.shape[0], : cut.shape[1]] = cut
        top += cut.shape[0] + 8
    return page


def _cut(image: Image, back: Image) -> Image:
    import cv2

    height, width = (min(WINDOW, side) for side in image.shape[:2])
    difference = image.astype(np.float32) - back
    error = cv2.boxFilter((difference**2).mean(2), -1, (width, height), anchor=(0, 0))
    error = error[: image.shape[0] - height + 1, : image.shape[1] - width + 1]
    top, left = np.unravel_index(int(error.argmax()), error.shape)
    shown = np.clip(np.rint(128 + GAIN * difference), 0, 255).astype(np.uint8)
    return np.hstack([part[top : top + height, left : left + width] for part in (image, back, shown)])
