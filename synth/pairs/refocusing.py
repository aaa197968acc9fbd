"""A focus pair from one photograph: its layers, each blurred by the disc that a lens would make of it, near over far.

The circle of confusion of a thin lens grows with the distance of a thing's disparity from that of the plane in focus.
A layer that is blurred spreads over what is behind it, since its edge is; one that is sharp does not. What is behind a
layer is filled from around, so that no layer's light stands in another's.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from synth.degradations.defocus import spread_disc
from synth.images.pixels import Bytes, Floats, luma, to_bytes, to_linear
from synth.pairs.layers import Layers, filled, per_channel

RADIUS_SHARE = (0.004, 0.02)  # of the long side: the largest disc
SMALLEST = 1.5  # pixels
ENDS = (0.1, 0.9)  # of all detail: the shares that are farther than the planes in focus, at their extremes
LEAST_APART = 0.3  # of all disparity: so far are the planes from each other at least, before the next
STEP = 3  # pixels of which one is looked at for that
FOCUS_SHARE = 0.1  # of what lies between those: how far inside the planes in focus are at most
SHARP_SHARE = (0.42, 0.6)  # of what lies between both planes: so far from one of them a thing is sharp as well
RADII = (0.0, 0.2, 0.45, 1.0)  # of the largest: discs that are laid; between them it is mixed
SEEN = 8.0  # a pixel of which this layer has the inverse share shows it: where two layers meet, both do
LEAST_RADIUS = 0.3  # pixels: a smaller disc shows nothing


@dataclass(frozen=True)
class RefocusParams:
    """radius: of the largest disc, in pixels. sharp: how far from the plane in focus a thing is sharp as well, a share
    of what lies between the two. near, far: disparity of the plane in focus in each image."""

    radius: float
    sharp: float
    near: float
    far: float


def draw_refocus(photograph: Bytes, layers: Layers, rng: Generator) -> RefocusParams:
    """The lens, how wide it is open, and the planes in focus: near either end of what has detail, as people choose."""
    radius = float(np.exp(rng.uniform(*np.log(RADIUS_SHARE)))) * max(layers.disparity.shape)
    detail = np.abs(cv2.Laplacian(luma(photograph), cv2.CV_32F))[::STEP, ::STEP].ravel()
    disparity = layers.disparity[::STEP, ::STEP].ravel()
    order = np.argsort(disparity)
    share = np.cumsum(detail[order] + np.float32(1e-3))
    low, high = (float(end) for end in np.interp(ENDS, share / share[-1], disparity[order]))
    apart = max(high - low, LEAST_APART)
    low = min(max((low + high - apart) / 2, 0), 1 - apart)
    high = low + apart
    near, far = (float(share) * (high - low) for share in rng.uniform(0, FOCUS_SHARE, 2))
    return RefocusParams(max(radius, SMALLEST), float(rng.uniform(*SHARP_SHARE)), high - near, low + far)


def refocus(photograph: Bytes, layers: Layers, params: RefocusParams) -> tuple[Bytes, Bytes]:
    """The image in focus near and that in focus far, each of the photograph's shape."""
    light = to_linear(photograph)
    span = max(params.near - params.far, 1e-3)
    scale, sharp = np.float32(params.radius / (1 - params.sharp) / span), np.float32(params.sharp * span)
    near, far = light.copy(), light.copy()
    known = np.zeros(light.shape[:2], np.float32)
    for mask in layers.masks:
        known = known + mask  # what is nearer than this hides it
        part = _around(mask, round(2 * params.radius) + 1)
        seen = np.minimum(1, mask[part] * np.float32(SEEN))
        # What is beyond either plane is as sharp there as what is in it: no place is blurred in both images.
        disparity = np.clip(filled(layers.disparity[part], seen), params.far - sharp, params.near + sharp)
        cover = None if mask is layers.masks[0] else filled(mask[part], known[part])
        discs = _Discs(filled(light[part], seen), cover, params.radius)
        for image, plane in ((near, params.near), (far, params.far)):
            image[part] = discs.over(image[part], np.maximum(0, np.abs(disparity - np.float32(plane)) - sharp) * scale)
    return to_bytes(near), to_bytes(far)


def _around(mask: Floats, margin: int) -> tuple[slice, slice]:
    """The part of a picture in which a layer is, and so far around it; all of it where the layer is nowhere."""
    spans = []
    for axis in (1, 0):
        there = np.flatnonzero(mask.max(axis=axis) > 0)
        low, high = (int(there[0]), int(there[-1])) if there.size else (0, mask.shape[1 - axis])
        spans.append(slice(max(0, low - margin), high + margin + 1))
    return spans[0], spans[1]


class _Discs:
    """A layer under discs of several radii, each made once for both images. cover: (H, W) in [0, 1], None for all."""

    def __init__(self, plate: Floats, cover: Floats | None, largest: float) -> None:
        self._made: dict[float, tuple[Floats, Floats | None]] = {0.0: (plate, cover)}
        self._largest = largest

    def over(self, below: Floats, radii: Floats) -> Floats:
        """The layer over what is behind it. radii: (H, W), of the disc at each pixel."""
        steps = [share * self._largest for share in RADII]
        passed = [np.ones_like(radii)]  # how far a radius is from each step to the next
        for low, high in pairwise(steps):
            passed.append(np.clip((radii - np.float32(low)) * np.float32(1 / (high - low)), 0, 1))
        plate, covered = np.zeros_like(below), np.zeros_like(radii)
        for radius, here, beyond in zip(steps, passed, [*passed[1:], None], strict=True):
            share = here if beyond is None else here - beyond
            if share.any():
                colour, cover = self._at(radius)
                plate += per_channel(share, below) * colour
                covered += share if cover is None else share * cover
        return below + per_channel(covered, below) * (plate - below)

    def _at(self, radius: float) -> tuple[Floats, Floats | None]:
        if radius < LEAST_RADIUS:
            return self._made[0.0]
        if radius not in self._made:
            plate, cover = self._made[0.0]
            self._made[radius] = spread_disc(plate, radius), None if cover is None else spread_disc(cover, radius)
        return self._made[radius]
