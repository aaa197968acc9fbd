"""Two images, one scene: what both see of it is the same, and what one of them sees less of is recorded."""

import numpy as np
import pytest

from synth import degrade
from synth.degradations import effects
from synth.degradations.base import Stage
from tests.synth.helpers import photograph

SCENE = [name for name, effect in effects().items() if effect.stage is Stage.SCENE]
A, B = photograph(96, 128), photograph(96, 128, colour=False)
SHARES = {"optical_depth_share"}  # of infrared, where an effect names it so


@pytest.mark.parametrize("name", SCENE)
@pytest.mark.parametrize("task", ["vif", "mef", "mff"])
def test_both_images_get_the_same_draw_but_for_what_is_their_own(name, task):
    b = B if task == "vif" else A // 2
    record = degrade(A, b, {name: 0.6}, task=task, seed=5).record
    one, two = (entry["params"] for entry in record["degradations"])
    differ = {key for key in one if one[key] != two[key]}
    if task == "vif":
        assert differ <= {"airlight", "lamp_gain", "seed"} | {key for key in one if key.endswith("share")}
        if "seed" in one and effects()[name].name in ("rain", "snow"):
            assert one["seed"] == two["seed"], "one shot: the same streaks and flakes"
    else:
        assert differ <= {"seed"}
        if name in ("rain", "snow"):
            assert differ == {"seed"}, "two shots: streaks and flakes of their own"


@pytest.mark.parametrize("name", SCENE)
def test_infrared_sees_the_recorded_share_and_less_of_it(name):
    record = degrade(A, B, {name: 0.8}, task="vif", seed=2).record
    one, two = (entry["params"] for entry in record["degradations"])
    shares = [key for key in one if key.endswith("share")]
    assert shares, "a scene effect records what infrared sees of it"
    for key in shares:
        assert one[key] == 1
        assert 0 < two[key] < 1


@pytest.mark.parametrize("name", SCENE)
def test_a_bracket_shows_the_same_radiance_after_division_by_gain(name):
    """A flat dark scene: what an effect adds, divided by the gain of each frame, is the same in both."""
    from synth.images.pixels import to_bytes, to_linear

    radiance = np.full((96, 128, 3), 0.02, np.float32)
    radiance[:24] = 0.8
    radiance[:, :8] = 0.3
    bright, dark = to_bytes(radiance), to_bytes(radiance / 8)
    out = degrade(dark, bright, {name: 0.9}, task="mef", seed=3)
    gain = out.record["scene"]["gain"]
    assert gain["a"] == pytest.approx(1 / 8, rel=0.1)
    low = slice(40, 96), slice(16, 128)
    added = [float(to_linear(x)[low].mean() / gain[n] - 0.02) for n, x in (("a", out.a), ("b", out.b))]
    assert added[1] > 0.002
    assert added[0] == pytest.approx(added[1], rel=0.25)
