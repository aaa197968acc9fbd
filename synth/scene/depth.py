"""Depth: from a map beside the pair, or a stand-in, named `proxy` in every record and not to be sold as depth."""

from functools import reduce

import cv2
import numpy as np

from synth.images.crop import Window, cut
from synth.images.guided_filter import guided_filter
from synth.images.pixels import Bytes, Floats, luma, shrink
from synth.scene.scene import DepthKind

NEAREST = 0.02  # of the farthest distance: a depth of nothing would be a division by nothing
WORKED_AT = 256  # pixels of the long side
HORIZON = 0.35  # of the height, from the top: the ground plane ends there
CAMERA = 0.08  # distance at the lower edge, as a share of the farthest
RAMP_SHARE = 0.75  # of the ramp against the image's own cues
GUIDE_RADIUS = 1 / 10  # of the long side
GUIDE_EPS = 1e-3  # variance of luma in [0, 1] below which the filter smooths


def distance_share(values: Floats, kind: DepthKind) -> Floats:
    """A depth map's values (any unit) as distances in (0, 1] of the farthest; `inverse` maps hold 1 / distance.

    Pixels without a value (0 in a map of distances, NaN, infinity) count as the farthest. Raises ValueError where no
    pixel has one.
    """
    values = np.where(np.isfinite(values), values, np.float32(0))
    top = float(values.max()) if values.size else 0.0
    if not top > 0:
        raise ValueError("the depth map is empty: no finite value above 0")
    share = values / np.float32(top)
    if kind == "inverse":
        share = np.float32(NEAREST) / np.maximum(share, np.float32(NEAREST))
    else:
        share = np.where(share > 0, share, np.float32(1))
    return np.clip(share, np.float32(NEAREST), 1).astype(np.float32)


def proxy(image: Bytes) -> Floats:
    """Distance as a share of the farthest, (H, W) float32 in (0, 1]: `coarse_proxy` in the size of the picture."""
    return cv2.resize(coarse_proxy(image), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)


def coarse_proxy(image: Bytes) -> Floats:
    """Distance as a share of the farthest, float32 in (0, 1], 256 px on the long side at most.

    A ground plane that recedes to a horizon, mixed with two cues (what is smooth and bright, and what has a light
    dark channel, is more often sky or far) and fitted to the edges of the image by a guided filter.
    """
    small = shrink(image, WORKED_AT)
    h, w = small.shape[:2]
    guide: Floats = luma(small).astype(np.float32) * np.float32(1 / 255)
    rows: Floats = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    below = np.clip((rows - HORIZON) / (1 - HORIZON), 0, 1)
    ramp = np.broadcast_to(CAMERA / (CAMERA + (1 - CAMERA) * below), (h, w))

    darkest = reduce(cv2.min, cv2.split(small))
    patch = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, w // 32) | 1,) * 2)
    dark_channel = cv2.erode(darkest, patch).astype(np.float32) / 255
    busy = cv2.boxFilter(np.abs(guide - cv2.boxFilter(guide, -1, (5, 5))), -1, (15, 15))
    smooth = np.clip(1 - busy / 0.03, 0, 1)
    cues = np.clip(dark_channel * (0.5 + 0.5 * smooth), 0, 1) * (1 - rows)

    mixed = (RAMP_SHARE * ramp + (1 - RAMP_SHARE) * cues * 1.2).astype(np.float32)
    fitted = guided_filter(guide, mixed, max(2, round(GUIDE_RADIUS * max(h, w))), GUIDE_EPS)
    return np.clip(fitted / max(float(fitted.max()), 1e-6), NEAREST, 1).astype(np.float32)


def window_of(depth: Floats, picture: tuple[int, int], window: Window, size: int) -> Floats:
    """The depth of a sample, (size, size): its window of a map of any resolution over a picture of (height, width)."""
    if depth.shape == picture:
        return cut(depth, window, size)
    down, across = depth.shape[0] / picture[0], depth.shape[1] / picture[1]
    step = window.w / size
    left = window.x + (window.w - 0.5 * step if window.flip else 0.5 * step)
    matrix = np.array(
        [
            [across * (-step if window.flip else step), 0, across * left - 0.5],
            [0, down * step, down * (window.y + 0.5 * step) - 0.5],
        ]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(depth, matrix, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
