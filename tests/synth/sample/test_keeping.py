"""Targets that keep effects show those and no others."""

import numpy as np
import pytest

from synth.degradations.engine import EffectSpec, damage
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.targets import gradient
from synth.tasks import TASKS
from tests.synth.helpers import photograph, shot


def test_vif_with_equal_images_keeps_an_effect_as_if_it_fell_on_the_fused_image():
    """a = b, equal transmissions and airlight: fusing two hazy images by the clean choices is hazing the fused one."""
    image = photograph(96, 128)
    vif, pair = TASKS["vif"], shot("vif", image, image, seed=3)
    applied = pair.draw([EffectSpec("haze", (0.6, 0.6), (), "a")])
    hazy = pair.damage(applied)["a"].image
    choices = vif.choose(pair.pictures)
    fused_after = gradient.fuse(vif, {"a": hazy, "b": hazy}, choices)
    fused = gradient.fuse(vif, pair.pictures, choices)
    fused_before = damage(fused, applied, pair.views["a"], None)
    assert np.abs(fused_after.astype(int) - fused_before).max() <= 3
    assert np.abs(fused_after.astype(int) - fused).mean() > 10, "and it is hazy"


BUILTIN = {"vif": "synthetic_thermal", "mef": "bracketed", "mff": "refocused"}


def samples(task: str, always: list, count: int = 8, **kinds: float):
    recipe = {
        "name": "t",
        "task": task,
        "seed": 11,
        "samples": 64,
        "sources": [{"builtin": BUILTIN[task]}],
        "crop": {"size": 96, "flip": False},
        "degradations": {"always": always},
        "instructions": {"kinds": kinds},
        "store": ["clean"],
    }
    plan = make_plan(Recipe.model_validate(recipe))
    return [render(plan, index) for index in range(count)]


def kept(sample) -> set[str]:
    return {entry["effect"] for entry in sample.record["degradations"] if entry["asked"] == "keep"}


@pytest.mark.parametrize("task", BUILTIN)
def test_a_target_shows_what_is_kept_and_nothing_of_what_is_removed(task):
    """What is removed leaves no trace: the target is that of a sample on which it never fell, byte for byte."""
    both = samples(task, [{"haze": 0.7}, {"noise": {"sigma": 40}}], partial=1)
    haze_alone = samples(task, [{"haze": 0.7}], keep=1)
    clean = samples(task, [{"haze": 0.7}], full=1)
    for part, hazy, none in zip(both, haze_alone, clean, strict=True):
        assert kept(part) == {"haze"}
        assert np.array_equal(part.target, hazy.target)
        assert np.abs(part.target.astype(float) - none.target).mean() > 3, "and the haze is there"


@pytest.mark.parametrize("task", BUILTIN)
def test_keep_keeps_all_and_full_nothing(task):
    always = [{"haze": 0.5}, {"noise": {"sigma": 30}}]
    everything = samples(task, always, keep=1)
    nothing = samples(task, always, full=1)
    for whole, none in zip(everything, nothing, strict=True):
        assert kept(whole) == {"haze", "noise"}
        assert kept(none) == set()
        rough = np.abs(np.diff(whole.target.astype(float) - none.target, axis=1)).mean()
        assert rough > 8, "the noise is in the target"


def test_what_falls_on_b_alone_is_kept_with_bs_draws():
    always = [{"noise": {"sigma": 30, "images": "b"}}, {"blur": {"sigma": 2, "images": "a"}}]
    for sample in samples("mff", always, keep=1):
        clean = samples("mff", always, full=1)[sample.record["index"]]
        rough = np.abs(np.diff(sample.target.astype(float) - clean.target, axis=1)).mean()
        assert rough > 8


def test_the_dark_frame_of_a_bracket_does_not_darken_the_kept_haze():
    """The kept haze has the fusion's own light: it is as bright as the fused picture, not as either frame."""
    for sample in samples("mef", [{"haze": 0.95}, {"noise": {"sigma": 3}}], partial=1):
        far = sample.target[:20].astype(float)
        assert far.mean() > sample.a[:20].mean() + 20
