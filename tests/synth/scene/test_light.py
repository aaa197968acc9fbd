"""The relative exposure of a bracket, and what clipping hid."""

import numpy as np
import pytest

from synth.images.pixels import to_bytes, to_linear
from synth.scene.backdrop import Backdrop
from synth.scene.light import unclip
from synth.tasks import TASKS
from tests.synth.helpers import photograph

MEF = TASKS["mef"].capture
LINEAR = to_linear(photograph(192, 256))


@pytest.mark.parametrize("stops", [3, 5, 7])
def test_the_gain_is_the_ratio_of_the_exposures(stops):
    dark, bright = to_bytes(LINEAR * np.float32(2 / 2**stops)), to_bytes(LINEAR * 2)
    light = Backdrop(MEF, {"a": dark, "b": bright}).light
    assert np.log2(light.gain["a"]) == pytest.approx(-stops, abs=0.15)
    assert (light.gain["b"], light.gain_kind) == (1.0, "measured")


def test_swapped_frames_swap_their_gains():
    dark, bright = to_bytes(LINEAR / 8), to_bytes(LINEAR * 2)
    straight, swapped = (
        Backdrop(MEF, {"a": dark, "b": bright}).light,
        Backdrop(MEF, {"a": bright, "b": dark}).light,
    )
    assert swapped.gain == {"a": 1.0, "b": pytest.approx(straight.gain["a"], rel=0.01)}
    assert swapped.white == straight.white


def test_frames_that_cannot_be_compared_are_assumed_to_be_5_7_stops_apart():
    light = Backdrop(MEF, {"a": np.zeros((64, 64, 3), np.uint8), "b": np.full((64, 64, 3), 255, np.uint8)}).light
    assert light.gain_kind == "assumed"
    assert np.log2(light.gain["a"]) == pytest.approx(-5.7)


@pytest.mark.parametrize("task", ["vif", "mff"])
def test_other_pairs_share_one_exposure(task):
    light = Backdrop(TASKS[task].capture, {"a": to_bytes(LINEAR / 8), "b": to_bytes(LINEAR)}).light
    assert light.gain == {"a": 1.0, "b": 1.0}
    assert light.gain_kind == "equal"


def test_clipped_white_holds_the_light_that_the_dark_frame_saw():
    radiance = LINEAR * 4
    dark, bright = to_bytes(radiance / 16), to_bytes(radiance)
    restored = unclip(bright, dark, 1.0, 1 / 16)
    white = bright == 255
    assert white.mean() > 0.1
    assert restored[white] == pytest.approx(np.maximum(radiance[white], 1), rel=0.1)
    telling = bright.max(axis=2) < 235
    assert np.array_equal(restored[telling], to_linear(bright)[telling])
    assert np.array_equal(to_bytes(restored)[white], bright[white]), "what was white is recorded as white again"


def test_what_one_channel_clipped_keeps_the_hue_of_the_shot_that_did_not():
    """A sky that is too bright in blue alone: by channel it would turn toward cyan."""
    radiance = np.broadcast_to(np.float32([0.5, 0.8, 1.6]), (40, 40, 3)).copy()
    radiance[:, :20] *= np.linspace(0.4, 1, 20, dtype=np.float32)[None, :, None]
    dark, bright = to_bytes(radiance / 16), to_bytes(radiance)
    restored = unclip(bright, dark, 1.0, 1 / 16)
    assert restored / radiance == pytest.approx(np.ones_like(radiance), abs=0.12)
    steps = np.abs(np.diff(restored[:, :20, 2].mean(axis=0)) / np.diff(radiance[:, :20, 2].mean(axis=0)) - 1)
    assert steps.max() < 0.6, "it comes in without an edge"


def test_crushed_black_stays_black_and_gets_its_shade_back():
    radiance = LINEAR * 2
    dark, bright = to_bytes(radiance / 256), to_bytes(radiance)
    restored = unclip(dark, bright, 1 / 256, 1.0)
    assert (np.abs(to_bytes(restored).astype(int) - dark) <= 1).all()
