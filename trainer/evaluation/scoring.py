"""The values of one fused picture, and what its sample is, as a row of a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from trainer.data.images import Image
from trainer.evaluation import metrics
from trainer.evaluation.brisque import brisque
from trainer.evaluation.cases import Case

Row: TypeAlias = dict[str, Any]
"""`method`, what the sample is (`WHAT`), and the values of metrics by their names."""

HIGHEST = 60.0
"""dB, what an equal picture counts, so that means stay finite."""
WHAT = ("key", "group", "task", "dataset", "scene", "kind", "phrase_split", "effects", "count")
PAIR = re.compile(r"-p\d+$")


def effects_of(record: Mapping[str, Any]) -> list[str]:
    """The effects that fell on a sample, each once, by its record."""
    return list(dict.fromkeys(each["effect"] for each in record.get("degradations", ())))


def what_of(case: Case) -> Row:
    """`WHAT` of a case, from its record: effects are those that fell on it, each once; count is how many."""
    record = case.record
    source, effects = record.get("source", {}), effects_of(record)
    return {
        "key": case.key,
        "group": case.group,
        "task": case.task,
        "dataset": str(source.get("dataset", "")),
        "scene": PAIR.sub("", str(source.get("scene", case.key))),
        "kind": case.kind,
        "phrase_split": str(record.get("phrase_split", "")),
        "effects": effects,
        "count": len(effects),
    }


def score(case: Case, fused: Image) -> dict[str, float]:
    """PSNR (at most `HIGHEST`) and SSIM to the target, where there is one, else BRISQUE, where its package is; the
    metrics of fusion against the clean pair, where that is known; and those of the picture alone. nan where a picture
    is too small for one.
    """
    values = {}
    if case.target is not None:
        values["PSNR"] = min(HIGHEST, metrics.psnr(fused, case.target))
        values["SSIM"] = _value(metrics.ssim, fused, case.target)
    elif (quality := brisque(fused)) is not None:
        values["BRISQUE"] = quality
    if case.clean is not None:
        values |= against_sources(*case.clean, fused, case.task)
    return values | {name: _value(metric, fused) for name, metric in metrics.ALONE.items()}


def against_sources(a: Image, b: Image, fused: Image, task: str) -> dict[str, float]:
    """The metrics of fusion; SSIM against two sources stands under `SSIM ab`, since SSIM alone is that to a target."""
    named = {"SSIM ab" if name == "SSIM" else name: metric for name, metric in metrics.AGAINST_SOURCES.items()}
    values = {name: _value(metric, a, b, fused) for name, metric in named.items()}
    return values | ({"MEF-SSIM": _value(metrics.mef_ssim, a, b, fused)} if task == "mef" else {})


def _value(metric: Callable[..., float], *pictures: Image) -> float:
    try:
        return float(metric(*pictures))
    except ValueError:  # too few pixels for it
        return math.nan
