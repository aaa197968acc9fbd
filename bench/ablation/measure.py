"""What a run has reached: PSNR by what a sample is, and the parts of its error."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.ablation.kept import capped, inputs_of, shuffled
from trainer.data.images import to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.model.dit import FusionDiT
from trainer.objectives import Noise, Objective

MEASURED = (
    *("psnr", "signed", "best offset", "best gain", "blocks", "squares", "target's squares", "shuffled", "base"),
    "round trip",
)
"""What is told of a set, each by what its samples are."""
BLOCK = 64
"""Pixels along the side of a block, whose means `blocks` has from an oracle."""


@torch.no_grad()
def measure(path: Path, model: FusionDiT, objective: Objective[Any], autoencoder: Autoencoder) -> dict[str, Any]:
    """The means by what a sample is, of PSNR in dB and the rest of MEASURED, and a row for each sample."""
    data = torch.load(path, weights_only=False)
    other = shuffled(len(data["facts"]))
    rows = []

    def decoded(z: Tensor) -> Tensor:
        return autoencoder.decode(autoencoder.denormalise(z))

    for number, facts in enumerate(data["facts"]):
        target = to_tensor([data["targets"][number].numpy()], autoencoder.device)

        def fused(prompt: int, number: int = number, size: tuple[int, ...] = tuple(target.shape[-2:])) -> Tensor:
            given = inputs_of(data, [number], autoencoder, [prompt])
            picture = objective.sample(model, given, Noise(0, [number]), None, decoded).picture
            assert picture is not None
            return picture[..., : size[0], : size[1]].clamp(-1, 1)

        row = facts | in_parts(fused(number), target) | {"shuffled": capped(fused(other[number]), target)}
        rows.append(row)
    return {name: by_what(rows, name) for name in MEASURED} | {"rows": rows}


def in_parts(picture: Tensor, target: Tensor) -> dict[str, float]:
    """The error of a picture, (1, 3, H, W) in [-1, 1]: PSNR as it is, its mean in grey levels, and PSNR after an oracle
    has added one number to the whole; has scaled it and added one; has added one number to each block."""
    x, y = picture.flatten(), target.flatten()
    gain = ((x - x.mean()) * (y - y.mean())).mean() / (x - x.mean()).square().mean().clamp_min(1e-9)
    error = target - picture
    side = min(BLOCK, *picture.shape[-2:])
    means = torch.nn.functional.avg_pool2d(error, side, ceil_mode=True, count_include_pad=False)
    blocks = torch.nn.functional.interpolate(means, scale_factor=side)[..., : error.shape[-2], : error.shape[-1]]
    return {
        "psnr": capped(x, y),
        "signed": float((x - y).mean()) * 127.5,
        "best offset": capped(x + (y - x).mean(), y),
        "best gain": capped(gain * (x - x.mean()) + y.mean(), y),
        "blocks": capped(picture + blocks, target),
        "squares": squares(picture),
        "target's squares": squares(target),
    }


def squares(picture: Tensor) -> float:
    """How steep a picture, (1, 3, H, W), is across the borders of squares of SQUARE pixels, over that elsewhere: 1
    where none show."""
    ratios = []
    for axis in (2, 3):
        steep = picture.mean(1, keepdim=True).diff(dim=axis).abs().mean((0, 1, 5 - axis))
        border = torch.arange(1, len(steep) + 1) % SQUARE == 0
        ratios.append(float(steep[border].mean() / steep[~border].mean().clamp_min(1e-9)))
    return sum(ratios) / 2


SQUARE = 8
"""Pixels along the side of a latent position."""


def what_of(row: dict[str, Any]) -> tuple[str, ...]:
    """What a sample is: its task, the kind of its sentence, its effects."""
    return (row["task"], row["kind"], *row["effects"])


def by_what(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    """The mean of a measure over all samples, and over those of each task, kind of sentence and effect."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for group in ("all", *what_of(row)):
            groups[group].append(row[name])
    return {group: float(np.mean(values)) for group, values in sorted(groups.items())}
