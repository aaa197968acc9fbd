"""Scores of pictures, by set: a table of means, the worst, and which to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainer.data.images import Image

UNITS = {"PSNR": " dB"}
"""Of metrics that have one."""
DECIMALS = {"PSNR": 2}
"""Of metrics that are shown with other than four."""


@dataclass(frozen=True)
class Score:
    """How one picture fared."""

    name: str
    values: Mapping[str, float]
    """By metric, the first the one by which pictures are ranked, more being better; nan where it cannot be had."""
    shown: Image = field(repr=False)
    """(H, W, 3): what a sheet shows of it."""


Scores = Mapping[str, Sequence[Score]]
"""By set."""


def table(scores: Scores) -> str:
    """One line a set: pictures, the mean of each metric, the worst of the first."""
    metrics = list(next(iter(scores.values()))[0].values)
    first = metrics[0]
    rows = [["set", "pictures", *(f"{name}{UNITS.get(name, '')}" for name in metrics), f"worst{UNITS.get(first, '')}"]]
    for name, found in scores.items():
        means = (float(np.nanmean([score.values[metric] for score in found])) for metric in metrics)
        cells = [_number(metric, mean) for metric, mean in zip(metrics, means, strict=True)]
        rows.append([name, str(len(found)), *cells, _number(first, min(score.values[first] for score in found))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def worst(scores: Scores, count: int) -> str:
    """The worst pictures of each set, a line each."""
    lines = []
    for name, found in scores.items():
        for score in ranked(found)[:count]:
            values = (f"{_number(metric, value)}{UNITS.get(metric, '')}" for metric, value in score.values.items())
            lines.append("  ".join([f"{name}: {score.name}", *values]))
    return "\n".join(lines)


def spread(scores: Scores, count: int) -> list[Image]:
    """What `count` pictures of each set show, from the worst to the best, the middle among them."""
    chosen = []
    for found in scores.values():
        ordered = ranked(found)
        numbers = sorted({round(i * (len(ordered) - 1) / max(count - 1, 1)) for i in range(count)})
        chosen += [ordered[i].shown for i in numbers]
    return chosen


def ranked(scores: Sequence[Score]) -> list[Score]:
    """The worst first, by the first metric."""
    return sorted(scores, key=lambda score: next(iter(score.values.values())))


def _number(metric: str, value: float) -> str:
    return f"{value:.{DECIMALS.get(metric, 4)}f}"
