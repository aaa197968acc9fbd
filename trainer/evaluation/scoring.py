"""The values of one fused picture, and what its sample is, as a row of a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from trainer.data.images import Image
from trainer.data.samples import Sample
from trainer.evaluation import metrics

Row: TypeAlias = dict[str, Any]
"""`method`, what the sample is (`WHAT`), and the values of metrics by their names."""

HIGHEST = 60.0
"""dB, what an equal picture counts, so that means stay finite."""
WHAT = ("key", "group", "task", "dataset", "scene", "kind", "phrase_split", "effects", "count")
TO_TARGET = ("PSNR", "SSIM")
PAIR = re.compile(r"-p\d+$")


def what_of(sample: Sample) -> Row:
    """`WHAT` of a sample, from its record: effects are those that fell on it, each once; count is how many."""
    record = sample.record
    source = record.get("source", {})
    effects = list(dict.fromkeys(each["effect"] for each in record.get("degradations", ())))
    return {
        "key": sample.key,
        "group": str(record.get("group", sample.key)),
        "task": str(record.get("task", "")),
        "dataset": str(source.get("dataset", "")),
        "scene": PAIR.sub("", str(source.get("scene", sample.key))),
        "kind": str(record.get("kind", "")),
        "phrase_split": str(record.get("phrase_split", "")),
        "effects": effects,
        "count": len(effects),
    }


def score(sample: Sample, fused: Image) -> dict[str, float]:
    """PSNR (at most `HIGHEST`) and SSIM to the target; against the clean pair, where it stands in the shards, the
    metrics of fusion; and those of the picture alone. nan where a picture is too small for one.
    """
    values = {"PSNR": min(HIGHEST, metrics.psnr(fused, sample.target))}
    values["SSIM"] = _value(metrics.ssim, fused, sample.target)
    if sample.clean_a is not None and sample.clean_b is not None:
        values |= against_sources(sample.clean_a, sample.clean_b, fused, str(sample.record.get("task", "")))
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
