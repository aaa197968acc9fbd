"""The sharpness of bench/flow.py: one for the target itself, less for what is softer, by as much as theory has it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.flow import sharpness, table


def noise(seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(seed))


def test_the_target_is_as_sharp_as_itself_and_half_the_contrast_has_a_quarter_of_the_power() -> None:
    assert sharpness(noise(), noise()) == pytest.approx((1, 1))
    assert sharpness(0.3 + noise() / 2, noise()) == pytest.approx((0.5, 0.25), rel=1e-3)
    assert sharpness(noise(1), noise()) == pytest.approx((1, 1), rel=0.05)


def test_what_lies_below_the_top_octave_does_not_count_in_it() -> None:
    x = torch.arange(128.0)
    slow, fast = (torch.sin(2 * torch.pi * f * x).expand(1, 3, 96, 128) for f in (1 / 16, 3 / 8))
    assert sharpness(noise() + slow, noise()).octave == pytest.approx(1, abs=0.01)
    assert sharpness(noise() + fast, noise()).octave > 10
    assert sharpness(noise() + slow, noise()).gradient > 1


def test_a_blur_is_softer_and_a_flat_target_is_no_division_by_zero() -> None:
    blurred = torch.nn.functional.avg_pool2d(noise(), 3, stride=1, padding=1)
    assert max(sharpness(blurred, noise())) < 0.6
    assert sharpness(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)) == pytest.approx((1, 1))


def test_the_table_has_each_group_of_the_samples_that_belong_to_it() -> None:
    facts = ({"task": "vif", "kind": "full", "effects": e} for e in (["haze"], ["haze", "rain"]))
    values = ({"on": {"psnr": p, "gradient": g, "octave": 1.0}} for p, g in ((20.0, 0.5), (30.0, 2.0)))
    lines = table([fact | {"of": value} for fact, value in zip(facts, values, strict=True)]).splitlines()
    assert "| haze | 2 | 25.00 / 1.00 / 1.00 |" in lines
    assert "| rain | 1 | 30.00 / 2.00 / 1.00 |" in lines
