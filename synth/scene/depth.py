"""Depth: from a map beside the pair, or a stand-in, named `proxy` in every record and not to be sold as depth."""

import cv2
import numpy as np

from synth.images.crop import Window, cut
from synth.images.guided_filter import guided_filter
from synth.images.pixels import Bytes, Floats, luma, shrink
from synth.scene.land import Land, Mask, look
from synth.scene.scene import DepthKind

NEAREST = 0.02  # of the farthest distance: a depth of nothing would be a division by nothing
WORKED_AT = 256  # pixels of the long side
CAMERA = 0.08  # distance at the lower edge of a ground that ends at the horizon, as a share of the farthest
LAND = 0.85  # distance of the horizon: the sky alone is at 1
STEEP = 0.02  # of the height: rows above the horizon of a ground count as this far below it
NO_GROUND = (0.5, 0.7)  # distances where no ground recedes: of what is sharp, and of what is blurred or veiled
BELOW = 0.45  # of these at the lower edge: what is seen there is seldom the farthest
TRUST = 0.6  # exponent of the distances of what stands, against their mean: feet are easily mistaken
FEET = 0.1  # of the width over which the feet of what stands on the ground are one
LAND_RADIUS, SKY_RADIUS = 1 / 8, 1 / 50  # of the long side, of guided filters
GUIDE_EPS = 1e-3  # variance of luma in [0, 1] below which the filter smooths
NEAR_FOCUS = 0.2  # distance of what is sharp in the shot focused near
BLURRED = 1.2  # pixels of smoothing before sharpness is measured: noise is finer
FOCUS_RADIUS = 1 / 40  # of the long side, of the guided filter along its borders
GATHERED = 1 / 40  # of the long side, over which it is gathered


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
    return cv2.resize(
        coarse_proxy(image, look(image)), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR
    )


def coarse_proxy(image: Bytes, land: Land) -> Floats:
    """Distance as a share of the farthest, float32 in (0, 1], 256 px on the long side at most.

    Where a ground recedes it is a plane that ends at the horizon, and what stands on it is as far as its feet: a head
    is no farther than the hands. Where none does, all is about equally far, what is blurred or veiled a little more.
    The sky is the farthest. A guided filter lays the borders along those of the picture.
    """
    small = shrink(image, WORKED_AT)
    height, width = small.shape[:2]
    guide: Floats = luma(small).astype(np.float32) * np.float32(1 / 255)
    if land.ground is None or land.horizon is None:
        share = _without_ground(guide)
    else:
        share = cv2.resize(_standing(land.ground, land.horizon), (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip(_fitted(share, guide, LAND_RADIUS), NEAREST, LAND)
    if land.sky is not None:
        sky = cv2.resize(land.sky.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        share = share + (1 - share) * np.clip(_fitted(sky, guide, SKY_RADIUS), 0, 1)
    return share.astype(np.float32)


def _fitted(plane: Floats, guide: Floats, radius: float) -> Floats:
    return guided_filter(guide, plane, max(2, round(radius * max(guide.shape))), GUIDE_EPS)


def _standing(ground: Mask, horizon: float) -> Floats:
    """The distances of a ground and of what stands on it, (h, w): in each column, all above it is where it ends."""
    height, width = ground.shape
    rows: Floats = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    below = np.clip((rows - horizon) / (1 - horizon), STEEP, 1)
    plane = LAND * CAMERA / (CAMERA + (1 - CAMERA) * np.clip(below - STEEP, 0, 1))
    upside = ground[::-1]
    first = np.argmax(upside, axis=0)  # rows of something else below the ground of a column
    ended = ~upside & (np.arange(height)[:, None] >= first)
    feet = np.where(ended.any(axis=0), ended.argmax(axis=0), height)
    feet = np.where(ground.any(axis=0) & (first < height // 4), feet, 0)
    feet = height - 1 - np.clip(feet, 0, height - 1)  # the row of each column at which the ground ends
    span = max(1, round(FEET * width)) | 1
    feet = cv2.medianBlur(feet.astype(np.uint8)[None, :], 5) if width > 5 else feet.astype(np.uint8)[None]
    feet = cv2.blur(feet.astype(np.float32), (span, 1), borderType=cv2.BORDER_REPLICATE)
    standing = plane[np.rint(feet).astype(int)]
    middle = np.float32(np.exp(np.log(standing).mean()))
    standing = middle * (standing / middle) ** np.float32(TRUST)
    at = np.arange(height)[:, None]
    return np.where(at > np.rint(feet), plane[:, None], standing).astype(np.float32)


def _without_ground(guide: Floats) -> Floats:
    """Much the same, farther where the picture is smooth (blurred, veiled, or far), nearer in the lower half."""
    sharp = np.sqrt(cv2.boxFilter(np.square(guide - cv2.boxFilter(guide, -1, (5, 5))), -1, (25, 25)))
    near, far = NO_GROUND
    rows: Floats = np.linspace(0, 1, len(guide), dtype=np.float32)[:, None]
    lower = 1 - np.float32(1 - BELOW) * np.clip(2 * rows - 1, 0, 1)
    return lower * (far - (far - near) * np.clip(sharp / np.float32(0.06), 0, 1))


def from_focus(near: Bytes, far: Bytes) -> Floats:
    """Distances from two shots of one scene, focused near and far, as `coarse_proxy` gives them.

    What is sharper in the near shot is near; behind it, the stand-in of the far shot.
    """
    behind = coarse_proxy(far, look(far))
    height, width = behind.shape
    sharp = [_sharpness(shot, (width, height)) for shot in (near, far)]
    total = sharp[0] + sharp[1]
    lean = (sharp[0] - sharp[1]) / (total + np.float32(0.02) * total.mean() + np.float32(1e-9))
    guide: Floats = luma(shrink(near, WORKED_AT)).astype(np.float32) * np.float32(1 / 255)
    fitted = _fitted(np.clip(1.6 * lean, -1, 1), guide, FOCUS_RADIUS)
    nearness = np.clip((fitted + 1) / 2, 0, 1)
    farther = np.maximum(behind, NO_GROUND[1])
    return np.exp(nearness * np.float32(np.log(NEAR_FOCUS)) + (1 - nearness) * np.log(farther)).astype(np.float32)


def _sharpness(shot: Bytes, size: tuple[int, int]) -> Floats:
    """The energy of the finest detail above noise, gathered over a neighbourhood, (height, width) of `size`."""
    plane = cv2.GaussianBlur(luma(shot), (0, 0), BLURRED)
    detail = cv2.Laplacian(plane, cv2.CV_16S).astype(np.float32)
    small = cv2.resize(cv2.multiply(detail, detail, scale=1 / 255**2), size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), GATHERED * max(size))


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
