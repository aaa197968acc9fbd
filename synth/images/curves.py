"""Camera curves: how the light on a sensor becomes the bytes of a file, sRGB's and some that were measured.

A camera rarely writes the curve of sRGB: it bends highlights into a shoulder, so that half a grey byte is a tenth of
white, not a fifth. `MEASURED` holds curves fitted to brackets of four cameras by `python -m bench.camera_curves`, which
says how: numbers alone, no pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images import pixels
from synth.images.pixels import Bytes, Floats

STEPS = 1 << 16  # entries of the tables from light to levels
EXPONENTS = (1.0, 2.0, 4.0, 8.0, 0.5)
"""log light(x) = γ (log sRGB(x) + Σ c (1 − x^p)), x = byte / 255: one c for each of these p."""
MEASURED: Mapping[str, tuple[float, tuple[float, ...]]] = {
    "hdrps": (1.220, (1.143, -0.219, -0.817, -0.346, 1.668)),
    "empa_hdr": (1.190, (1.078, 0.042, -0.734, -0.642, 1.246)),
    "ntu_kim": (1.010, (1.010, -0.364, -1.002, -0.478, 1.450)),
    "ntu_ssar": (1.449, (1.468, -0.365, -1.000, -0.418, 2.372)),
}
"""γ and c by the data set whose brackets were measured."""
SRGB = "srgb"


@dataclass(frozen=True, eq=False)
class Curve:
    """light: (256,) float32, the light of each byte, 0 for black and 1 for white, rising."""

    light: Floats

    @cached_property
    def _levels(self) -> Floats:
        steps = np.arange(STEPS) / (STEPS - 1)
        return np.interp(steps, self.light.astype(np.float64), np.arange(256.0)).astype(np.float32)

    @cached_property
    def _light_between(self) -> Floats:
        return np.interp(np.arange(STEPS) / 256, np.arange(256.0), self.light).astype(np.float32)

    @cached_property
    def _bytes(self) -> Bytes:
        return np.rint(self._levels).astype(np.uint8)

    def to_linear(self, image: Bytes) -> Floats:
        """Bytes to linear light in [0, 1], float32 of the same shape."""
        return cv2.LUT(image, self.light)

    def to_srgb(self, linear: Floats) -> Floats:
        """Linear light, clipped to [0, 1], to grey levels in [0, 255], float32, by straight lines between bytes."""
        return cv2.LUT(_table_index(linear), self._levels)

    def to_bytes(self, linear: Floats) -> Bytes:
        """Linear light, clipped to [0, 1], to bytes. `to_bytes(to_linear(x))` is x for every byte."""
        return cv2.LUT(_table_index(linear), self._bytes)

    def light_of(self, levels: Floats) -> Floats:
        """Linear light of grey levels between bytes, (H, W) or (H, W, 3) float32, in steps of 1/256 of a level."""
        return cv2.LUT(cv2.addWeighted(levels, 256, levels, 0, 0, dtype=cv2.CV_16U), self._light_between)


def _table_index(linear: Floats) -> NDArray[np.uint16]:
    return cv2.addWeighted(linear, STEPS - 1, linear, 0, 0, dtype=cv2.CV_16U)


def names() -> tuple[str, ...]:
    """All curves, sRGB's first."""
    return (SRGB, *MEASURED)


def light_by(name: str, image: Bytes) -> Floats:
    """Bytes to linear light in [0, 1] by the curve of a name."""
    return pixels.to_linear(image) if name == SRGB else curve(name).to_linear(image)


def darkest_by(name: str, levels: Floats) -> Floats:
    """Linear light of the lowest ten grey levels, between bytes too; sRGB's is a straight line."""
    return levels * np.float32(1 / 255 / 12.92) if name == SRGB else curve(name).light_of(levels)


def as_srgb(image: Bytes, name: str) -> Bytes:
    """What a camera of sRGB's curve would have made of the same light."""
    return image if name == SRGB else pixels.to_bytes(light_by(name, image))


@lru_cache
def curve(name: str) -> Curve:
    """A curve by its name."""
    x = np.arange(1, 256) / 255
    log = np.log(np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4))
    if name != SRGB:
        power, weights = MEASURED[name]
        log = power * (log + sum(c * (1 - x**p) for c, p in zip(weights, EXPONENTS, strict=True)))
    return Curve(np.concatenate([[0.0], np.exp(log)]).astype(np.float32))
