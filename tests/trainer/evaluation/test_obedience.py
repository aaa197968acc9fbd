"""What obeys, what ignores, and what does half, on pictures that are known."""

import numpy as np
import pytest

from trainer.evaluation.cases import Case
from trainer.evaluation.obedience import control, nearest, unlike

SIDE = 24


def flat(level: float) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def case(key: str, kind: str, level: float, asked: dict[str, object], **target: float) -> Case:
    """Of one group: a target of one level, and what is asked of each effect (a number: lessened to it)."""
    entries = []
    for effect, what in asked.items():
        ask = {"asked": "lessen", "factor": what} if isinstance(what, float) else {"asked": what}
        entries += [{"effect": effect, "image": image, **ask} for image in ("a", "b")]
    record = {"kind": kind, "group": "0", "degradations": entries, "target": target}
    return Case(key, flat(0), flat(0), "", record, flat(level))


GROUP = [
    case("0", "full", 40, {"rain": "remove", "haze": "remove"}),
    case("1", "partial", 80, {"rain": "keep", "haze": "remove"}),
    case("2", "lessen", 60, {"rain": 0.5, "haze": "remove"}),
]
TARGETS = [40, 80, 60]


def outputs(*levels: float) -> list[np.ndarray]:
    return [flat(level) for level in levels]


@pytest.mark.parametrize(
    ("levels", "obeying"),
    [
        ((40, 80, 60), [1, 1, 1]),
        ((45, 74, 62), [1, 1, 1]),
        ((40, 40, 40), [1, 0, 0]),
        ((100, 100, 100), [0, 0, 0]),  # the untouched inputs
        ((60, 60, 60), [0, 0, 1]),
        ((50, 80, 60), [0, 1, 1]),  # as far from its own as from another
    ],
)
def test_an_output_obeys_where_it_is_nearest_to_its_own_target(levels, obeying):
    rows = nearest(GROUP, outputs(*levels), flat(100))
    assert [row["obeys"] for row in rows] == obeying
    assert {row["chance"] for row in rows} == {1 / 4}


def test_what_asks_for_the_same_picture_is_no_candidate():
    alike = [GROUP[0], case("1", "general", 42, {"rain": "remove"}), case("2", "keep", 90, {"rain": "keep"})]
    rows = nearest(alike, outputs(41, 41, 90), flat(91))  # 2 levels are 42 dB
    assert [(row["key"], row["obeys"], row["chance"]) for row in rows] == [
        ("0", 1, 1 / 3),
        ("1", 1, 1 / 3),
        ("2", 1, 1 / 3),  # the untouched inputs are its own target
    ]
    assert nearest(alike[:2], outputs(0, 0), flat(255)) == []


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0, -0.5])
def test_the_slope_is_the_share_of_the_change_that_was_followed(share):
    done = [100 + share * (level - 60) for level in TARGETS]  # an error that all share cancels
    rows = control(GROUP, outputs(*done))
    assert [row["keys"] for row in rows] == [("0", "1"), ("0", "2"), ("1", "2")]
    for row in rows:
        assert row["along"] / row["asked"] == pytest.approx(share)
        assert row["done"] == pytest.approx(share**2 * row["asked"])


def test_a_pair_says_what_is_asked_otherwise_and_the_factor():
    first, second, third = control(GROUP, outputs(*TARGETS))
    assert [row["effects"] for row in (first, second, third)] == [["rain"]] * 3
    assert [row["factor"] for row in (first, second, third)] == [None, 0.5, None]
    assert [row["kind"] for row in (first, second, third)] == ["partial", "lessen", "lessen"]


def test_an_emphasis_is_something_else_that_is_asked():
    plain, warm = case("0", "full", 40, {"rain": "remove"}), case("1", "full", 80, {"rain": "remove"}, emphasis=0.7)
    assert unlike(plain.record, warm.record) == ["emphasis"]
    lessened = case("2", "lessen", 60, {"rain": 0.5}, emphasis=0.7)
    assert control([plain, lessened], outputs(40, 60))[0]["factor"] is None


def test_an_effect_of_one_image_is_asked_for_by_image():
    a, b = ({"effect": "noise", "image": image, "asked": "remove"} for image in "ab")
    assert unlike({"degradations": [a, b]}, {"degradations": [a, {**b, "asked": "keep"}]}) == ["noise"]


def test_a_case_without_a_truth_is_refused():
    with pytest.raises(ValueError, match="without a target"):
        control([Case("0", flat(0), flat(0), "", {})], outputs(0))
