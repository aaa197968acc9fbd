"""What targets did wrong once: people lost in white, blotches in skies, edges of padding."""

import cv2
import numpy as np
import pytest

from synth.images.pixels import Bytes, Floats, luma
from synth.targets import gradient
from synth.targets.activity import unit_luma
from synth.targets.focus import focus, gains
from synth.targets.gradient import Pictures
from synth.tasks import TASKS
from tests.synth.helpers import photograph

HEIGHT, WIDTH = 160, 200
BODY = np.s_[70:120, 95:110]


def fused(task: str, a: Bytes, b: Bytes) -> Bytes:
    pictures: Pictures = {"a": a, "b": b}
    return gradient.fuse(TASKS[task], pictures, TASKS[task].choose(pictures))


def steps(plane: Floats) -> np.ndarray:
    """Differences to the right and down, (2, H-1, W-1)."""
    return np.stack([np.diff(plane, axis=1)[:-1], np.diff(plane, axis=0)[:, :-1]])


def kept(infrared: Bytes, result: Bytes, where: np.ndarray) -> float:
    """The share of infrared's gradients that a target has along them."""
    want, got = steps(unit_luma(infrared)), steps(unit_luma(result))
    return float(np.sum(want * got, where=where[:-1, :-1]) / np.sum(want * want, where=where[:-1, :-1]))


def behind(level: int) -> tuple[Bytes, Bytes, np.ndarray]:
    """A picture with white of a level in its middle, infrared with a body behind it, and where it is white."""
    visible = photograph(HEIGHT, WIDTH) // 2
    white = np.zeros((HEIGHT, WIDTH), bool)
    white[40:140, 50:150] = True
    visible[white] = level
    infrared = np.full((HEIGHT, WIDTH), 90, np.uint8)
    infrared[BODY] = 210
    return visible, cv2.GaussianBlur(infrared, (0, 0), 1), white


@pytest.mark.parametrize("level", [255, 240])
def test_a_body_shows_where_the_visible_image_is_white(level):
    visible, infrared, white = behind(level)
    result = fused("vif", visible, infrared)
    assert kept(infrared, result, white) > 0.5
    tones = luma(result).astype(int)
    assert tones[80:110, 99:106].mean() > tones[80:110, 83:91].mean() + 50
    assert tones[BODY].mean() > 200, "and it is the bright one"


def test_a_lamp_stays_white_where_infrared_is_flat():
    visible, _, white = behind(255)
    result = fused("vif", visible, np.full((HEIGHT, WIDTH), 90, np.uint8))
    assert (luma(result)[white] >= 254).all()


def day(sky: int) -> tuple[Bytes, Bytes, np.ndarray]:
    """Ground under a white sky, of which infrared sees a level and clouds in it; and where it is."""
    visible = photograph(HEIGHT, WIDTH) // 2
    visible[:70] = 255
    infrared = luma(photograph(HEIGHT, WIDTH)) // 4 + 120
    clouds = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (70, WIDTH)).astype(np.float32), (0, 0), 4)
    infrared[:70] = sky + np.clip(clouds / clouds.std(), -2, 2) * 8
    above = np.zeros((HEIGHT, WIDTH), bool)
    above[5:60] = True
    return visible, infrared, above


def test_only_before_a_cold_sky_is_infrared_held_back():
    shares = {}
    for level in (30, 150):
        visible, infrared, above = day(level)
        result = fused("vif", visible, infrared)
        shares[level] = kept(infrared, result, above)
    assert shares[30] < 0.4
    assert shares[150] > 0.6
    visible, infrared, above = day(30)
    assert luma(fused("vif", visible, infrared))[above].mean() > 250, "a cold sky stays white"


def test_a_cold_car_behind_headlights_is_no_sky():
    visible, infrared, white = behind(255)
    infrared = 255 - infrared
    infrared[BODY] = 40
    assert kept(infrared, fused("vif", visible, infrared), white) > 0.5


def test_a_body_is_as_bright_beside_a_warm_wall_as_without_it():
    visible = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    bright = []
    for wall in (60, 150):
        infrared = np.full((HEIGHT, WIDTH), 60, np.uint8)
        infrared[40:130, 60:140] = wall
        infrared[BODY] = 220
        bright.append(luma(fused("vif", visible, infrared))[BODY].mean())
    assert bright[1] > bright[0] - 12
    assert bright[1] > 130


@pytest.mark.parametrize("level", [0, 255])
def test_padding_of_infrared_leaves_no_edge(level):
    visible = np.full((HEIGHT, WIDTH, 3), (90, 100, 110), np.uint8)
    infrared = np.full((HEIGHT, WIDTH), level, np.uint8)
    infrared[10:-10, 14:-14] = 120
    infrared[BODY] = 220
    result = luma(fused("vif", visible, infrared)).astype(int)
    rim = np.ones((HEIGHT, WIDTH), bool)
    rim[30:-30, 34:-34] = False
    assert np.abs(result - luma(visible))[rim].max() <= 2
    assert result[BODY].mean() > 130


def test_equal_images_with_white_and_a_frame_give_themselves_back():
    image = photograph(HEIGHT, WIDTH, False).copy()
    image[40:90, 60:160] = 255
    image[:6] = image[-6:] = 0
    image[:, :6] = image[:, -6:] = 0
    for task in TASKS:
        assert np.abs(fused(task, image, image).astype(int) - image).max() <= 1


def two_shots(gain: float, noise: float = 2.0) -> tuple[Bytes, Bytes]:
    """A flat sky over ground that is sharp in a at the left and in b at the right; b is brighter by a gain."""
    sharp = photograph(HEIGHT, WIDTH) // 2 + 40
    sharp[:90] = (90, 120, 180)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    a, b = sharp.copy(), sharp.copy()
    a[90:, 100:], b[90:, :100] = soft[90:, 100:], soft[90:, :100]
    rng = np.random.default_rng(1)
    shots = (x * g + rng.normal(0, noise, x.shape) for x, g in ((a, 1.0), (b, gain)))
    first, second = (np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in shots)
    return first, second


@pytest.mark.parametrize("gain", [1.0, 1.05])
def test_a_flat_sky_has_no_blotches(gain):
    a, b = two_shots(gain)
    lean = focus(unit_luma(a), unit_luma(b))[5:70]
    assert np.mean(np.diff(np.sign(lean), axis=1) != 0) < 0.02, "one border, and no islands"
    smooth = cv2.GaussianBlur(luma(fused("mff", a, b)).astype(np.float32), (0, 0), 4)[10:65, 10:-10]
    assert np.ptp(smooth) < 2.5


def test_exposures_are_matched_half_way_and_equal_ones_left_alone():
    a, b = two_shots(1.06, 0)
    first, second = gains(a, b)
    assert first / second == pytest.approx(1.06, rel=0.01)
    assert (gains(b, a)[0] == second).all()
    assert (gains(b, a)[1] == first).all()
    for gain in gains(*two_shots(1.0, 0)):
        assert (gain == 1).all()


def test_swapping_shots_of_unequal_exposure_changes_nothing():
    a, b = two_shots(1.05)
    assert np.array_equal(fused("mff", a, b), fused("mff", b, a))
