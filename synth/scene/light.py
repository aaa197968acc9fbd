"""The light of a whole pair: relative exposures, the brightness of the scene, and what clipping hid."""

import math
from collections.abc import Mapping

import cv2
import numpy as np

from synth.images.curves import SRGB, light_by
from synth.images.pixels import Bytes, Floats, in_colour, luma, shrink, to_linear
from synth.scene.capture import Capture, ImageName
from synth.scene.scene import GainKind, Light

MEASURED_AT = 256  # pixels of the long side: exposures need no detail
SORTED_AT = 128  # and for what is sorted, every so many of them
DARKEST, BRIGHTEST = 8, 247  # grey levels between which an exposure can be read
LEAST_SHARE = 0.01  # of pixels that neither image clips, to measure a ratio
ASSUMED_STOPS = 5.7  # the median of real brackets
NIGHT_MEAN = (0.03, 0.10)  # mean radiance at which a scene is surely night, and surely not
NIGHT_SKY = (0.06, 0.16)  # the same of its upper part, where there are lamps: streets that a camera brightened
SKY_SHARE = 0.4  # of the height
MOST_WARM = 1.5  # and coldest, its inverse: of the light that is measured
LAMP, LAMPS_SHARE = 0.9, 5e-4  # radiance of a lamp, and the share of pixels that tells of lamps
CLIPPED = 250  # grey level from which a pixel counts as clipped (JPEG leaves white a little below 255)
CRUSHED = 2  # and up to which as black


def measure(capture: Capture, pictures: Mapping[ImageName, Bytes]) -> Light:
    """Gains and the brightness of the scene of a clean pair, from the whole pictures.

    The two shots of a bracket differ by a factor in linear light: the median ratio of lumas where neither clips, or
    5.7 stops where fewer than 1% of the pixels can be compared (`assumed`). Other pairs share one exposure (`equal`),
    and one picture tells.
    """
    if not capture.bracketed:
        seen = shrink(pictures[capture.guide], MEASURED_AT)
        return _light(to_linear(seen), dict.fromkeys(capture.modalities, 1.0), "equal")
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
    return _light(to_linear(a if gain["a"] == 1.0 else b), gain, kind)


def _light(image: Floats, gain: dict[ImageName, float], kind: GainKind) -> Light:
    step = max(1, max(image.shape[:2]) // SORTED_AT)
    image = np.ascontiguousarray(image[::step, ::step])
    radiance = luma(image)
    p50, p80, p95 = np.percentile(radiance, (50, 80, 95))
    bright = cv2.mean(in_colour(image), mask=cv2.inRange(radiance, p80, p95))[:3]
    warmth = float(np.clip(math.sqrt(bright[0] / bright[2]), 1 / MOST_WARM, MOST_WARM)) if min(bright) > 0 else 1.0
    night = _below(float(radiance.mean()), NIGHT_MEAN)
    if (radiance >= LAMP).mean() >= LAMPS_SHARE:
        sky = float(np.percentile(radiance[: max(1, round(SKY_SHARE * len(radiance)))], 75))
        night = max(night, _below(sky, NIGHT_SKY))
    return Light(float(p95), float(p50), warmth, night, gain, kind)


def _below(value: float, span: tuple[float, float]) -> float:
    """1 at the lower end of a span and under it, 0 at the upper one and over it."""
    return float(np.clip((span[1] - value) / (span[1] - span[0]), 0, 1))


def unclip(image: Bytes, other: Bytes, gain: float, other_gain: float, curve: str = SRGB) -> Floats:
    """One image of a bracket in linear light, its clipped pixels refilled from the other through the gains.

    White becomes what the darker shot saw there, never less than it was; black what the brighter one saw, never more:
    so effects mix the light that was there, and what clips again is recorded as white and black as before. curve: of
    the camera.
    """
    height = len(image)
    seen = light_by(curve, in_colour(other) if image.ndim == 3 else luma(other))
    seen *= np.float32(gain / other_gain)
    out = light_by(curve, image)
    levels, flat, seen = image.reshape(height, -1), out.reshape(height, -1), seen.reshape(height, -1)
    cv2.copyTo(cv2.max(flat, seen), cv2.compare(levels, CLIPPED, cv2.CMP_GE), flat)
    cv2.copyTo(cv2.min(flat, seen), cv2.compare(levels, CRUSHED, cv2.CMP_LE), flat)
    return out
