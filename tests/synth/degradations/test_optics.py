"""Defocus, blur and motion against kernels made in another way."""

import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import j1
from skimage import data

from synth.degradations import effects
from synth.degradations.blur import BlurParams, generalised_gaussian, sinc
from synth.degradations.defocus import DefocusParams, disc
from synth.degradations.engine import Applied, damage
from synth.degradations.filters import DIRECT, FOURIER, convolve, pieces, with_lamps, without_faint
from synth.degradations.motion import MotionParams, kernel, path
from synth.images import codecs
from synth.images.pixels import to_bytes, to_linear
from synth.streams import stream
from tests.synth.helpers import photograph, view

OPTICS = [("defocus", {}), ("blur", {}), ("blur", {"ratio": 3.0}), ("motion", {"shake": 0}), ("motion", {"shake": 1})]


def psnr(x, y):
    return 10 * np.log10(255**2 / np.mean((x.astype(float) - y) ** 2))


def lamp(side=61):
    image = np.zeros((side, side), np.float32)
    image[side // 2, side // 2] = 1
    return image


def moments(k):
    """Mean and covariance of a kernel, (x, y)."""
    middle = k.shape[0] // 2
    y, x = np.mgrid[-middle : middle + 1, -middle : middle + 1]
    mean = np.array([(k * x).sum(), (k * y).sum()])
    cross = (k * x * y).sum()
    return mean, np.array([[(k * x * x).sum(), cross], [cross, (k * y * y).sum()]]) - np.outer(mean, mean)


@pytest.mark.parametrize("side", [9, 23, 41])
@pytest.mark.parametrize("colour", [True, False])
def test_a_kernel_in_pieces_equals_the_whole_kernel(side, colour):
    rng = np.random.default_rng(side)
    whole = np.where(rng.random((side, side)) < 120 / side**2, rng.random((side, side)), 0).astype(np.float32)
    assert np.count_nonzero(whole) < FOURIER
    linear = to_linear(photograph(colour=colour))
    expected = cv2.filter2D(linear, cv2.CV_64F, whole[::-1, ::-1].astype(float), borderType=cv2.BORDER_REFLECT_101)
    assert np.allclose(convolve(linear, whole), expected, rtol=1e-4, atol=1e-5)
    cut = list(pieces(whole, 0, 0))
    assert max(piece.size for *_, piece in cut) <= DIRECT
    assert sum(piece.sum() for *_, piece in cut) == pytest.approx(whole.sum(), rel=1e-5)


def test_a_lamp_draws_the_kernel_as_it_stands():
    k = np.zeros((9, 9), np.float32)
    k[1, 2], k[5, 7] = 0.75, 0.25
    assert np.allclose(convolve(lamp(), k)[26:35, 26:35], k, atol=1e-6)


def test_what_is_faint_is_two_hundredths_of_the_kernel_at_most():
    k = generalised_gaussian(4.0, 2.0, 30.0, 1.0)
    cut = without_faint(k)
    assert cut.sum() == pytest.approx(1, abs=1e-5)
    assert np.count_nonzero(cut) < 0.9 * np.count_nonzero(k)
    assert np.abs(cut - k).sum() < 0.045


@pytest.mark.parametrize("radius", [1.5, 3.0, 4.7])
def test_disc_equals_a_supersampled_disc(radius):
    fine = 16
    reach = math.ceil(radius) + 1
    y, x = (np.mgrid[: (2 * reach + 1) * fine, : (2 * reach + 1) * fine] + 0.5) / fine - reach - 0.5
    explicit = (x**2 + y**2 <= radius**2).reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean((1, 3))
    explicit = (explicit / explicit.sum()).astype(np.float32)
    image = data.astronaut()[:300, :300]
    expected = to_bytes(cv2.filter2D(to_linear(image), -1, explicit, borderType=cv2.BORDER_REFLECT_101))
    ours = damage(image, [Applied("defocus", "a", None, DefocusParams(radius))], view(image), None)
    assert np.abs(ours.astype(int) - expected).mean() < 0.6
    assert disc(radius).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("radius", [6.0, 9.3, 15.0])
@pytest.mark.parametrize("shape", [(256, 256), (181, 255)])
def test_a_large_disc_at_half_size_equals_one_at_full_size(radius, shape):
    image = data.astronaut()[: shape[0], 100 : 100 + shape[1]]
    linear = to_linear(image)
    expected = to_bytes(convolve(linear, disc(radius)))
    ours = to_bytes(effects()["defocus"].apply(linear, DefocusParams(radius), view(image)))
    assert np.abs(ours.astype(int) - expected).mean() < 0.5


def test_a_lamp_out_of_focus_is_an_even_disc():
    spot = effects()["defocus"].apply(lamp(), DefocusParams(12.0), view(photograph()))
    y, x = np.mgrid[-30:31, -30:31]
    distance = np.hypot(x, y)
    assert spot[distance < 9].std() < 0.02 * spot[distance < 9].mean()
    assert spot[distance > 15].max() < 0.02 * spot[30, 30]
    assert spot.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(("sigma", "allowed"), [(1.0, 2e-3), (1.9, 2e-3), (4.0, 8e-3)])
def test_blur_is_a_gaussian_in_linear_light(colour, sigma, allowed):
    linear = to_linear(photograph(colour=colour))
    out = effects()["blur"].apply(linear, BlurParams(sigma), view(photograph()))
    deviation = math.hypot(sigma, math.sqrt(1 / 6))  # each point shared between two pixels along each axis
    expected = gaussian_filter(linear, (deviation, deviation, 0) if colour else deviation, mode="mirror", truncate=5.0)
    assert np.abs(out - expected)[8:-8, 8:-8].max() < allowed * 2.5
    assert np.abs(out - expected).mean() < allowed / 4


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("ratio", "angle"), [(1.0, 0.0), (3.0, 0.0), (4.0, 50.0)])
def test_a_generalised_gaussian_has_the_axes_asked_for(shape, ratio, angle):
    sigma = 3.0
    mean, covariance = moments(generalised_gaussian(sigma, ratio, angle, shape).astype(float))
    values, axes = np.linalg.eigh(covariance)
    assert np.allclose(mean, 0, atol=1e-4)
    assert np.sqrt(values) == pytest.approx([sigma / math.sqrt(ratio), sigma * math.sqrt(ratio)], rel=0.08)
    if ratio > 1:
        along = math.degrees(math.atan2(-axes[1, 1], axes[0, 1])) % 180  # rows go down
        assert min(abs(along - angle), 180 - abs(along - angle)) < 1


def test_the_sinc_filter_passes_what_lies_below_its_frequency():
    cutoff = 1.0
    k = sinc(cutoff)
    middle = len(k) // 2
    assert k[middle, middle + 3] / k[middle, middle + 1] == pytest.approx(j1(3.0) / 3 / j1(1.0), rel=1e-4)
    passed = np.abs(np.fft.fft2(k, (256, 256)))[0, :128]
    omega = np.arange(128) * 2 * np.pi / 256
    assert passed[omega < 0.7 * cutoff].min() > 0.8
    assert passed[omega > 1.4 * cutoff].max() < 0.2


def test_ringing_overshoots_at_an_edge_and_a_gaussian_does_not():
    edge = np.full((64, 64), 0.2, np.float32)
    edge[:, 32:] = 0.6
    plain, rings = (effects()["blur"].apply(edge, BlurParams(2.0, ringing=r), view(photograph())) for r in (0.0, 1.0))
    assert plain.max() < 0.601
    assert rings.max() > 0.62
    assert rings.min() < 0.18


@pytest.mark.parametrize("shake", [0, 1])
@pytest.mark.parametrize("length", [0.4, 7.0, 33.3])
def test_the_path_has_its_length_and_stays_centred(shake, length):
    for seed in range(20):
        places = path(MotionParams(length, shake, 40.0, seed))
        assert np.abs(np.diff(places)).sum() == pytest.approx(length)
        k = kernel(places)
        assert k.sum() == pytest.approx(1, abs=1e-5)
        assert np.allclose(moments(k)[0], 0, atol=0.02)


def test_a_straight_path_is_a_line_of_even_light_at_its_angle():
    length, angle = 30.0, 35.0
    k = kernel(path(MotionParams(length, 0, angle, 1))).astype(float)
    values, axes = np.linalg.eigh(moments(k)[1])
    assert values[1] == pytest.approx(length**2 / 12, rel=0.02)  # of an even line
    assert values[0] < 0.25
    assert math.degrees(math.atan2(-axes[1, 1], axes[0, 1])) % 180 == pytest.approx(angle, abs=0.5)


def test_shaken_paths_differ_turn_and_stop():
    paths = [path(MotionParams(20.0, 1, 0.0, seed)) for seed in range(40)]
    spans = [abs(p[-1] - p[0]) for p in paths]
    assert max(spans) > 15 > 10 > min(spans), "some nearly straight, some turning back"
    slowest = [np.abs(np.diff(p)).min() / np.abs(np.diff(p)).mean() for p in paths]
    assert np.median(slowest) < 0.2, "most stand still somewhere"


def test_a_saturated_lamp_keeps_its_light_and_its_white_along_the_path():
    scene = lamp() * 40  # far beyond white
    for shake in (0, 1):
        out = effects()["motion"].apply(scene, MotionParams(12.0, shake, 20.0, 5), view(photograph()))
        assert out.sum() == pytest.approx(40, rel=1e-3)
        assert (to_bytes(out) == 255).sum() >= 8


@pytest.mark.parametrize("colour", [True, False])
def test_a_lamp_in_the_dark_is_brighter_than_white_and_paper_is_not(colour):
    night, day = (np.full((64, 64, 3) if colour else (64, 64), level, np.float32) for level in (0.02, 0.5))
    for image in (night, day):
        image[30:32, 30:32] = 1
    assert 6 < with_lamps(night, 10.0).max() <= 10
    assert np.array_equal(with_lamps(day, 10.0), day)
    assert np.array_equal(with_lamps(night, 10.0)[:28], night[:28])
    white = np.ones((64, 64), np.float32)
    assert np.array_equal(with_lamps(white, 10.0), white)
    faint, strong = (
        to_bytes(effects()["motion"].apply(night, MotionParams(9.0, 0, 0.0, 1, lamps), view(photograph())))
        for lamps in (1.0, 30.0)
    )
    assert (faint[31] == 255).sum() == 0 < (strong[31] == 255).sum(), "its path is white"


@pytest.mark.parametrize("name", ["motion", "defocus"])
def test_infrared_has_no_lamps(name):
    image = photograph(colour=False)
    visible, infrared = (
        effects()[name].draw(0.5, view(image, "b", modality), stream(1, 0, "draw"), {})
        for modality in ("visible", "infrared")
    )
    assert infrared.lamps == 1 < visible.lamps


@pytest.mark.parametrize(("name", "fixed"), OPTICS)
def test_damage_is_alike_at_every_size(name, fixed, research_data):
    """Twelve pictures of the Kodak set, which are sharp at all three sizes; a soft one has less to lose at 512 px."""
    pictures = [codecs.read(path).image[:512, :512] for path in sorted((research_data / "photos/test").iterdir())]
    pictures = [picture for picture in pictures if picture.shape == (512, 512, 3)][:12]
    assert len(pictures) == 12
    for severity in (0.1, 0.5, 1.0):
        means = []
        for side in (128, 256, 512):
            scores = []
            for picture in pictures:
                image = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
                params = effects()[name].draw(severity, view(image), stream(1, 0, "draw"), fixed)
                scores.append(psnr(damage(image, [Applied(name, "a", None, params)], view(image), None), image))
            means.append(np.mean(scores))
        assert max(means) - min(means) < 1.2, (severity, means)


@pytest.mark.parametrize(("name", "fixed"), [*OPTICS, ("blur", {"ringing": 0.6}), ("blur", {"shape": 0.6})])
def test_damage_grows_with_severity_whatever_is_drawn(name, fixed):
    image = photograph(192, 256)
    for seed in range(4):
        errors = []
        for severity in np.linspace(0.1, 1, 10):
            params = effects()[name].draw(severity, view(image), stream(seed, 0, "draw"), fixed)
            errors.append(-psnr(damage(image, [Applied(name, "a", None, params)], view(image), None), image))
        assert np.all(np.diff(errors) > 0), (seed, errors)


@pytest.mark.parametrize("length", [1.0, 15.0, 60.0, 200.0])
def test_motion_moves_the_centre_of_gravity_nowhere(length):
    """Of a point of light, in linear light; without its faintest elements a kernel of 200 px was off by 0.7 px."""
    side = 2 * round(length) + 41
    y, x = np.mgrid[:side, :side] - side // 2
    point = np.zeros((side, side), np.float32)
    point[side // 2, side // 2] = 1
    for seed in range(12):
        params = MotionParams(length, shake=1, angle=30.0 * seed, seed=seed)
        drawn = effects()["motion"].apply(point, params, view(to_bytes(point)))
        assert np.hypot((drawn * x).sum(), (drawn * y).sum()) < 0.25
