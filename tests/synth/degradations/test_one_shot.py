"""What cameras on one rig share, and what two shots do not."""

from dataclasses import asdict

import numpy as np
import pytest

from synth import degrade
from synth.degradations import effects
from synth.degradations.defocus import INFRARED_SPREAD
from synth.degradations.motion import kernel, path
from synth.degradations.settings import parse_effect
from synth.sample.shot import Shot
from tests.synth.helpers import photograph, shot

A, B = photograph(96, 128), photograph(96, 128, colour=False)


def drawn(task: str, effect: str, settings, seed: int = 0):
    """The shot, and what was drawn for a and for b, their severities included."""
    of: Shot = shot(task, A, B if task == "vif" else A // 2, seed)
    one, two = of.draw([parse_effect({effect: settings})])
    assert (one.image, two.image) == ("a", "b")
    return one, two


@pytest.mark.parametrize("seed", range(12))
def test_one_shot_shakes_along_one_path(seed):
    one, two = drawn("vif", "motion", {"severity": [0.2, 0.9]}, seed)
    assert one.severity == two.severity
    assert {k: v for k, v in asdict(one.params).items() if k != "lamps"} == {
        k: v for k, v in asdict(two.params).items() if k != "lamps"
    }
    assert two.params.lamps == 1, "infrared has none"
    assert np.array_equal(kernel(path(one.params)), kernel(path(two.params)))


@pytest.mark.parametrize("task", ["mef", "mff"])
@pytest.mark.parametrize("effect", ["motion", "defocus"])
def test_two_shots_are_drawn_each_by_itself_as_ever(task, effect):
    """The streams are those of each image, as they were before one shot was one."""
    one, two = drawn(task, effect, {"severity": [0.2, 0.9]})
    assert one.severity != two.severity
    of = shot(task, A, A // 2)
    for item in (one, two):
        rng = of.streams(f"{effect}.{item.image}.draw")
        assert effects()[effect].draw(item.severity, of.views[item.image], rng, {}) == item.params


def test_a_recipe_may_say_otherwise():
    one, two = drawn("vif", "motion", {"severity": [0.2, 0.9], "images": "both"})
    assert (one.severity, one.params.angle) != (two.severity, two.params.angle)
    alone = shot("vif", A, B).draw([parse_effect({"motion": {"images": "b"}})])
    assert [item.image for item in alone] == ["b"]


def test_lenses_of_one_shot_are_focused_together_and_an_infrared_one_differs_a_little():
    ratios = []
    for seed in range(60):
        one, two = drawn("vif", "defocus", {"severity": [0.2, 0.9]}, seed)
        assert one.severity == two.severity
        ratios.append(two.params.radius / one.params.radius)
    assert all(1 / INFRARED_SPREAD <= ratio <= INFRARED_SPREAD for ratio in ratios)
    assert np.std(ratios) > 0.05
    one, two = drawn("vif", "defocus", {"radius": 4})
    assert one.params.radius == two.params.radius == 4, "what is set in pixels is in pixels"


def test_every_way_in_draws_one_shot_alike():
    entries = degrade(A, B, {"motion": [0.2, 0.9], "defocus": 0.5}, task="vif", seed=3).record["degradations"]
    paths = [entry["params"] for entry in entries if entry["effect"] == "motion"]
    assert paths[0]["seed"] == paths[1]["seed"]


@pytest.mark.parametrize("name", [n for n, effect in effects().items() if n not in ("motion", "defocus")])
def test_no_other_effect_knows_of_one_shot(name):
    effect = effects()[name]
    assert effect.images_of(simultaneous=True) == effect.images_of(simultaneous=False) == effect.images
