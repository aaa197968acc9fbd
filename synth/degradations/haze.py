"""Haze, mist and fog."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.random import Generator, Philox
from scipy.special import erf

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.images.pixels import Floats, luma
from synth.scene.scene import SKY_FROM, Scene, View
from synth.streams import field_seed

TINY = 1e-6
OPTICAL_DEPTH = 2.4  # at the scene's `far_m`, at severity 1: an eleventh of the light comes through
BEND = 1.3  # of the severity, so that equal steps look like equal steps
CONTRAST_LIMIT = 3.912  # -ln 0.02: an object is visible until 2% of its contrast is left (Koschmieder)
INFRARED_SHARE = (0.15, 0.5)  # of the visible optical depth: long waves pass small drops

PATCHINESS = 0.2  # most spread of the logarithm of the density
LAYER = 1.0  # most extra density in the middle of a layer of mist
LAYER_AT = (-0.01, 0.05)  # its height over the camera, as a share of the scene's `far_m`
LAYER_THICKNESS = (0.01, 0.04)  # likewise
THIN_LAYER = 0.1  # extra density that is not worth a look
FIELD_PX = 64  # the density field is smooth: it is made this small
OCTAVES = ((3, 2, 1.0), (6, 3, 0.6), (12, 6, 0.35))  # rows, columns, weight; fewer columns: the wind draws patches out
RAY_ENDS = 1024  # entries of the table of what a ray meets of a layer

LIGHT_PX, HALO_PX = 64, 128  # airlight and halos are smooth: they are made this wide
SKY_ALL = 0.98  # of the farthest distance, from which on all is sky
SKY_SPREAD = 0.04  # standard deviation, in widths, over which the sky's own light is taken
SKY_GREYING = 0.8  # of its colour, what the light of a veiled sky loses
LIT_FROM = 0.12  # standard deviation, in widths, of the light of lamps around a place
LIT_POWER = 0.8  # by which the airlight of a night follows it
SKY_SURE = 0.97, 1.1  # luma of the sky against the airlight from which on it is its own, and all of it

LAMP_LEVELS = (0.45, 0.9)  # radiance over what surrounds it, from which a thing of a night may be, and is, a lamp
LAMP_SIZE = 0.14  # of the width: what is broader is a wall, a window or a face
LAMP_GAIN = (4.0, 16.0)  # how much brighter a lamp is than the white that recorded it
HALO = ((0.006, 0.27), (0.02, 0.28), (0.06, 0.26), (0.18, 0.19))  # standard deviation in widths, weight: a power law
CONE = ((0.03, 0.012, 0.06), (0.065, 0.024, 0.05), (0.11, 0.042, 0.04))  # below a lamp; standard deviation; weight
SCATTERED = 1.0  # of the light that a lamp loses on its way, what reaches the lens from around it


@dataclass(frozen=True)
class HazeParams:
    """visibility_m: metres, None for clear air. airlight: radiance per channel of the image.

    optical_depth_share: of the visible optical depth, what this image's wavelengths see: 1, less for infrared.
    patchiness: spread of the logarithm of the density. layer, layer_m, layer_thickness_m: extra density of a layer of
    mist, its height over the camera and its thickness in metres. horizon: where a level ground ends, in heights from
    the top. lamp_gain: radiance of lamps against what was recorded of them. seed: of the field.
    """

    visibility_m: float | None
    airlight: tuple[float, ...]
    optical_depth_share: float
    patchiness: float
    layer: float
    layer_m: float
    layer_thickness_m: float
    horizon: float
    lamp_gain: float
    seed: int


class Haze(Degradation[HazeParams]):
    """Light scattered out of and into the path between scene and lens (Koschmieder, 1924).

    Per channel, in linear light:  I = g (J t + A (1 - t)),  t = exp(-β n d),  β = 3.912 / V.

    J is the scene's radiance, g the exposure of the image, A the airlight, d the distance, V the visibility, n a
    density field of mean 1: patches that drift, and a layer that hangs at a height of the world. The severity sets the
    optical depth τ = β d at the 90th percentile of the crop's distance (the sky left out), so a room and a mountain are
    equally hazy, and V = 3.912 d / τ follows. Infrared sees a recorded share of τ, toward its own mean. Before the sky
    the airlight is no darker than the sky's own light, since what lights the fog is the sky; of a bracket by day, what
    is beyond the white of its brighter image passes.

    Where a scene is lit by its own lamps, A is as dark as the place, and the light is theirs: lamps, which are
    brighter than the white that records them, stay white behind haze, and what they lose spreads around them (the
    atmospheric point spread of Narasimhan and Nayar, "Shedding light on the weather", CVPR 2003, as Gaussians).
    """

    name = "haze"
    stage = Stage.SCENE
    may_stay = "always"
    outdoors = True
    version = 4
    images: ClassVar[Images] = "shared"
    measured = ("visibility_m", "airlight", "layer_m", "layer_thickness_m", "horizon", "lamp_gain")
    quantities = {"visibility_m": Quantity(5, 50_000, "m", strength=True, neutral=math.inf)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> HazeParams:
        share = float(rng.uniform(*INFRARED_SHARE))
        patchiness = PATCHINESS * float(rng.beta(1, 2))
        layer = LAYER * float(rng.beta(0.6, 2))
        at, thickness = (float(rng.uniform(*span)) for span in (LAYER_AT, LAYER_THICKNESS))
        lamps = math.exp(rng.uniform(math.log(LAMP_GAIN[0]), math.log(LAMP_GAIN[1])))
        infrared = view.infrared
        if severity is None:
            visibility: float | None = fixed["visibility_m"]
        elif severity == 0:
            visibility = None
        else:
            visibility = CONTRAST_LIMIT * view.scene.far_m / (OPTICAL_DEPTH * severity**BEND)
        return HazeParams(
            visibility_m=visibility,
            airlight=_airlight(view),
            optical_depth_share=share if infrared else 1.0,
            patchiness=patchiness,
            layer=layer,
            layer_m=at * view.scene.far_m,
            layer_thickness_m=thickness * view.scene.far_m,
            horizon=view.scene.horizon,
            lamp_gain=1.0 if infrared else lamps**view.scene.night,
            seed=field_seed(rng),
        )

    def apply(self, image: Floats, params: HazeParams, view: View) -> Floats:
        if params.visibility_m is None:
            return image.copy()
        extinction = CONTRAST_LIMIT / params.visibility_m * params.optical_depth_share
        optical_depth = cv2.multiply(view.scene.depth, _density(params, view.scene), scale=-extinction)
        transmission = cv2.exp(optical_depth)
        airlight = [view.gain * level for level in params.airlight]
        if view.infrared:
            return _toward(image, airlight, transmission)
        if view.scene.night == 0:
            beyond = _beyond(image, view) if min(view.scene.gain.values()) < 1 else np.float32(0)
            within = image - beyond
            return _toward(within, airlight, transmission, _before_sky(within, airlight, view.scene)) + beyond
        hazy = _toward(image, airlight, transmission, _by_lamps(image, airlight, view))
        lamps = _lamps(image, params, view)
        through = cv2.multiply(lamps, cv2.merge([transmission] * 3) if lamps.ndim == 3 else transmission)
        return _added(_added(hazy, _halos(lamps, transmission)), through)


def _airlight(view: View) -> tuple[float, ...]:
    """As radiance: of the scene, per channel in colour; infrared glows with the mean of its own scene."""
    if view.infrared:
        return (view.ambient,)
    if view.colour:
        return view.scene.airlight
    return (math.fsum(view.scene.airlight) / 3,)


def _toward(image: Floats, airlight: list[float], transmission: Floats, more: Floats | None = None) -> Floats:
    """A + (J - A) t for every channel. more: what A has besides in the uppermost rows, on the coarse grid."""
    if image.ndim == 3:
        transmission = cv2.merge([transmission] * 3)
    height, width = image.shape[:2]
    level: Any = (*airlight, 0.0) if len(airlight) == 3 else (airlight[0],) * 4
    rows = 0 if more is None else min(height, math.ceil(height * len(more) / _coarse((height, width))[1]))
    hazy = np.empty_like(image)
    for part in (np.s_[:rows], np.s_[rows:]):
        out = hazy[part]
        if not out.size:
            continue
        if part.stop is not None and more is not None:
            light: Any = cv2.resize(cv2.add(more, level), (width, rows), interpolation=cv2.INTER_LINEAR)
        else:
            light = level
        cv2.subtract(image[part], light, dst=out)
        cv2.multiply(out, transmission[part], dst=out)
        cv2.add(out, light, dst=out)
    return hazy


def _coarse(size: tuple[int, int], most: int = LIGHT_PX) -> tuple[int, int]:
    """(width, height) of the grid of what is smooth in a picture of (height, width), so wide at most."""
    height, width = size
    across = min(width, most)
    return across, max(1, round(height * across / width))


def _shrunk(plane: Floats, size: tuple[int, int]) -> Floats:
    """On the coarse grid, of every so many pixels: what is smoothed afterwards needs no more."""
    step = max(1, plane.shape[1] // (2 * size[0]))
    return cv2.resize(np.ascontiguousarray(plane[::step, ::step]), size, interpolation=cv2.INTER_AREA)


def _before_sky(image: Floats, airlight: list[float], scene: Scene) -> Floats | None:
    """What the airlight has more before the sky, on the coarse grid, down to where the sky ends.

    There it is the sky's own light, where that is brighter. None where no sky is seen, or none as bright.
    """
    size = _coarse(image.shape[:2])
    shares = _shrunk(scene.depth, size) * np.float32(1 / scene.depth_range_m)
    sky = np.clip((shares - np.float32(SKY_FROM)) / np.float32(SKY_ALL - SKY_FROM), 0, 1)
    small = _shrunk(image, size)
    if not sky.any():
        return None

    def spread(plane: Floats) -> Floats:
        return cv2.GaussianBlur(plane, (0, 0), SKY_SPREAD * size[0], borderType=cv2.BORDER_REPLICATE)

    share = spread(sky)
    light = spread(small * _across(sky, small)) / (_across(share, small) + np.float32(TINY))
    level = luma(light)
    if image.ndim == 3:
        light += np.float32(SKY_GREYING) * (_across(level, small) - light)
    given = np.asarray(airlight if image.ndim == 3 else airlight[0], np.float32)
    brighter = (level / max(float(np.mean(airlight)), TINY) - SKY_SURE[0]) / (SKY_SURE[1] - SKY_SURE[0])
    weight = (np.clip(brighter, 0, 1) * sky).astype(np.float32)
    seen = np.flatnonzero(weight.any(axis=1))
    more = (_across(weight, small) * (light - given)).astype(np.float32)
    return more[: seen[-1] + 2] if seen.size else None


def _beyond(image: Floats, view: View) -> Floats:
    """What is beyond the white of the brighter image of a bracket, but for detail brighter than its place.

    It passes: the light that a sky or the sun loses, others of its rays bring back (forward scattering), and with
    airlight that is no brighter than that white, the dark shot would else have its sky put out by fog.
    """
    size, level = _coarse(view.size), luma(image)
    broad = cv2.GaussianBlur(_shrunk(level, size), (0, 0), SKY_SPREAD * size[0], borderType=cv2.BORDER_REPLICATE)
    broad = cv2.resize(broad, view.size[::-1], interpolation=cv2.INTER_LINEAR)
    share = np.maximum(cv2.min(level, broad) - np.float32(view.gain), 0) / np.maximum(level, np.float32(TINY))
    return cv2.multiply(image, cv2.merge([share] * 3) if image.ndim == 3 else share)


def _across(plane: Floats, image: Floats) -> Floats:
    """A plane that multiplies with an image of either shape."""
    return plane[:, :, None] if image.ndim == 3 else plane


def _by_lamps(image: Floats, airlight: list[float], view: View) -> Floats:
    """What the airlight of a night has more, or less, on the coarse grid: bright where lamps light the place."""
    size = _coarse(view.size)
    level = np.minimum(luma(_shrunk(image, size)), np.float32(view.gain))
    wide = cv2.GaussianBlur(level, (0, 0), LIT_FROM * size[0], borderType=cv2.BORDER_REPLICATE)
    share: Floats = np.power(
        wide / np.float32(max(float(np.median(wide)), TINY)), np.float32(LIT_POWER * view.scene.night)
    )
    share -= np.float32(1)
    if image.ndim == 2:
        return share * np.float32(airlight[0])
    return share[:, :, None] * np.asarray(airlight, np.float32)


def _density(params: HazeParams, scene: Scene) -> Floats:
    """The field n, (H, W): log-normal patches of mean 1, and what a layer of mist adds. Equal at every size."""
    rng = Generator(Philox(key=params.seed))
    small = (FIELD_PX, FIELD_PX)
    patches = np.zeros(small, np.float32)
    for rows, columns, weight in OCTAVES:
        grid = rng.standard_normal((rows, columns), np.float32) * np.float32(weight)
        patches += cv2.resize(grid, small, interpolation=cv2.INTER_CUBIC)
    patches /= max(float(patches.std()), 1e-6)
    density = np.exp(np.float32(params.patchiness) * patches - np.float32(params.patchiness**2 / 2))
    field = cv2.resize(density, scene.depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    if params.layer > THIN_LAYER:
        extra = _layer(params, scene)
        cv2.multiply(field, cv2.add(extra, 1.0), dst=field, scale=1 / (1 + cv2.mean(extra)[0]))
    return field


def _layer(params: HazeParams, scene: Scene) -> Floats:
    """The extra density that a layer of mist has on the way to each point, (H, W).

    A ray that ends x metres over the camera passes all heights between; the layer is a Gaussian of height, h over the
    camera and w thick. What the ray meets on the mean is √π w / 2x (erf((x − h) / w) + erf(h / w)), from a table of x.
    """
    height = len(scene.depth)
    rows = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    slopes = (np.float32(params.horizon) - rows) * np.float32(height / scene.focal_px)
    ends = scene.depth * slopes[:, None]
    low, high = float(ends.min()), float(ends.max()) + TINY
    at, thick = params.layer_m, params.layer_thickness_m
    x = np.linspace(low, high, RAY_ENDS)
    x = np.where(np.abs(x) < 1e-3 * thick, 1e-3 * thick, x)  # the limit at 0
    met = math.sqrt(math.pi) * thick / 2 / x * (erf((x - at) / thick) + erf(at / thick))
    table = np.repeat((params.layer * met).astype(np.float32), (1 << 16) // RAY_ENDS)[None, :]
    scale = ((1 << 16) - 1) / (high - low)
    return cv2.LUT(cv2.addWeighted(ends, scale, ends, 0, -low * scale, dtype=cv2.CV_16U), table)


def _lamps(image: Floats, params: HazeParams, view: View) -> Floats:
    """The light of lamps beyond what was recorded of them, of the shape of the image.

    A lamp is small and outshines what surrounds it; in a bracket, the darker shot too has it white.
    """
    white = 1 / min(view.scene.gain.values())
    level = _top(image) * np.float32(1 / (view.gain * white))
    size = _coarse(view.size, HALO_PX)
    window = np.ones((max(3, round(LAMP_SIZE * size[0])) | 1,) * 2, np.uint8)
    broad = cv2.morphologyEx(cv2.resize(level, size, interpolation=cv2.INTER_AREA), cv2.MORPH_OPEN, window)
    over = level - cv2.resize(broad, view.size[::-1], interpolation=cv2.INTER_LINEAR)
    low, high = LAMP_LEVELS
    shine = np.clip((over - np.float32(low)) / np.float32(high - low), 0, 1)
    shine *= shine * np.float32(params.lamp_gain - 1)
    # Of a bracket the radiance itself is known: what it has beyond that of other lamps would only flood the picture.
    shine /= np.maximum(_top(image) * np.float32(1 / view.gain), 1)
    return cv2.multiply(image, cv2.merge([shine] * 3) if image.ndim == 3 else shine)


def _top(image: Floats) -> Floats:
    """The brightest channel."""
    return reduce(cv2.max, cv2.split(image)) if image.ndim == 3 else image


def _added(image: Floats, light: Floats) -> Floats:
    """Light of lamps on an image, up to white in its brightest channel: so a red lamp stays red."""
    room: Floats = np.clip((1 - _top(image)) / np.maximum(_top(light), np.float32(TINY)), 0, 1)
    return image + light * (room if light.ndim == 2 else room[:, :, None])


def _halos(lamps: Floats, transmission: Floats) -> Floats:
    """What haze scatters out of the light of lamps and toward the lens: around them, and in cones below them."""
    height, width = lamps.shape[:2]
    lost = lamps * ((1 - transmission)[:, :, None] if lamps.ndim == 3 else 1 - transmission)
    size = _coarse((height, width), HALO_PX)
    small = cv2.resize(lost, size, interpolation=cv2.INTER_AREA)
    halo = np.zeros_like(small)
    for below, spread, weight in (*((0.0, *rest) for rest in HALO), *CONE):
        blurred = cv2.GaussianBlur(small, (0, 0), spread * size[0], borderType=cv2.BORDER_CONSTANT)
        down = round(below * size[0])
        halo[down:] += np.float32(SCATTERED * weight) * blurred[: len(blurred) - down]
    return cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR)
