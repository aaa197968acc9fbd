"""Rain and snow: what falls, where it shows, and that both images of a pair see the same of it."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from synth.degradations import effects, rain, snow
from synth.degradations.engine import EffectSpec, draw
from synth.degradations.shine import behind_particles
from synth.images.pixels import to_bytes, to_linear
from synth.streams import Streams, stream
from tests.synth.helpers import photograph, scene, view

RAIN, SNOW = effects()["rain"], effects()["snow"]
EACH = pytest.mark.parametrize("effect", [RAIN, SNOW], ids=["rain", "snow"])
SIZE = (320, 400)


def wall(level: float = 0.05, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A dark even wall in linear light."""
    return np.full((*size, 3), level, np.float32)


def before(distance: float = 6.0, size: tuple[int, int] = SIZE, gain: float = 1.0, **others):
    """The scene in front of a wall at one distance, lit like a day."""
    return replace(
        scene(*size, {"a": gain, "b": 1.0}),
        depth_map=np.full(size, distance, np.float32),
        **{"wind": (0.0, 0.0), "exposure_s": 1 / 80} | others,
    )


def seen_by(image: np.ndarray, of, name="a", modality="visible"):
    return view(to_bytes(image), name, modality, of)


def fallen(effect, image, seen, severity=0.6, seed=1):
    """What the effect adds: the image under it minus the image."""
    params = effect.draw(severity, seen, stream(seed, 0, "draw"), {})
    return effect.apply(image, params, seen) - image


def particles(effect, image, seen, severity=0.6, seed=1):
    """The same without the veil, in grey."""
    params = replace(effect.draw(severity, seen, stream(seed, 0, "draw"), {}), veil_gain=0.0)
    return (effect.apply(image, params, seen) - image).mean(axis=2)


def shapes(field: np.ndarray, threshold: float):
    """Length, width and direction (degrees from the vertical) of what stands above the threshold, by second moments."""
    count, labels = cv2.connectedComponents((field > threshold).astype(np.uint8))
    found = []
    for number in range(1, count):
        y, x = np.nonzero(labels == number)
        if y.size < 3:
            continue
        values, vectors = np.linalg.eigh(np.cov(np.stack([x, y])) + np.eye(2) / 12)
        along = vectors[:, 1] * np.sign(vectors[1, 1] or 1)
        found.append((np.sqrt(12 * values[1]), np.sqrt(12 * values[0]), np.degrees(np.arctan2(along[0], along[1]))))
    return np.array(found).T


@pytest.mark.parametrize("wind", [-3.0, 0.0, 2.0])
def test_streaks_slant_with_the_wind(wind):
    """The structure tensor of the field lies across the fall: tan = wind / fall speed of a 2 mm drop, 6.5 m/s."""
    field = particles(RAIN, wall(), seen_by(wall(), before(wind=(wind, 0.0))))
    gx, gy = (cv2.Sobel(field, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    across = 0.5 * np.arctan2(2 * (gx * gy).mean(), (gx**2 - gy**2).mean())
    assert np.degrees(-across) == pytest.approx(np.degrees(np.arctan2(wind, 6.5)), abs=4)


def test_streaks_have_many_lengths_and_one_direction():
    size = (512, 640)
    field = particles(RAIN, wall(size=size), seen_by(wall(size=size), before(size=size)))
    length, _, direction = shapes(field, 0.02)
    median, most, longest = np.percentile(length, (50, 90, 99))
    assert most > 2 * median, "most are short"
    assert longest > 5 * median, "and a few are long"
    low, high = np.percentile(direction[length > 8], (25, 75))
    assert 1 < high - low < 14, "as parallel as real rain"


def test_streaks_lengthen_with_the_exposure():
    """The distance along the fall at which the field resembles itself by half grows as the time does."""

    def half_length(field):
        field = field - field.mean()
        return next(k for k in range(1, 100) if (field[:-k] * field[k:]).mean() < 0.5 * field.var())

    short, long = (
        half_length(particles(RAIN, wall(), seen_by(wall(), before(exposure_s=t)))) for t in (1 / 118, 1 / 61)
    )
    assert long / short == pytest.approx(118 / 61, rel=0.25)


@EACH
def test_particles_only_brighten_and_vanish_over_white(effect):
    """Beside a dark wall they show; over a white sky and a clipped one nothing is seen, and nothing gets darker."""
    for sky in (1.0, 3.0):
        image = wall()
        image[:160] = sky
        field = particles(effect, image, seen_by(image, before()))
        assert field.min() > -1e-4
        assert field[:140].max() < 0.01
        assert field[180:].std() > 0.01


@EACH
def test_light_comes_from_the_scene(effect):
    """Ten times less light, ten times less is added: nothing is painted white."""
    day, night = before(), before()
    night = replace(night, airlight=tuple(a / 10 for a in day.airlight))
    bright = fallen(effect, wall(), seen_by(wall(), day))
    dark = fallen(effect, wall() / 10, seen_by(wall() / 10, night))
    assert np.allclose(dark, bright / 10, atol=1e-4)


@EACH
def test_lamps_light_what_falls_near_them(effect):
    """At night, with hardly any airlight, particles show beside a lamp and not in the dark."""
    image = wall(0.002)
    image[100:140, 60:100] = 1.0
    night = before(airlight=(0.004, 0.004, 0.004))
    field = particles(effect, image, seen_by(image, night))
    assert field[150:220, 40:120].std() > 5 * field[150:220, 320:].std()


@EACH
def test_both_frames_of_a_bracket_get_the_same_radiance(effect):
    """Divided by the gain, the dark frame holds what the bright one holds, when the same falls before both."""
    gain = 1 / 32
    shared = before(gain=gain)
    bright = fallen(effect, wall(), seen_by(wall(), shared, "b", "over"))
    dark = fallen(effect, wall() * gain, seen_by(wall() * gain, shared, "a", "under"))
    # b follows a: its field is another one, so its parameters are used for both
    params = effect.draw(0.6, seen_by(wall(), shared, "b", "over"), stream(1, 0, "draw"), {})
    again = effect.apply(wall() * gain, params, seen_by(wall() * gain, shared, "a", "under")) - wall() * gain
    assert np.allclose(again / gain, bright, atol=1e-4)
    assert dark.mean() / gain == pytest.approx(bright.mean(), rel=0.1)


@EACH
def test_one_shot_has_one_field_and_two_shots_have_two(effect):
    image = wall()
    for simultaneous in (True, False):
        shared = before(simultaneous=simultaneous)
        views = {"a": seen_by(image, shared, "a"), "b": seen_by(image, shared, "b")}
        first, second = draw(EffectSpec(effect.name, (0.6, 0.6)), views, Streams(1, 0))
        fields = [
            (effect.apply(image, step.params, views[step.image]) - image).mean(axis=2) for step in (first, second)
        ]
        correlation = np.corrcoef(fields[0].ravel(), fields[1].ravel())[0, 1]
        assert correlation == pytest.approx(1.0) if simultaneous else abs(correlation) < 0.2
        assert replace(first.params, seed=0) == replace(second.params, seed=0), "all but the field is the pair's"


@EACH
def test_infrared_sees_the_recorded_share(effect):
    """The optical thickness of the same field is the recorded share of the visible one, toward the scene's mean."""
    image = wall()[:, :, 0] + np.linspace(0, 0.5, SIZE[1], dtype=np.float32)
    shared = before(60.0)
    seen = view(to_bytes(image), "b", "infrared", shared)
    params = effect.draw(0.6, seen, stream(1, 0, "draw"), {})
    assert params.thickness_share < 0.7
    away = np.abs(image - seen.ambient) > 0.05
    weak, full = (
        -np.log((effect.apply(image, p, seen) - seen.ambient)[away] / (image - seen.ambient)[away])
        for p in (params, replace(params, thickness_share=1.0))
    )
    assert np.allclose(weak, full * params.thickness_share, atol=2e-3)


@EACH
def test_veil_grows_with_distance_and_hides_the_far(effect):
    image = wall()
    params = effect.draw(0.8, seen_by(image, before(100.0)), stream(1, 0, "draw"), {})
    # One gain for all: what was drawn at 100 m is applied at four distances.
    means = [effect.apply(image, params, seen_by(image, before(d))).mean() for d in (10.0, 30.0, 100.0, 300.0)]
    assert np.all(np.diff(means) > 0.01)


@EACH
def test_what_falls_behind_the_scene_is_hidden(effect):
    """Before a wall at 1 m stands less than before one at 20 m."""
    near, far = (particles(effect, wall(), seen_by(wall(), before(d))) for d in (1.0, 20.0))
    assert near.mean() < 0.6 * far.mean()
    assert (near <= far + 1e-5).all()


@EACH
def test_more_falls_at_the_same_places(effect):
    """The field is nested: at a higher rate no pixel is less covered."""
    fields = [particles(effect, wall(), seen_by(wall(), before()), severity) for severity in (0.2, 0.4, 0.7, 1.0)]
    for less, more in pairwise(fields):
        assert (more >= less - 1e-5).all()
        assert more.mean() > less.mean()


@EACH
def test_same_field_in_another_process(effect):
    code = (
        "import hashlib, numpy as np\n"
        "from tests.synth.degradations.test_rain_snow import *\n"
        f"field = fallen(effects()[{effect.name!r}], wall(), seen_by(wall(), before()))\n"
        "print(hashlib.sha256(field.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


@EACH
@pytest.mark.parametrize("severity", [0.1, 0.5])
def test_a_picture_loses_the_same_at_every_size(effect, severity):
    large = photograph(384, 384)
    losses = []
    for side in (384, 192, 96):
        image = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
        errors = []
        for seed in range(4):
            seen = view(image)
            params = effect.draw(severity, seen, stream(seed, 0, "draw"), {})
            out = to_bytes(effect.apply(to_linear(image), params, seen))
            errors.append(np.mean((out.astype(float) - image) ** 2))
        losses.append(10 * np.log10(np.mean(errors)))
    assert np.ptp(losses) < 1, losses


def test_moderate_snow_covers_a_little_in_several_sizes():
    """Measured as in photographs of moderate snow: 4 to 11% of the pixels, most flakes 2 px wide, a few many times."""
    size = (480, 640)
    image = wall(0.08, size)
    of = before(size=size)
    levels = to_bytes(image + particles(SNOW, image, seen_by(image, of), 0.4)[:, :, None])[:, :, 0].astype(np.int16)
    above = levels - cv2.medianBlur(levels.astype(np.uint8), 31)
    assert 0.03 < (above > 40).mean() < 0.12
    length, width, _ = shapes(above.astype(np.float32), 25)
    assert np.percentile(width, 50) < 4
    assert np.percentile(length, 99) > 3 * np.percentile(length, 50)


def direction_spread(effect, **changed) -> float:
    """Interquartile range of the directions of what is longer than wide, in degrees."""
    seen = seen_by(wall(), before(wind=(0.3, 0.0), exposure_s=1 / 60))
    params = replace(effect.draw(0.6, seen, stream(1, 0, "draw"), {}), veil_gain=0.0, **changed)
    field = (effect.apply(wall(), params, seen) - wall()).mean(axis=2)
    length, width, direction = shapes(field, 0.05)
    low, high = np.percentile(direction[length > 2 * width], (25, 75))
    return high - low


def test_flakes_go_their_own_ways_and_drops_do_not():
    assert direction_spread(RAIN) < 14
    assert 15 < direction_spread(SNOW) < 110
    dashes = {"dash_px": 20.0}  # long enough to point somewhere
    assert direction_spread(SNOW, flutter=0.7, **dashes) > 1.5 * direction_spread(SNOW, flutter=0.2, **dashes)


def test_larger_flakes_are_fainter():
    """Out of focus, a near flake spreads over a disc: no pixel of the nearest layer is as bright as elsewhere."""
    near, all_of_them = (particles(SNOW, wall(), seen_by(wall(), before(d))).max() for d in (1.0, 20.0))
    assert near < 0.8 * all_of_them


def crossings(field: np.ndarray, threshold: float) -> np.ndarray:
    """Widths at half of its height of whatever a row of the field crosses."""
    widths = []
    for row in field:
        edges = np.flatnonzero(np.diff(np.r_[0, row > threshold, 0]))
        widths += [np.count_nonzero(part >= part.max() / 2) for part in np.split(row, edges)[1::2]]
    return np.array(widths)


def test_streaks_are_threads():
    """Half of them are a pixel or two wide, as in photographs of 500 to 1000 px, and one in a hundred is over 6."""
    size = (480, 640)
    widths = crossings(particles(RAIN, wall(size=size), seen_by(wall(size=size), before(size=size))), 0.02)
    assert np.median(widths) <= 2
    assert np.percentile(widths, 99) <= 6


@EACH
def test_some_shine_like_the_sky_and_most_are_faint(effect):
    """Over a dark wall, in grey levels: the brightest have over two thirds of the sky's, half of them under 0.7."""
    image = wall(0.02, (480, 640))
    field = particles(effect, image, seen_by(image, before(20.0, (480, 640))), 0.9) + np.float32(0.02)
    peaks = to_bytes(field)[(field == cv2.dilate(field, np.ones((3, 3)))) & (field > 0.04)]
    sky = to_bytes(np.full(1, 0.7, np.float32))[0]
    assert 2 / 3 < np.percentile(peaks, 99.9) / sky < 1.05
    assert np.median(peaks) / sky < 0.7


def test_flakes_are_as_white_as_what_is_white_in_the_scene():
    """Snow has an albedo of 0.9: before a dark wall beside a white one (0.8) it is nearly as white."""
    image = wall(0.03)
    image[:, :40] = 0.8
    field = particles(SNOW, image, seen_by(image, before(20.0, airlight=(0.4, 0.4, 0.4))))[:, 120:] + np.float32(0.03)
    whitest, white = to_bytes(np.array([np.percentile(field, 99.9), 0.8], np.float32))
    assert 0.8 < whitest / white < 1


@EACH
def test_there_are_fewer_where_little_falls(effect):
    """The share of the wall that is seen to be covered grows with the severity: at 0.25, under half of the full."""
    light, half, full = (
        (particles(effect, wall(), seen_by(wall(), before(20.0)), severity) > 0.03).mean()
        for severity in (0.25, 0.5, 1)
    )
    assert light < 0.45 * full
    assert light < 0.75 * half < 0.75 * full


@EACH
def test_occlusion_is_soft_over_depth(effect):
    """Before a ground that comes near evenly, particles grow fewer bit by bit: no 6% of distance take a sixth."""
    depth = np.geomspace(40, 1, SIZE[0], dtype=np.float32)[:, None].repeat(SIZE[1], 1)
    shared = replace(before(), depth_map=depth)
    rows = sum(particles(effect, wall(), seen_by(wall(), shared), seed=seed).mean(axis=1) for seed in range(12))
    bands = rows.reshape(64, -1).mean(axis=1)
    bands = np.convolve(bands, np.ones(3) / 3, "valid")
    assert bands[-1] < 0.7 * bands[0], "near things do hide"
    assert (bands[:-1] - bands[1:]).max() < bands.max() / 6


@EACH
def test_each_shot_blurs_by_its_own_focus(effect):
    """Before a wall at 2.5 m, what falls is sharp in the shot focused there and broad in the one focused at 30 m."""
    depth = np.full(SIZE, 2.5, np.float32)
    depth[:100] = 30.0
    shared = replace(before(), depth_map=depth, focus={"a": "near", "b": "far"})
    near, far, unknown = (
        particles(effect, wall(), seen_by(wall(), of, name))[100:]
        for name, of in (("a", shared), ("b", shared), ("a", replace(shared, focus={})))
    )

    def sharpness(field):
        return np.abs(np.diff(field, axis=1)).sum() / field.sum()

    assert sharpness(near) > 1.3 * sharpness(far)
    assert np.percentile(near, 99.8) > np.percentile(far, 99.8), "what is spread is fainter"
    assert sharpness(unknown) > sharpness(far)


@EACH
def test_nothing_is_cut_at_what_is_bright(effect):
    """Over a scene that grows brighter evenly, an even field adds less and less, down to nothing, without a step."""
    ramp = np.linspace(0, 1, 400, dtype=np.float32)
    image = np.repeat(np.tile(ramp, (320, 1))[:, :, None], 3, axis=2)
    even = np.full(SIZE, -1.0, np.float32)
    added = (behind_particles(image, effect.shine, 0.0, even, seen_by(image, before())) - image)[160, :, 1]
    assert added[0] > 0.1
    assert added[-1] == pytest.approx(0, abs=1e-4)
    assert np.abs(np.diff(added)).max() < 3 * added[0] / 400


@pytest.mark.parametrize("disc", [False, True])
@pytest.mark.parametrize("dash", snow.DASHES)
def test_flakes_end_within_their_windows(dash, disc):
    rng = stream(0, 0, "flakes")
    for _ in range(40):
        shape = snow._shape(rng, dash, 0.7, disc)
        assert not np.isfinite(np.r_[shape[0], shape[-1], shape[:, 0], shape[:, -1]]).any()


def test_formulas_give_the_published_values():
    assert rain.fall_speed(2.0) == pytest.approx(6.5, abs=0.1), "Gunn and Kinzer (1949): 6.49 m/s"
    assert rain.fall_speed(5.0) == pytest.approx(9.1, abs=0.1), "9.09 m/s"
    assert effects()["rain"].extinction(25.0) * 1000 * 10 / np.log(10) == pytest.approx(9.3, abs=0.1), (
        "dB/km, ITU-R P.1814"
    )
    assert effects()["snow"].extinction(1.0) * 1000 * 10 / np.log(10) == pytest.approx(5.5, abs=0.1)
