"""Arrays of pixels: their types, and the way between sRGB bytes and linear light.

An image is (H, W) where it is grey and (H, W, 3), red first, where it has colour. Bytes are sRGB (IEC 61966-2-1);
linear light is float32, 1 being the white of the brighter image of a pair, unclipped.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]  # (H, W) or (H, W, 3), sRGB
Floats: TypeAlias = NDArray[np.float32]  # (H, W) or (H, W, 3)

_STEPS = 1 << 16  # entries of the tables: twenty for each grey level where levels stand closest, near black


def _srgb_to_linear(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _linear_to_srgb(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)


_LINEAR = _srgb_to_linear(np.arange(256) / 255).astype(np.float32)
_SRGB = (255 * _linear_to_srgb(np.arange(_STEPS) / (_STEPS - 1))).astype(np.float32)
_SRGB_BYTES = np.rint(_SRGB).astype(np.uint8)


def to_linear(image: Bytes) -> Floats:
    """sRGB bytes to linear light in [0, 1], float32 of the same shape."""
    return cv2.LUT(image, _LINEAR)


def _table_index(linear: Floats) -> NDArray[np.uint16]:
    """Linear light as 16 bits, clipped and rounded in one pass."""
    return cv2.addWeighted(linear, _STEPS - 1, linear, 0, 0, dtype=cv2.CV_16U)


def to_srgb(linear: Floats) -> Floats:
    """Linear light, clipped to [0, 1], to sRGB grey levels in [0, 255], float32, within 0.05 of a level."""
    return cv2.LUT(_table_index(linear), _SRGB)


def to_bytes(linear: Floats) -> Bytes:
    """Linear light, clipped to [0, 1], to sRGB bytes. `to_bytes(to_linear(x))` is x for every byte."""
    return cv2.LUT(_table_index(linear), _SRGB_BYTES)


def round_to_bytes(levels: Floats) -> Bytes:
    """sRGB grey levels (float32, any range) to bytes, rounded and clipped."""
    return cv2.addWeighted(levels, 1, levels, 0, 0, dtype=cv2.CV_8U)


def luma(image: NDArray) -> NDArray:
    """Rec. 601 luma of an image of either shape, in its own units and dtype."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image


def in_colour(image: NDArray) -> NDArray:
    """The same image with three channels."""
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def channels(image: NDArray) -> int:
    """1 for a grey image, 3 for one with colour."""
    return 3 if image.ndim == 3 else 1


def shrink(image: NDArray, long_side: int) -> NDArray:
    """The image with its long side at most `long_side` pixels: averaged over whole pixels, then interpolated.

    OpenCV averages areas by whole factors ten times as fast as by others, so the far edges may lose a few pixels.
    """
    h, w = image.shape[:2]
    scale = long_side / max(h, w)
    if scale >= 1:
        return image
    whole = min(int(1 / scale), h, w)
    if whole > 1:
        part = image[: h // whole * whole, : w // whole * whole]
        image = cv2.resize(part, (w // whole, h // whole), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_LINEAR)
