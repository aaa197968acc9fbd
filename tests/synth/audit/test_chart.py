"""The picture of `synth stats`: its axes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.audit.chart import draw, ticks, told
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
