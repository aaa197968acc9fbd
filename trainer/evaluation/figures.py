"""Scores as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.evaluation.intervals import Mean
from trainer.evaluation.scoring import Row
from trainer.evaluation.tables import first_of, groups, mean


def draw_groups(rows: Sequence[Row], methods: Sequence[str], out: Path) -> None:
    """Writes a picture: PSNR, or Qabf where there is no truth, by task, effect, number of effects and kind; a mark and
    its 95% interval a method."""
    from matplotlib.figure import Figure

    metric = first_of(rows)
    found = groups([row for row in rows if row["method"] in methods])
    figure = Figure(figsize=(9, 1 + 0.34 * len(found)), layout="constrained")
    axis = figure.subplots()
    for number, method in enumerate(methods):
        means = [mean([row for row in group if row["method"] == method], metric) for group in found.values()]
        places = [place + 0.6 * (number + 0.5) / len(methods) - 0.3 for place in range(len(means))]
        spread = [[abs(each.value - end) for each, end in zip(means, ends, strict=True)] for ends in _ends(means)]
        values = [each.value for each in means]
        axis.errorbar(values, places, xerr=spread, fmt="o", markersize=4, linewidth=1, label=method)
    axis.set_yticks(range(len(found)), [f"{name} ({_count(group)})" for name, group in found.items()])
    axis.invert_yaxis()
    axis.set_xlabel(f"{metric} (95% by scene)")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(out, dpi=110)


def _ends(means: Sequence[Mean]) -> tuple[list[float], list[float]]:
    return [each.low for each in means], [each.high for each in means]


def _count(group: Sequence[Row]) -> int:
    return len({row["key"] for row in group})
