"""Haze, mist and fog."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.random import Generator, Philox

from synth.degradations.base import Degradation, Images, Quantity, Stage
from synth.images.pixels import Floats, luma
from synth.scene.scene import View
from synth.streams import field_seed

OPTICAL_DEPTH = 3.0  # at the scene's `far_m`, at severity 1: a twentieth of the light comes through
BEND = 1.3  # of the severity, so that equal steps look like equal steps
CONTRAST_LIMIT = 3.912  # -ln 0.02: an object is visible until 2% of its contrast is left (Koschmieder)
INFRARED_SHARE = (0.15, 0.5)  # of the visible optical depth: long waves pass small drops

PATCHINESS = 0.45  # most spread of the logarithm of the density
LAYER = 1.2  # most extra density in the middle of a layer of mist
LAYER_THICKNESS = 0.12  # of the height
FIELD_PX = 64  # the density field is smooth: it is made this small
OCTAVES = ((3, 2, 1.0), (6, 3, 0.6), (12, 6, 0.35))  # rows, columns, weight; fewer columns: the wind draws patches out

LAMP_LEVELS = (0.45, 0.9)  # radiance from which a pixel of a night scene may be, and is, a lamp
LAMP_GAIN = (4.0, 16.0)  # how much brighter a lamp is than the white that recorded it
HALO = ((0.012, 0.5), (0.05, 0.3), (0.2, 0.2))  # standard deviation in widths, weight: light falls off like a power
SCATTERED = 0.5  # of the light that a lamp loses on its way, what reaches the lens from around it
HALO_PX = 128  # halos are smooth: they are made this wide


@dataclass(frozen=True)
class HazeParams:
    """visibility_m: metres, None for clear air. airlight: radiance per channel of the image.

    optical_depth_share: of the visible optical depth, what this image's wavelengths see: 1, less for infrared.
    patchiness: spread of the logarithm of the density. layer, layer_at: extra density of a layer of mist and its
    place, in heights from the top. lamp_gain: radiance of lamps against what was recorded of them. seed: of the field.
    """

    visibility_m: float | None
    airlight: tuple[float, ...]
    optical_depth_share: float
    patchiness: float
    layer: float
    layer_at: float
    lamp_gain: float
    seed: int


class Haze(Degradation[HazeParams]):
    """Light scattered out of and into the path between scene and lens (Koschmieder, 1924).

    Per channel, in linear light:  I = g (J t + A (1 - t)),  t = exp(-β n d),  β = 3.912 / V.

    J is the scene's radiance, g the exposure of the image, A the airlight, d the distance, V the visibility, n a
    density field of mean 1: patches that drift, and a layer. The severity sets the optical depth τ = β d at the 90th
    percentile of the crop's distance, so a room and a mountain are equally hazy, and V = 3.912 d / τ follows. Infrared
    sees a recorded share of τ, toward its own mean.

    Where a scene is lit by its own lamps, A is as dark as the scene, and the light is theirs: lamps, which are
    brighter than the white that records them, stay white behind haze, and what they lose spreads around them (the
    atmospheric point spread of Narasimhan and Nayar, "Shedding light on the weather", CVPR 2003, as Gaussians).
    """

    name = "haze"
    stage = Stage.SCENE
    may_stay = "always"
    outdoors = True
    version = 3
    images: ClassVar[Images] = "shared"
    quantities = {"visibility_m": Quantity(5, 50_000, "m", strength=True)}

    def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> HazeParams:
        share = float(rng.uniform(*INFRARED_SHARE))
        patchiness = PATCHINESS * float(rng.beta(1, 2))
        layer = LAYER * float(rng.beta(0.6, 2))
        layer_at = float(rng.uniform(0.2, 0.8))
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
            layer_at=layer_at,
            lamp_gain=1.0 if infrared else lamps**view.scene.night,
            seed=field_seed(rng),
        )

    def apply(self, image: Floats, params: HazeParams, view: View) -> Floats:
        if params.visibility_m is None:
            return image.copy()
        extinction = CONTRAST_LIMIT / params.visibility_m * params.optical_depth_share
        optical_depth = cv2.multiply(view.scene.depth, _density(params, view.size), scale=-extinction)
        transmission = cv2.exp(optical_depth)
        airlight = [view.gain * level for level in params.airlight]
        if params.lamp_gain == 1:
            return _toward(image, airlight, transmission)
        lamps = _lamps(image, params, view)
        return _toward(image + lamps, airlight, transmission) + _halos(lamps, transmission)


def _airlight(view: View) -> tuple[float, ...]:
    """As radiance: of the scene, per channel in colour; infrared glows with the mean of its own scene."""
    if view.infrared:
        return (view.ambient,)
    if view.colour:
        return view.scene.airlight
    return (math.fsum(view.scene.airlight) / 3,)


def _toward(image: Floats, airlight: list[float], transmission: Floats) -> Floats:
    """A + (J - A) t for every channel."""
    if image.ndim == 3:
        transmission = cv2.merge([transmission] * 3)
    level = (*airlight, 0.0) if len(airlight) == 3 else (airlight[0],) * 4
    hazy = cv2.subtract(image, level)
    cv2.multiply(hazy, transmission, dst=hazy)
    return cv2.add(hazy, level, dst=hazy)


def _density(params: HazeParams, size: tuple[int, int]) -> Floats:
    """The field n, (H, W): log-normal patches of mean 1 and a layer of mist that they ripple. Equal at every size."""
    rng = Generator(Philox(key=params.seed))
    small = (FIELD_PX, FIELD_PX)
    patches = np.zeros(small, np.float32)
    for rows, columns, weight in OCTAVES:
        grid = rng.standard_normal((rows, columns), np.float32) * np.float32(weight)
        patches += cv2.resize(grid, small, interpolation=cv2.INTER_CUBIC)
    patches /= max(float(patches.std()), 1e-6)
    rows_at = np.linspace(0, 1, FIELD_PX, dtype=np.float32)[:, None] + np.float32(0.04) * patches
    layer = params.layer * np.exp(-(((rows_at - params.layer_at) / LAYER_THICKNESS) ** 2))
    density = np.exp(params.patchiness * patches - params.patchiness**2 / 2) * (1 + layer) / (1 + layer.mean())
    return cv2.resize(density.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)


def _lamps(image: Floats, params: HazeParams, view: View) -> Floats:
    """The light of lamps beyond what was recorded of them, of the shape of the image."""
    low, high = LAMP_LEVELS
    shine = np.clip((luma(image) / np.float32(view.gain) - np.float32(low)) / np.float32(high - low), 0, 1)
    shine *= shine * np.float32(params.lamp_gain - 1)
    return cv2.multiply(image, cv2.merge([shine] * 3) if image.ndim == 3 else shine)


def _halos(lamps: Floats, transmission: Floats) -> Floats:
    """What haze scatters out of the light of lamps and toward the lens, around them."""
    height, width = lamps.shape[:2]
    lost = lamps * ((1 - transmission)[:, :, None] if lamps.ndim == 3 else 1 - transmission)
    small_width = min(width, HALO_PX)
    small_size = (small_width, max(1, round(height * small_width / width)))
    small = cv2.resize(lost, small_size, interpolation=cv2.INTER_AREA)
    halo = np.zeros_like(small)
    for spread, weight in HALO:
        blurred = cv2.GaussianBlur(small, (0, 0), spread * small_width, borderType=cv2.BORDER_REPLICATE)
        halo += np.float32(SCATTERED * weight) * blurred
    return cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR)
