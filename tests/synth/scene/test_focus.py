"""Where the lenses of a pair are focused."""

import numpy as np
import pytest

from synth.scene.scene import CLOSE_RANGE_M, DEPTH_RANGE_M, Distances, Light, draw_scene
from synth.streams import Streams
from synth.tasks import TASKS

DEPTH = np.linspace(1, 0.1, 200, dtype=np.float32)[:, None].repeat(100, 1)


def drawn(capture, depth=lambda: DEPTH):
    light = Light(0.8, 0.2, None, 1.0, 0.0, {"a": 1, "b": 1}, "equal")
    return draw_scene(capture, Streams(0, 0), 100, Distances(depth, "proxy"), light)


def test_each_shot_is_focused_at_its_end_of_the_scene():
    scene = drawn(TASKS["mff"].capture)
    land = scene.depth[scene.depth < 0.95 * scene.depth_range_m]  # what is farther is sky
    near, far = (np.quantile(land, share) for share in (0.1, 0.9))
    assert scene.focus_m("a") == pytest.approx(near, rel=0.02)
    assert scene.focus_m("b") == pytest.approx(far, rel=0.02)


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_other_lenses_are_not_known_to_focus_and_nobody_looks_at_the_depth(task):
    def unasked():
        raise AssertionError("the depth was looked at")

    scene = drawn(TASKS[task].capture, unasked)
    assert scene.focus_m("a") is None
    assert DEPTH_RANGE_M[0] <= scene.depth_range_m <= DEPTH_RANGE_M[1]


def test_the_fusion_is_sharp_everywhere_in_the_same_scene():
    """What a wide aperture blurs is near: the range is of metres, and that of the fusion is the pair's own."""
    pair, fusion = drawn(TASKS["mff"].capture), drawn(TASKS["mff"].capture.of_fusion)
    assert fusion.depth_range_m == pair.depth_range_m
    assert CLOSE_RANGE_M[0] <= pair.depth_range_m <= CLOSE_RANGE_M[1]
    assert fusion.focus_m("a") is None
