"""A two-level fractional factorial: eight ingredients in sixteen runs, each main effect from all of them.

Half of the runs have an ingredient and half do not, so its effect is the difference of two means of eight. Generators
E = BCD, F = ACD, G = ABC, H = ABD (resolution IV: Box, Hunter, Hunter, "Statistics for experimenters", 2005, chapter
6): no main effect is mixed with an effect of two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.ablation.results import by_scene, cell
from bench.ablation.runs import Form, run, timed


class Factor(NamedTuple):
    """An ingredient."""

    name: str
    low: Mapping[str, Any]
    high: Mapping[str, Any]


REGRESSION = {"objective.kind": "regression"}
FACTORS = (
    Factor("NAF blocks in the layers", {"model.naf": False}, {"model.naf": True}),
    Factor("value residual", {"model.value_residual": False}, {"model.value_residual": True}),
    Factor("learned positions", {"model.absolute": False}, {"model.absolute": True}),
    Factor("rotary positions", {"model.rotary": False}, {"model.rotary": True}),
    Factor("experts", {}, {"model.experts": 4, "model.mlp_ratio": 0.667}),  # of as many operations
    Factor("raw patches", {"model.patches": False}, {"model.patches": True}),
    Factor("tone head", {"model.tone": False}, {"model.tone": True}),
    Factor("logarithm, not root", REGRESSION | {"objective.counts": "root"}, REGRESSION | {"objective.counts": "log"}),
)
GENERATORS = ((1, 2, 3), (0, 2, 3), (0, 1, 2), (0, 1, 3))
RUNS = 16


def signs() -> np.ndarray:
    """(RUNS, FACTORS): -1 without, 1 with."""
    first = [list(row[::-1]) for row in product((-1, 1), repeat=4)]
    return np.array([row + [prod(row[i] for i in generator) for generator in GENERATORS] for row in first])


def forms() -> list[Form]:
    """The runs, in the order of `signs`."""
    found = []
    for number, row in enumerate(signs()):
        changes: dict[str, Any] = {}
        for factor, sign in zip(FACTORS, row, strict=True):
            changes |= factor.high if sign > 0 else factor.low
        found.append(Form(f"factorial-{number:02d}", changes))
    return found


def go(out: Path, minutes: float, part: tuple[int, int]) -> None:
    """Those of part i of n that are missing."""
    samples = timed("factorial", forms(), minutes, out)
    for form in forms()[part[0] :: part[1]]:
        run(form, samples[form.name], out)


def report(out: Path) -> str:
    """The effect of each ingredient on each set, in dB, with 95% of what it is where scenes are drawn anew.

    Of the runs that are there; effects are mixed a little until all are.
    """
    paths = {number: out / f"{form.name}.json" for number, form in enumerate(forms())}
    paths = {number: path for number, path in paths.items() if path.exists()}
    results, table = [json.loads(path.read_text(encoding="utf-8")) for path in paths.values()], signs()[list(paths)]
    names = sorted(results[0]["sets"])
    lines = ["| ingredient | step |" + "".join(f" {name} |" for name in names)]
    lines.append("|---" * (len(names) + 2) + "|")
    steps = json.loads((out / "factorial-steps.json").read_text(encoding="utf-8"))
    slower = np.exp(contrasts(np.log([steps[form.name] for form in forms()]), signs()))
    for number, factor in enumerate(FACTORS):
        cells = [cell(*effect(results, table, number, name)) for name in names]
        lines.append(f"| {factor.name} | x {slower[number]:.2f} | {' | '.join(cells)} |")
    means = [float(np.mean([result["sets"][name]["psnr"]["all"] for result in results])) for name in names]
    lines.append(f"| mean of {len(results)} runs | | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return "\n".join(lines)


def effect(
    results: Sequence[Mapping[str, Any]], table: np.ndarray, factor: int, name: str
) -> tuple[float, float, float]:
    """Of an ingredient on a set, in dB, and its 95% interval by scene; table: the rows of `signs` that results have."""
    rows = [result["sets"][name]["rows"] for result in results]
    each = contrasts(np.array([[row["psnr"] for row in of_run] for of_run in rows]), table)[factor]  # (samples,)
    return by_scene(each, rows[0])


def contrasts(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """What each ingredient adds to values (runs, …), by least squares: (FACTORS, …).

    Where all runs are there it is the mean of those with less that of those without.
    """
    design = np.column_stack([np.ones(len(table)), table])
    return 2 * np.linalg.lstsq(design, values, rcond=None)[0][1:]
