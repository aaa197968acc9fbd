"""The light of a whole pair: relative exposures, the brightness of the scene, and what clipping hid."""

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.curves import SRGB, darkest_by, light_by
from synth.images.pixels import Bytes, Floats, in_colour, luma, shrink, to_linear
from synth.scene.capture import Capture, ImageName
from synth.scene.land import Land
from synth.scene.night import DAY_SKY, night_of
from synth.scene.scene import GainKind, Light

MEASURED_AT = 256  # pixels of the long side: exposures need no detail
WHITE = 98.0  # percentile of what is lit by the whole sky, as fog is
SORTED_AT = 128  # and for what is sorted, every so many of them
DARKEST, BRIGHTEST = 8, 247  # grey levels between which an exposure can be read
LEAST_SHARE = 0.01  # of pixels that neither image clips, to measure a ratio
ASSUMED_STOPS = 5.7  # the median of real brackets
MOST_WARM = 1.5  # and coldest, its inverse: of the light that is measured
UNCLIPPED_SKY = 0.9  # mean of its brightest channel up to which the colour of a sky is its own
CLIPPED = (244.0, 254.0)  # grey levels over which a channel stops telling (JPEG blurs white)
CRUSHED = 6  # grey level up to which a byte is a coarse measure of light
TELLING = (8.0, 180.0)  # least grey level of the darker shot, and of the brighter one, where their scale is measured
MOST_APART = 4.0  # factor by which that scale may differ from the measured gain
LEAST_KNOWN = 64  # pixels by which it is measured
COMMON = 0.02  # say of the common scale against that of a pixel's channels
TINY = 1e-6


def measure(capture: Capture, pictures: Mapping[ImageName, Bytes], land: Land) -> Light:
    """Gains and the brightness of the scene of a clean pair, from the whole pictures.

    The two shots of a bracket differ by a factor in linear light: the median ratio of lumas where neither clips, or
    5.7 stops where fewer than 1% of the pixels can be compared (`assumed`). Other pairs share one exposure (`equal`),
    and one picture tells.
    """
    if not capture.bracketed:
        seen = shrink(pictures[capture.guide], MEASURED_AT)
        linear = to_linear(seen)
        return _light(linear, land, night_of(luma(linear)), dict.fromkeys(capture.modalities, 1.0), "equal")
    a, b = (shrink(pictures[name], MEASURED_AT) for name in ("a", "b"))
    linear_a, linear_b = luma(to_linear(a)), luma(to_linear(b))
    level_a, level_b = luma(a), luma(b)
    usable = (np.minimum(level_a, level_b) >= DARKEST) & (np.maximum(level_a, level_b) <= BRIGHTEST)
    gain: dict[ImageName, float]
    kind: GainKind
    if usable.mean() < LEAST_SHARE:
        gain, kind = {"a": 2.0**-ASSUMED_STOPS, "b": 1.0}, "assumed"
    else:
        ratio = float(np.median(linear_a[usable] / linear_b[usable]))
        gain, kind = {"a": min(1.0, ratio), "b": min(1.0, 1 / ratio)}, "measured"
    brighter_is_a = gain["a"] == 1.0
    bright = linear_a if brighter_is_a else linear_b
    return _light(to_linear(a if brighter_is_a else b), land, night_of(bright, bracketed=True), gain, kind)


def _light(image: Floats, land: Land, night: float, gain: dict[ImageName, float], kind: GainKind) -> Light:
    sky = None
    if land.sky is not None:
        small = in_colour(cv2.resize(image, land.sky.shape[::-1], interpolation=cv2.INTER_AREA))
        sky = cv2.mean(small, mask=land.low_sky.astype(np.uint8))[:3]
    step = max(1, max(image.shape[:2]) // SORTED_AT)
    image = np.ascontiguousarray(image[::step, ::step])
    radiance = luma(image)
    p50, p80, p95, white = np.percentile(radiance, (50, 80, 95, WHITE))
    if sky is not None and max(sky) < UNCLIPPED_SKY:
        bright = sky
    else:
        bright = cv2.mean(in_colour(image), mask=cv2.inRange(radiance, p80, p95))[:3]
    warmth = float(np.clip(math.sqrt(bright[0] / bright[2]), 1 / MOST_WARM, MOST_WARM)) if min(bright) > 0 else 1.0
    level = None if sky is None else float(np.dot(sky, (0.299, 0.587, 0.114)))
    if level is not None and level > DAY_SKY:
        night = 0.0
    return Light(float(white), float(p50), level, warmth, night, gain, kind)


def unclip(image: Bytes, other: Bytes, gain: float, other_gain: float, curve: str = SRGB) -> Floats:
    """One image of a bracket in linear light, what it clipped refilled from the other through the gains.

    A channel that nears white becomes what the darker shot saw there, never less than it was. It fades in over some
    grey levels, scaled by the channels of the pixel that still tell, so that all together have that shot's hue, or by
    the rest of the picture, as cameras bend their curves near white. Near black, what
    the brighter shot saw tells which light a byte stands for. So effects mix the light that was there, and what clips
    again is recorded as white and black as before. curve: of the camera.
    """
    colour = image.ndim == 3
    out = light_by(curve, image)
    there = in_colour(other) if colour else luma(other)
    seen = light_by(curve, there)
    seen *= np.float32(gain / other_gain)
    if gain < other_gain:
        coarse = image <= CRUSHED
        least, most = (darkest_by(curve, image + np.float32(half)) for half in (-0.5, 0.5))
        return np.where(coarse, np.clip(seen, np.maximum(least, 0), most), out)
    planes, planes_seen = (_planes(picture) for picture in (out, seen))
    telling = [1 - _nearly_white(plane) for plane in _planes(image)]
    least = reduce(np.minimum, telling)
    if (least == 1).all():
        return out
    level, level_seen = luma(out), luma(seen)
    known = (luma(there) >= TELLING[0]) & (luma(image) >= TELLING[1]) & (least == 1)
    common = float(np.median(level[known] / level_seen[known])) if known.sum() >= LEAST_KNOWN else 1.0
    common = float(np.clip(common, 1 / MOST_APART, MOST_APART))
    # Channels that still tell are met; where none does, the scale that all others have.
    met = sum(share * plane * other for share, plane, other in zip(telling, planes, planes_seen, strict=True))
    there_is = sum(share * other * other for share, other in zip(telling, planes_seen, strict=True))
    square = np.float32(COMMON) * sum(other * other for other in planes_seen) + np.float32(TINY)
    scale = (met + np.float32(common) * square) / (there_is + square)
    refilled = []
    for share, plane, other in zip(telling, planes, planes_seen, strict=True):
        refilled.append(share * plane + (1 - share) * np.maximum(scale * other, plane))  # it was at least as bright
    return cv2.merge(refilled) if colour else refilled[0]


def _planes(image: NDArray[Any]) -> Sequence[NDArray[Any]]:
    return cv2.split(image) if image.ndim == 3 else [image]


def _nearly_white(plane: Bytes) -> Floats:
    """0 up to where a channel tells, 1 where it is clipped."""
    return np.clip((plane - np.float32(CLIPPED[0])) / np.float32(CLIPPED[1] - CLIPPED[0]), 0, 1)
