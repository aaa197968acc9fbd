"""Four plain fusions that the targets are measured beside: average, maximum, Laplacian pyramid and wavelet.

Each fuses luma; colour differences are the visible image's (vif), or the mean of both (mef, mff). The two
pyramids take at each place the larger coefficient, and the mean of their coarsest levels.
"""

from collections.abc import Callable

import cv2
import numpy as np

from synth.images.pixels import Bytes, Floats, in_colour, luma, round_to_bytes

LEVELS = 4  # of both pyramids: down to a sixteenth

Plane = Floats  # (H, W), in grey levels


def fuse(method: str, task: str, a: Bytes, b: Bytes) -> Bytes:
    """The fusion of a clean pair by one of `METHODS`: (H, W, 3) where either image has colour, else (H, W)."""
    fused = METHODS[method](luma(a.astype(np.float32)), luma(b.astype(np.float32)))
    if a.ndim == 2 and b.ndim == 2:
        return round_to_bytes(fused)
    first, second = (in_colour(image).astype(np.float32) for image in (a, b))
    chroma = first if task == "vif" else (first + second) / 2
    return round_to_bytes(chroma + (fused - luma(chroma))[:, :, None])


def average(a: Plane, b: Plane) -> Plane:
    """The mean of both."""
    return (a + b) / 2


def maximum(a: Plane, b: Plane) -> Plane:
    """The brighter of both."""
    return np.maximum(a, b)


def laplacian(a: Plane, b: Plane) -> Plane:
    """Burt and Adelson's pyramid, as Toet fuses it ("Image fusion by a ratio of low-pass pyramid", 1989)."""
    details = []
    for _ in range(LEVELS):
        small = [cv2.pyrDown(x) for x in (a, b)]
        size = a.shape[1::-1]
        details.append(_stronger(*(x - cv2.pyrUp(s, dstsize=size) for x, s in zip((a, b), small, strict=True))))
        a, b = small
    fused = (a + b) / 2
    for detail in reversed(details):
        fused = cv2.pyrUp(fused, dstsize=detail.shape[1::-1]) + detail
    return fused


def wavelet(a: Plane, b: Plane) -> Plane:
    """The wavelet transform of Cohen, Daubechies and Feauveau (5/3, as in JPEG 2000), by lifting."""
    height, width = a.shape
    multiple = 2**LEVELS
    pad = ((0, -height % multiple), (0, -width % multiple))
    fused = _wavelet(np.pad(a, pad, mode="symmetric"), np.pad(b, pad, mode="symmetric"), LEVELS)
    return fused[:height, :width]


def _wavelet(a: Plane, b: Plane, levels: int) -> Plane:
    if levels == 0:
        return (a + b) / 2
    bands = []
    for plane in (a, b):
        low, high = _split(plane)
        bands.append([part.T for half in (low, high) for part in _split(half.T)])  # each split works along rows
    coarse = _wavelet(bands[0][0], bands[1][0], levels - 1)
    details = [_stronger(x, y) for x, y in zip(bands[0][1:], bands[1][1:], strict=True)]
    low, high = _join(coarse.T, details[0].T).T, _join(details[1].T, details[2].T).T
    return _join(low, high)


def _split(plane: Plane) -> tuple[Plane, Plane]:
    """Lifting along axis 0, whose length is even: details of odd rows, then smooth even rows."""
    even, odd = plane[0::2], plane[1::2]
    high = odd - (even + np.vstack([even[1:], even[-1:]])) / 2
    return even + (np.vstack([high[:1], high[:-1]]) + high) / 4, high


def _join(low: Plane, high: Plane) -> Plane:
    """The inverse of `_split`."""
    even = low - (np.vstack([high[:1], high[:-1]]) + high) / 4
    plane = np.empty((2 * len(even), even.shape[1]), np.float32)
    plane[0::2], plane[1::2] = even, high + (even + np.vstack([even[1:], even[-1:]])) / 2
    return plane


def _stronger(x: Plane, y: Plane) -> Plane:
    return np.where(np.abs(x) >= np.abs(y), x, y)


METHODS: dict[str, Callable[[Plane, Plane], Plane]] = {
    "average": average,
    "maximum": maximum,
    "Laplacian pyramid": laplacian,
    "wavelet": wavelet,
}
