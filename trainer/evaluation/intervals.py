"""Means with their uncertainty: scenes are drawn anew, as another set of scenes would have been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

TIMES = 2000
SEED = 0


class Mean(NamedTuple):
    """A mean, its 95% interval (nan of one scene) and of how many samples it is."""

    value: float
    low: float
    high: float
    samples: int


def mean_of(values: ArrayLike, scenes: Sequence[str]) -> Mean:
    """The mean of values, nan passed over, each of the scene beside it; all of a scene are drawn together."""
    return ratio_of(values, np.ones(len(scenes)), scenes)


def ratio_of(above: ArrayLike, below: ArrayLike, scenes: Sequence[str]) -> Mean:
    """The sum of values over the sum of weights, with the interval of that ratio by the bootstrap over scenes (Efron
    and Tibshirani, 1993: percentiles, 2,000 draws from a fixed seed). Values that are nan go with their weights.
    """
    tops, bottoms = np.asarray(above, float), np.asarray(below, float)
    there = ~np.isnan(tops)
    if not there.any() or bottoms[there].sum() == 0:
        return Mean(np.nan, np.nan, np.nan, int(there.sum()))
    names, at = np.unique(np.asarray(scenes, str)[there], return_inverse=True)
    top, bottom = (np.bincount(at, part[there], len(names)) for part in (tops, bottoms))
    value = float(top.sum() / bottom.sum())
    if len(names) == 1:
        return Mean(value, np.nan, np.nan, int(there.sum()))
    return Mean(value, *_interval(top, bottom), int(there.sum()))


def _interval(top: NDArray[Any], bottom: NDArray[Any]) -> tuple[float, float]:
    drawn = np.random.Generator(np.random.Philox(SEED)).integers(len(top), size=(TIMES, len(top)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = top[drawn].sum(1) / bottom[drawn].sum(1)
    low, high = np.nanpercentile(ratios, (2.5, 97.5))
    return float(low), float(high)
