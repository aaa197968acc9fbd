"""The closed form against its own equations and against a sparse solver, and what a target must not do."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from synth.pixels import luma
from synth.targets import gradient
from synth.targets.exposure import mertens
from synth.targets.target import kind_for
from tests.synth.helpers import photograph

RNG = np.random.default_rng(0)


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
    assert gradient.solve(dx, dy, u, 0.05).ravel() == pytest.approx(spsolve(left.tocsc(), right), abs=1e-4)


def test_the_normal_equations_hold_on_a_picture():
    u = luma(photograph(180, 240)).astype(np.float32) / 255
    dx, dy = np.diff(u, axis=1) * 1.7, np.diff(u, axis=0) * 1.7
    f = gradient.solve(dx, dy, u, 0.05)
    residual = 0.05 * (f - u)
    gx, gy = np.diff(f, axis=1) - dx, np.diff(f, axis=0) - dy
    residual[:, :-1] -= gx
    residual[:, 1:] += gx
    residual[:-1] -= gy
    residual[1:] += gy
    assert np.abs(residual).max() < 1e-4


@pytest.mark.parametrize("task", ["vif", "mef", "mff"])
@pytest.mark.parametrize("colour", [True, False])
def test_equal_images_give_that_image_back(task, colour):
    image = photograph(90, 121, colour)
    fused = gradient.fuse(task, image, image, gradient.choose(image, image))
    assert fused.shape == image.shape
    limit = 1 if task != "mef" else 12  # Mertens' pyramid alone moves a grey level by this much at strong edges
    assert np.abs(fused.astype(int) - image).max() <= limit


def test_mff_takes_each_half_from_where_it_is_sharp():
    import cv2

    sharp = photograph(120, 160)
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    a, b = sharp.copy(), sharp.copy()
    a[:, 80:], b[:, :80] = soft[:, 80:], soft[:, :80]
    fused = gradient.fuse("mff", a, b, gradient.choose(a, b))
    assert np.abs(fused.astype(int) - sharp).mean() < 0.35 * np.abs(a.astype(int) - sharp).mean()
    swapped = gradient.fuse("mff", b, a, gradient.choose(b, a))
    assert np.abs(fused.astype(int) - swapped).mean() < 0.1


def test_vif_keeps_the_visible_colour_and_shows_the_hot_body():
    visible = np.full((64, 64, 3), (90, 60, 40), np.uint8)
    infrared = np.full((64, 64), 30, np.uint8)
    infrared[20:40, 20:40] = 220
    fused = gradient.fuse("vif", visible, infrared, gradient.choose(visible, infrared)).astype(int)
    assert luma(fused[28:32, 28:32].astype(np.uint8)).mean() > luma(visible)[0, 0] + 50
    for here in ((slice(0, 8), slice(0, 8)), (slice(28, 32), slice(28, 32))):
        red_green = (fused[here][..., 0] - fused[here][..., 1]).mean()
        assert red_green == pytest.approx(30, abs=2), "colour differences are the visible image's"


def test_a_constant_added_to_one_image_leaves_the_choice_alone():
    both = photograph(160, 80, False) // 2
    a, b = both[:80], both[80:]
    moved = gradient.choose(a, b).take_a != gradient.choose(a + np.uint8(90), b).take_a
    assert moved.mean() < 1e-3, "but for ties that rounding decides"


def test_mertens_takes_the_well_exposed_of_two_flat_images():
    black, grey = np.full((64, 64, 3), 2, np.uint8), photograph(64, 64)
    assert np.abs(mertens(black, grey).astype(int) - grey).mean() < 25


def test_a_list_of_targets_is_an_order_of_preference():
    assert kind_for(["given", "gradient"], has_gt=True) == "given"
    assert kind_for(["given", "gradient"], has_gt=False) == "gradient"
    assert kind_for(["given"], has_gt=False) is None
