"""The picture of `synth stats`: its axes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.audit.chart import BAR, WIDTH, draw, ticks, told
from synth.dataset.stats import Histogram, Stats


@given(st.floats(-100, 100), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_within(start, width, most):
    low, high = start * width, (start + 1) * width
    found = ticks(low, high, most)
    assert len(found) <= most
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in found)
    if len(found) > 1:
        step = found[1] - found[0]
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
        assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-3
        assert [tick / step for tick in found] == pytest.approx([round(tick / step) for tick in found], abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 6, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (4.85, 52.3, 6, [10, 20, 30, 40, 50]),
        (0, 54, 3, [0, 20, 40]),
        (5, 50_000, 6, [10_000, 20_000, 30_000, 40_000, 50_000]),
        (-8, 8, 6, [-5, 0, 5]),
        (0, 1, 2, [0, 1]),
    ],
)
def test_ticks_that_people_would_choose(low, high, most, expected):
    assert ticks(low, high, most) == expected


@pytest.mark.parametrize(("tick", "text"), [(0.2, "0.2"), (0.0, "0"), (50.0, "50"), (20_000.0, "20,000"), (-5.0, "-5")])
def test_numbers_on_axes_are_short(tick, text):
    assert told(tick) == text


def test_histograms_of_any_range_are_drawn():
    stats = Stats(name="t", samples=3, shards=1)
    for number, (low, high) in enumerate([(0, 1), (5, 50_000), (0.02, 10), (-8, 8), (10, 100_000), (0, 1e-3)]):
        counts = [0] * 20
        counts[number], counts[-1] = 1, 10**number
        stats.strengths[f"effect {number}: x"] = Histogram(low, high, "x, m", counts)
    assert draw(stats).std() > 10


def test_a_picture_of_little_has_no_empty_half():
    """Of three effects and one task each column holds something in every band of it."""
    stats = Stats(name="t", samples=12, shards=1)
    stats.tasks["mef"], stats.kinds["full"], stats.targets["given"], stats.sizes[128, 128] = 12, 12, 12, 12
    stats.sources["mef", "d", "CC0"] = 12
    for name in ("haze", "jpeg", "noise"):
        stats.effects[name] = stats.by_task[name, "mef"] = 4
        stats.strengths[f"{name}: severity"] = Histogram(0, 1, "severity", [1] * 20)
    stats.numbers.update({0: 3, 1: 3, 2: 6})
    for name in ("a.png", "b.png", "target.png", "json"):
        stats.members[name], stats.member_bytes[name] = 12, 1000
    page = draw(stats)
    for part in (page[:, : WIDTH // 2], page[:, WIDTH // 2 + 160 :]):
        inked = np.flatnonzero((part[84:] < 200).any(axis=(1, 2)))
        assert np.diff(inked).max() < 130
        assert inked[-1] > len(page) - 84 - 140


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_histograms_stand_in_rows_of_equal_number(count):
    stats = Stats(name="t", samples=1)
    for number in range(count):
        stats.strengths[f"e{number}: severity"] = Histogram(0, 1, "severity", [1] * 20)
    page = draw(stats)
    assert (page[:, WIDTH - 80 : WIDTH - 36] == BAR).all(axis=2).sum() > 500
