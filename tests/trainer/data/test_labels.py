"""What an effect head is to find in a record."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.data.labels import labels_of

RECORD = {
    "degradations": [
        {"effect": "haze", "image": "a", "severity": 0.6},
        {"effect": "haze", "image": "b", "severity": 0.6},
        {"effect": "noise", "image": "b", "severity": None},
        {"effect": "exposure", "image": "a", "severity": 0.3, "way": "dark"},
        {"effect": "stripes", "image": "b", "severity": 0.0},
    ]
}
NAMES = ("haze", "noise", "exposure.dark", "exposure.bright", "stripes")


def test_severities_stand_by_image_and_effect() -> None:
    found = labels_of(RECORD, NAMES)
    nan = math.nan
    expected = torch.tensor([[0.6, 0, 0.3, 0, 0], [0.6, nan, 0, 0, 0]])
    torch.testing.assert_close(found, expected, equal_nan=True)


@pytest.mark.parametrize(("names", "expected"), [(("exposure",), 0.3), (("exposure.bright",), 0.0), ((), None)])
def test_a_name_without_a_way_stands_for_all(names: tuple[str, ...], expected: float | None) -> None:
    found = labels_of(RECORD, names)
    assert found.shape == (2, len(names))
    if expected is not None:
        assert found[0, 0] == pytest.approx(expected)


def test_a_record_without_damage_has_none() -> None:
    assert not labels_of({}, NAMES).any()


def test_without_a_head_a_record_may_be_as_it_is() -> None:
    assert labels_of({"degradations": [{"effect": "one of another program"}]}, ()).shape == (2, 0)
