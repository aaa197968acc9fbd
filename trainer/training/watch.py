"""Looking at a run on the way: held-out samples, fused by the averaged weights."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from trainer.addresses import path_of
from trainer.config import RunConfig
from trainer.console import say
from trainer.data.images import Image, write_image
from trainer.data.places import is_pipe, is_remote
from trainer.data.samples import Sample
from trainer.data.shards import IndexedShards, open_shards
from trainer.errors import UserError
from trainer.evaluation import metrics
from trainer.evaluation.scoring import HIGHEST, effects_of
from trainer.evaluation.sheets import sheet
from trainer.inference.captions import labelled_row
from trainer.inference.fuser import Fuser
from trainer.training.parts import first

SEED = 0
"""Of the order in which samples are taken: the same for all runs."""


def shared(held_out: Any, trained: Any) -> list[str]:
    """The tars of held-out shards that are trained on too: files of one path, or with samples of equal keys and bytes
    by their sidecars. held_out, trained: Shards, with or without sidecars, or a Mixture.
    """
    known: set[str | bytes] = {_place(tar) for tar in trained.tars}
    known |= {digest for part in getattr(trained, "parts", (trained,)) for digest in _digests(part)}
    digests = _digests(held_out) or [b""] * len(held_out.tars)
    return [tar for tar, digest in zip(held_out.tars, digests, strict=True) if _place(tar) in known or digest in known]


def _place(tar: str) -> str:
    return path_of(tar) if is_remote(tar) or is_pipe(tar) else str(Path(tar).resolve())


def _digests(shards: Any) -> list[bytes]:
    return shards.samples.index.digests if isinstance(shards, IndexedShards) else []


class Watch:
    """Held-out samples of a run, the same each time; a line where they are among the `trained`, if any are given.

    Raises UserError where the shards cannot be read.
    """

    def __init__(self, urls: list[str], config: RunConfig, out: Path, trained: Any) -> None:
        try:
            shards = open_shards(urls, SEED)
        except UserError as error:
            raise UserError(str(error).replace("--shards", "--val-shards", 1)) from None
        if both := shared(shards, trained) if trained is not None else []:
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            say(
                f"warning: --val-shards {both[0]}{more}: trained on too, so these scores say nothing of others; "
                "hold shards out"
            )
        self.samples, self.sheets, self.shown = first(shards, config.val_samples), out / "sheets", config.sheet
        shards.close()

    def look(self, fuser: Fuser, seen: int) -> dict[str, float]:
        """Fuses all of them after `seen` samples: mean PSNR in dB and SSIM to the target, over all, by task and by
        effect, as `val/psnr`, `val/psnr/haze`; and writes OUT/sheets/<seen>.png of the first few.
        """
        found: dict[str, list[float]] = defaultdict(list)
        rows = []
        for number, sample in enumerate(self.samples):
            fused = fuser(sample.a, sample.b, sample.instruction)
            scores = {
                "psnr": min(HIGHEST, metrics.psnr(fused, sample.target)),
                "ssim": metrics.ssim(fused, sample.target),
            }
            task = [str(sample.record["task"])] if "task" in sample.record else []
            for name, value in scores.items():
                for group in ("", *(f"/{what}" for what in (*task, *effects_of(sample.record)))):
                    found[f"val/{name}{group}"].append(value)
            if number < self.shown:
                rows.append(_row(sample, fused, scores["psnr"]))
        if rows:
            self.sheets.mkdir(exist_ok=True)
            write_image(self.sheets / f"{seen:012d}.png", sheet(rows))
        return {name: float(np.mean(values)) for name, values in sorted(found.items())}


def _row(sample: Sample, fused: Image, score: float) -> Image:
    pictures = [("a", sample.a), ("b", sample.b), (f"fused, {score:.2f} dB", fused), ("target", sample.target)]
    return labelled_row(pictures, sample.instruction)
