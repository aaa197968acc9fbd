"""The closed form against its own equations and against a sparse solver, and what a target must not do."""

import cv2
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from synth.images import exposure_fusion as exposure
from synth.images.exposure_fusion import mertens
from synth.images.pixels import Bytes, in_colour, luma, to_bytes, to_linear
from synth.pairs.align import align
from synth.targets import gradient
from synth.targets.activity import unit_luma
from synth.targets.colour import recolour
from synth.targets.focus import focus
from synth.targets.gradient import Pictures
from synth.targets.poisson import solve
from synth.targets.target import kind_for, make_target
from synth.targets.thermal import lift
from synth.tasks import TASKS
from tests.synth.helpers import photograph

RNG = np.random.default_rng(0)


def fused(task: str, a: Bytes, b: Bytes) -> Bytes:
    pictures: Pictures = {"a": a, "b": b}
    return gradient.fuse(TASKS[task], pictures, TASKS[task].choose(pictures))


def refocused(height: int = 120, width: int = 160) -> tuple[Bytes, Bytes, Bytes]:
    """A photograph, and it with its right and with its left half out of focus."""
    sharp = photograph(height, width)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    a, b = sharp.copy(), sharp.copy()
    a[:, width // 2 :], b[:, : width // 2] = soft[:, width // 2 :], soft[:, : width // 2]
    return sharp, a, b


def pair_of(task: str, height: int = 120, width: int = 160) -> tuple[Bytes, Bytes]:
    """A pair of a task, made of one photograph; the infrared one is its blue channel turned around."""
    if task == "mff":
        return refocused(height, width)[1:]
    image = photograph(height, width)
    if task == "vif":
        return image // 3, 255 - image[:, :, 2]
    return to_bytes(to_linear(image) / 6), to_bytes(to_linear(image) * 4)


def difference(n: int) -> sp.csr_array:
    return sp.csr_array(sp.diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n)))


@pytest.mark.parametrize(("h", "w"), [(16, 16), (15, 22), (1, 9)])
def test_the_closed_form_is_the_least_squares_solution(h, w):
    """Against a sparse direct solver on explicit difference matrices."""
    dx, dy = RNG.normal(size=(h, w - 1)).astype("f4"), RNG.normal(size=(h - 1, w)).astype("f4")
    u = RNG.uniform(size=(h, w)).astype("f4")
    over_x = sp.kron(sp.eye_array(h), difference(w))
    over_y = sp.kron(difference(h), sp.eye_array(w)) if h > 1 else sp.csr_array((0, w))
    left = over_x.T @ over_x + over_y.T @ over_y + 0.05 * sp.eye_array(h * w)
    right = over_x.T @ dx.ravel() + over_y.T @ dy.ravel() + 0.05 * u.ravel()
    assert solve(dx, dy, u, 0.05).ravel() == pytest.approx(spsolve(left.tocsc(), right), abs=1e-4)


def test_the_normal_equations_hold_on_a_picture():
    u = luma(photograph(180, 240)).astype(np.float32) / 255
    dx, dy = np.diff(u, axis=1) * 1.7, np.diff(u, axis=0) * 1.7
    f = solve(dx, dy, u, 0.05)
    residual = 0.05 * (f - u)
    gx, gy = np.diff(f, axis=1) - dx, np.diff(f, axis=0) - dy
    residual[:, :-1] -= gx
    residual[:, 1:] += gx
    residual[:-1] -= gy
    residual[1:] += gy
    assert np.abs(residual).max() < 1e-4


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("colour", [True, False])
def test_equal_images_give_that_image_back(task, colour):
    image = photograph(90, 121, colour)
    result = fused(task, image, image)
    assert result.shape == image.shape
    assert np.abs(result.astype(int) - image).max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    task=st.sampled_from(list(TASKS)),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    colours=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 99),
)
def test_any_size_grey_or_colour_stays_in_the_range_of_its_sources(task, height, width, colours, seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.integers(0, 256, 2))
    a, b = (rng.integers(low, high + 1, (height, width, 3)).astype(np.uint8) for _ in range(2))
    colours = (colours[0], colours[1] and task != "vif")  # infrared has none
    a, b = (image if colour else luma(image) for image, colour in zip((a, b), colours, strict=True))
    result = fused(task, a, b)
    assert result.shape == ((height, width, 3) if any(colours) else (height, width))
    bright = [luma(image).astype(int) for image in (a, b, result)]
    assert min(x.min() for x in bright[:2]) - 1 <= bright[2].min()
    assert bright[2].max() <= max(x.max() for x in bright[:2]) + 1


@pytest.mark.parametrize("task", TASKS)
def test_a_target_is_at_home_in_the_range_of_its_pair(task):
    a, b = (image // 2 + 60 for image in pair_of(task))
    bright = luma(fused(task, a, b)).astype(int)
    assert min(luma(a).min(), luma(b).min()) - 1 <= bright.min()
    assert bright.max() <= max(luma(a).max(), luma(b).max()) + 1


def test_mff_takes_each_half_from_where_it_is_sharp():
    sharp, a, b = refocused()
    error = np.abs(fused("mff", a, b).astype(int) - sharp)
    assert error.mean() < 0.1 * np.abs(a.astype(int) - sharp).mean()
    assert error[:, :60].max() <= 12, "far from the border of focus it is the sharp image"


@pytest.mark.parametrize("colour", [True, False])
def test_swapping_the_images_of_an_mff_pair_changes_nothing(colour):
    a, b = refocused(111, 143)[1:]
    a, b = (a, b) if colour else (luma(a), luma(b))
    assert np.array_equal(fused("mff", a, b), fused("mff", b, a))


def test_focus_has_no_islands():
    """On sharpness that is broken by flat parts and noise, each half is decided as one."""
    _, a, b = refocused()
    noisy = [np.clip(luma(x).astype(int) + RNG.normal(0, 2, (120, 160)), 0, 255).astype(np.uint8) for x in (a, b)]
    near = focus(*(unit_luma(x) for x in noisy))
    assert (near[:, :68] > 0).mean() > 0.97
    assert (near[:, 92:] < 0).mean() > 0.97


def test_vif_keeps_the_visible_colour_and_shows_the_hot_body():
    visible = np.full((64, 64, 3), (90, 60, 40), np.uint8)
    infrared = np.full((64, 64), 30, np.uint8)
    infrared[20:40, 20:40] = 220
    result = fused("vif", visible, infrared).astype(int)
    assert luma(result[28:32, 28:32].astype(np.uint8)).mean() > luma(visible)[0, 0] + 50
    assert np.abs(result[:8, :8] - visible[0, 0]).max() <= 3
    red, green, blue = result[28:32, 28:32].reshape(-1, 3).mean(0)
    assert (red - green) / (green - blue) == pytest.approx(30 / 20, abs=0.1), "the hue is the visible image's"
    assert red - green >= 28


@pytest.mark.parametrize("sigma", [2, 5, 8])
def test_flat_infrared_with_noise_leaves_flat_regions_of_the_visible_image_flat(sigma):
    visible = np.full((128, 160, 3), (80, 90, 100), np.uint8)
    visible[:, 80:] = photograph(128, 80)
    noise = RNG.normal(100, sigma, (128, 160))
    flat = luma(fused("vif", visible, np.clip(np.rint(noise), 0, 255).astype(np.uint8)))[8:-8, 8:64]
    assert flat.std() < 0.15 * sigma
    naive = luma(np.maximum(in_colour(np.clip(noise, 0, 255).astype(np.uint8)), visible))[8:-8, 8:64]
    assert flat.std() < 0.2 * naive.std()


def test_a_night_that_is_grey_in_infrared_stays_a_night():
    """A street of one warmth lifts no darkness; a body on it shines, and a lamp keeps its light and colour."""
    visible = np.full((96, 128, 3), (10, 12, 18), np.uint8)
    visible[10:20, 20:30] = (250, 200, 120)
    infrared = np.full((96, 128), 130, np.uint8)
    infrared[50:80, 90:100] = 230
    result = fused("vif", visible, infrared).astype(int)
    assert luma(result.astype(np.uint8))[40:90, 10:60].mean() < 30, "the maximum of both would be 130"
    assert luma(result.astype(np.uint8))[60:70, 93:97].mean() > 80
    assert np.abs(result[13:17, 23:27] - visible[15, 25]).max() < 25


def test_infrared_lifts_no_pixel_above_itself_and_nothing_where_it_is_flat():
    visible, infrared = (unit_luma(x) for x in pair_of("vif"))
    lifted = lift(visible, infrared)
    assert (lifted >= 0).all()
    assert (lifted[lifted > 0] + visible[lifted > 0] <= infrared[lifted > 0] + 1e-6).all()
    assert lift(visible, np.full_like(visible, 0.9)).max() < 1e-6


@pytest.mark.parametrize("task", TASKS)
def test_a_constant_added_to_one_image_leaves_gradients_alone(task):
    both = photograph(160, 80, False) // 2
    a, b = both[:80], both[80:]
    before, after = TASKS[task].choose({"a": a, "b": b}), TASKS[task].choose({"a": a, "b": b + np.uint8(90)})
    for name in ("a", "b"):
        moved = np.abs(before.gradients[name] - after.gradients[name]) > 0.01
        assert moved.mean() < 2e-3, "but for ties that rounding decides"


@pytest.mark.parametrize("task", ["vif", "mef"])
def test_no_halo_around_a_step_that_both_images_see(task):
    """A step of different height in each image stays a step: beside it nothing is brighter or darker than far away."""
    a, b = np.full((80, 120), 60, np.uint8), np.full((80, 120), 90, np.uint8)
    a[:, 60:], b[:, 60:] = 160, 200
    row = fused(task, a, b)[40].astype(int)
    most = 20 if task == "vif" else 6  # of vif: infrared is told by how it differs from its surroundings
    assert row[:58].min() >= row[:30].min() - most
    assert row[62:].max() <= row[90:].max() + most


@pytest.mark.parametrize("task", TASKS)
def test_hues_are_those_of_the_images(task):
    """At each coloured pixel, the target's hue lies within a few degrees of one of the sources'."""
    image = photograph(120, 160)
    over = (to_linear(image) * 1.5).clip(0, 1)
    a, b = (to_bytes(to_linear(image) / 2), to_bytes(over)) if task == "mef" else pair_of(task)
    result = fused(task, a, b)

    def hue(image: Bytes) -> np.ndarray:
        lab = cv2.cvtColor(in_colour(image).astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb)[:, :, 1:] - 0.5
        return np.degrees(np.arctan2(lab[:, :, 0], lab[:, :, 1]))

    coloured = np.ptp(result.astype(int), axis=2) > 25
    sources = [hue(image) for image in ((a,) if task == "vif" else (a, b))]
    off = np.min([np.abs((hue(result) - h + 180) % 360 - 180) for h in sources], axis=0)
    assert np.percentile(off[coloured], 95) < 10


def test_choices_of_the_clean_pair_are_not_moved_by_kept_rain():
    """Streaks on both images show in the fusion, but what was chosen under them stays."""
    a, b = pair_of("vif")
    choices = TASKS["vif"].choose({"a": a, "b": b})
    streaks = np.zeros((120, 160), np.uint8)
    streaks[:, ::9] = 60
    wet = [cv2.add(x, np.dstack([streaks] * 3) if x.ndim == 3 else streaks) for x in (a, b)]
    kept = gradient.fuse(TASKS["vif"], {"a": wet[0], "b": wet[1]}, choices)
    clean = gradient.fuse(TASKS["vif"], {"a": a, "b": b}, choices)
    change = luma(kept).astype(int) - luma(clean)
    assert change[:, ::9].mean() > 15, "the streaks are kept"
    between = np.delete(change, np.r_[0:160:9, 1:160:9, 8:160:9], axis=1)
    assert np.abs(between).mean() < 0.5 * change[:, ::9].mean(), "and nothing else is brought in"


def test_mertens_takes_the_well_exposed_of_two_flat_images():
    black, grey = np.full((64, 64, 3), 2, np.uint8), photograph(64, 64)
    assert np.abs(mertens(black, grey).astype(int) - grey).mean() < 25


def test_exposure_fusion_is_opencvs_where_no_floor_decides(monkeypatch):
    """With the floors off, one pyramid of the difference equals OpenCV's two, on pictures with colour everywhere."""
    for name in ("CONTRAST_FLOOR", "SATURATION_FLOOR", "EXPOSED_SHARE"):
        monkeypatch.setattr(exposure, name, 1e-12)
    a, b = RNG.integers(0, 256, (2, 70, 101, 3)).astype(np.uint8)
    theirs = cv2.createMergeMertens().process([a, b]) * 255
    assert exposure.blend(a, b, exposure.choose(a, b)) == pytest.approx(theirs, abs=0.2)


def test_a_clipped_colour_is_that_of_the_darker_shot():
    """Orange and blue, whose red or blue channel the longer exposure has clipped, keep their hue in both targets."""
    scene = np.full((64, 64, 3), 30, np.float32)  # grey levels of the short exposure
    scene[8:28, 8:28], scene[36:56, 36:56] = (120, 70, 30), (40, 80, 120)
    a, b = ((scene * gain).clip(0, 255).astype(np.uint8) for gain in (1, 3))
    assert b[20, 20].tolist() == [255, 210, 90]
    for made in (fused("mef", a, b), make_target("exposure", TASKS["mef"], {"a": a, "b": b}, None)[0]):
        for y, x in ((18, 18), (46, 46)):
            told, true = (picture[y, x].astype(float) - picture[y, x].mean() for picture in (made, a))
            away = np.degrees(np.arccos(told @ true / np.linalg.norm(told) / np.linalg.norm(true)))
            assert away < 4, (y, x, away)


def test_colours_are_left_where_none_is_lost():
    a, b = (np.full((8, 8, 3), value, np.uint8) for value in ((40, 20, 10), (190, 90, 50)))
    assert exposure.recoloured(b, a) is b
    white = np.full((8, 8, 3), 255, np.uint8)
    assert exposure.recoloured(white, white) is white
    assert exposure.recoloured(white, a[..., 0]) is white


def test_a_new_luma_keeps_the_hue_where_the_saturation_must_fall():
    picture = np.full((4, 4, 3), (0.9, 0.3, 0.1), np.float32)
    bright = recolour(np.full((4, 4), 0.9, np.float32), picture)[0, 0].astype(float)
    own = luma(picture)[0, 0]
    assert luma(bright.astype(np.uint8)[None, None])[0, 0] == pytest.approx(0.9 * 255, abs=1.5)
    before, after = picture[0, 0] - own, bright - 0.9 * 255
    assert after / np.linalg.norm(after) == pytest.approx(before / np.linalg.norm(before), abs=0.05)


@pytest.mark.parametrize("move", [(0, 0), (2, -1), (-3, 4)])
def test_brackets_that_are_off_by_pixels_are_laid_over_each_other(move):
    right, down = move
    whole = photograph(200, 260)
    here = whole[20:180, 20:240]
    there = whole[20 + down : 180 + down, 20 + right : 240 + right]
    a, b = to_bytes(to_linear(here) / 4), to_bytes(np.minimum(to_linear(there) * 3, 1))
    moved, found = align(a, b)
    assert found == move
    assert moved.shape == b.shape
    inside = np.s_[8:-8, 8:-8]
    assert np.array_equal(moved[inside], to_bytes(np.minimum(to_linear(here) * 3, 1))[inside])


def test_what_is_far_off_is_left_where_it_is():
    a, b = photograph(120, 160), np.ascontiguousarray(photograph(120, 160)[::-1, ::-1])
    moved, found = align(a, b)
    assert max(map(abs, found)) <= 8
    assert moved.shape == b.shape


def test_a_list_of_targets_is_an_order_of_preference():
    assert kind_for(["given", "gradient"], has_gt=True) == "given"
    assert kind_for(["given", "gradient"], has_gt=False) == "gradient"
    assert kind_for(["given"], has_gt=False) is None


def test_each_kind_of_target_says_what_it_is():
    gt = photograph(64, 64)
    a, b = pair_of("mef", 64, 64)
    image, record = make_target("given", TASKS["mef"], {"a": a, "b": b}, gt)
    assert np.array_equal(image, gt)
    assert record == {"kind": "given"}
    for kind in ("exposure", "gradient"):
        image, record = make_target(kind, TASKS["mef"], {"a": a, "b": b}, None)
        assert image.shape == (64, 64, 3)
        assert record["kind"] == kind


def stops_apart(scene: np.ndarray, stops: float) -> tuple[np.ndarray, np.ndarray]:
    """A scene as two frames so many stops under and over it, clipped."""
    return to_bytes(scene * 2**-stops), to_bytes(np.minimum(scene * 2**stops, 1))


@pytest.mark.parametrize("kind", ["gradient", "exposure"])
def test_what_a_frame_of_a_bracket_shows_is_neither_black_nor_white(kind):
    light = to_linear(photograph(150, 200))
    ramp = np.linspace(1, 0.02, 200, dtype=np.float32)[None, :, None]
    a, b = stops_apart(light * ramp, 3)
    a, b = (cv2.GaussianBlur(image, (3, 3), 0.5) for image in (a, b))
    made, _ = make_target(kind, TASKS["mef"], {"a": a, "b": b}, None)
    shown = np.maximum(luma(a), luma(b)) > 45
    assert np.mean((luma(made) <= 16) & shown) < 0.005
    assert np.mean((made.max(2) >= 254) & (np.minimum(a.max(2), b.max(2)) <= 235)) < 0.02
    plain = mertens(a, b)
    ends = np.mean((luma(plain) <= 16) & shown) + np.mean(
        (plain.max(2) >= 254) & (np.minimum(a.max(2), b.max(2)) <= 235)
    )
    assert ends > 0.02, "which the plain pyramid loses"


def test_colours_of_a_bracket_stay_between_those_of_its_frames():
    a, b = stops_apart(to_linear(photograph(120, 160)), 2.5)
    levels = exposure.blend(a, b, exposure.choose(a, b))
    made = exposure.hues(levels, a, b)
    both = [image / 255 - (luma(image.astype(np.float32)) / 255)[:, :, None] for image in (a, b)]
    colours = made - luma(made.astype(np.float32))[:, :, None]
    assert (colours >= np.minimum(*both) - 2e-3).all()
    assert (colours <= np.maximum(*both) + 2e-3).all()
    assert np.abs(luma(made.astype(np.float32)) - luma(levels) / 255).max() < 2e-3


def test_a_luma_within_its_range_is_not_moved_and_order_is_kept():
    a, b = stops_apart(to_linear(photograph(120, 160)), 3)
    inside = luma(a).astype(np.float32) / 255 * 0.4 + 0.3
    assert exposure.into_range(inside, inside, a, b) == pytest.approx(inside, abs=1e-6)
    beyond = np.linspace(-0.4, 1.5, a.shape[0] * a.shape[1], dtype=np.float32).reshape(a.shape[:2])
    drawn = exposure.into_range(beyond, beyond, a, b).ravel()
    assert (np.diff(drawn) >= -1e-6).all()
    assert (drawn.min() >= 0, drawn.max() <= 1) == (True, True)
