"""The layers of a photograph, from the farthest to the nearest: of its depth map, or of its regions where it has none.

A stand-in for depth, and not to be sold as it: regions are cut out, those that stand upright get the distance of the
ground at their feet, wide ones lie on the ground themselves (after Hoiem, Efros, Hebert, "Automatic photo pop-up",
SIGGRAPH 2005, without its learning). What it needs to be is plausible, and sharp where objects end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from synth.images.guided_filter import guided_filter
from synth.images.pixels import Bytes, Floats, in_colour, luma, shrink

MOST_LAYERS = 3
LEAST_SHARE = 0.02  # of the picture: a smaller layer is part of its neighbour
BINS = 64  # of the histogram of disparities
HOLES = 7  # pixels: narrower holes of a depth map, which count as the farthest, are closed
WORKED_AT = 96  # pixels of the long side
REGION_SCALE, REGION_LEAST = 250.0, 1 / 100  # of the segmentation, and the smallest region as a share of the picture
RIM = 0.25  # a region of which less is left without its outermost pixels is a rim
HORIZON = (0.15, 0.5)  # of the height from the top
WIDE, LARGE = 0.6, 0.25  # of the width, of the picture: a region beyond that lies on the ground, or is the sky
UPRIGHT = 0.25  # how much nearer than its feet what stands in the middle is
ON_TOP = 0.8  # of its width: a region above another that is so far over it is part of the same thing
EDGE_RADIUS, EDGE_EPS = 1 / 60, 1e-4  # of the filter that fits masks to edges: of the long side, variance of luma
EDGE_SLOPE = 3.0  # of a mask's edge after that


@dataclass(frozen=True, eq=False)
class Layers:
    """disparity: (H, W) float32 in [0, 1], the inverse of distance, 1 at the nearest. masks: (H, W) float32 in [0, 1]
    each, from the farthest to the nearest, of sum 1: hard inside, soft along edges."""

    disparity: Floats
    masks: Sequence[Floats]


def layers_of(photograph: Bytes, depth: Floats | None, rng: Generator) -> Layers:
    """Two or three layers; one where nothing stands out. depth: (H, W), distance as a share of the farthest."""
    height, width = photograph.shape[:2]
    if depth is not None:
        hole = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (HOLES, HOLES))
        disparity = cv2.morphologyEx(_unit(np.float32(1) / depth), cv2.MORPH_CLOSE, hole)
        nearer = [cv2.GaussianBlur((disparity > cut).astype(np.float32), (3, 3), 0) for cut in _cuts(disparity)]
        return Layers(disparity, _masks(nearer, (height, width)))
    small = shrink(photograph, WORKED_AT)
    coarse = _popped_up(small, rng)
    guide = luma(photograph).astype(np.float32) * np.float32(1 / 255)
    radius = max(2, round(EDGE_RADIUS * max(height, width)))
    cuts = _cuts(coarse)
    masks = _masks([_fitted((coarse > cut).astype(np.float32), guide, radius) for cut in cuts], (height, width))
    labels = np.digitize(coarse, cuts)
    disparity = np.zeros((height, width), np.float32)
    for number, mask in enumerate(masks):
        of_layer = filled(coarse, (labels == number).astype(np.float32))
        disparity += mask * cv2.resize(of_layer, (width, height), interpolation=cv2.INTER_LINEAR)
    return Layers(disparity, masks)


def filled(image: Floats, known: Floats) -> Floats:
    """An image, (H, W) or (H, W, 3), continued smoothly from where it is known, (H, W) in [0, 1], to where it is not.

    Averages of ever larger cells of what is known fill the gaps (Gortler et al., "The lumigraph", SIGGRAPH 1996).
    """
    return _pulled(image * per_channel(known, image), known)


def per_channel(weight: Floats, image: Floats) -> Floats:
    """(H, W) for each channel of an image."""
    return weight if image.ndim == 2 else cv2.merge([weight] * 3)


def _pulled(image: Floats, known: Floats) -> Floats:
    """image: times what is known of it."""
    height, width = known.shape
    here = image / per_channel(np.maximum(known, np.float32(1e-6)), image)
    if min(height, width) < 2 or known.min() >= 1:
        return here
    size = ((width + 1) // 2, (height + 1) // 2)
    smaller, share = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (image, known))
    full = np.minimum(1, share * 4)
    smaller *= per_channel(full / np.maximum(share, np.float32(1e-6)), image)
    below = cv2.resize(_pulled(smaller, full), (width, height), interpolation=cv2.INTER_LINEAR)
    return below + per_channel(known, image) * (here - below)


def _popped_up(image: Bytes, rng: Generator) -> Floats:
    """Disparity of a small picture by its regions, (h, w) in [0, 1]."""
    height, width = image.shape[:2]
    labels = _regions(image)
    horizon = rng.uniform(*HORIZON) * height
    ground = np.clip((np.arange(height, dtype=np.float32) - horizon) / (height - horizon), 0, 1)
    out = np.broadcast_to(ground[:, None], (height, width)).copy()
    upright: dict[int, tuple[float, tuple[int, int]]] = {}
    boxes = [(int(label), here, *_span(here)) for label in np.unique(labels) for here in [labels == label]]
    for label, here, top, foot, left, right in sorted(boxes, key=lambda box: -box[3]):
        if right - left > WIDE * width or here.mean() > LARGE:
            continue  # on the ground, or the sky
        under = _under(labels, here, label)
        if under in upright and _within((left, right), upright[under][1]):
            far = upright[under][0]  # it stands on what stands, as a head does
        else:
            middle = 1 - abs((left + right) / width - 1)
            inside = top > 0 and left > 0 and right < width
            far = float(ground[min(foot, height - 1)]) + (UPRIGHT * middle if inside else 0)
        upright[label] = far, (left, right)
        out[here] = far
    return _unit(out)


def _regions(image: Bytes) -> NDArray[np.int64]:
    """Regions of a small picture by number, (h, w). The rims that soft edges make between two go to the nearer one."""
    from scipy.ndimage import distance_transform_edt
    from skimage.segmentation import felzenszwalb

    least = max(4, round(REGION_LEAST * image.shape[0] * image.shape[1]))
    labels = felzenszwalb(in_colour(image), scale=REGION_SCALE, sigma=0.8, min_size=least)
    inside = np.zeros(labels.shape, bool)
    for label in range(int(labels.max()) + 1):
        here = (labels == label).astype(np.uint8)
        core = cv2.erode(here, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        if core.sum() > RIM * here.sum():
            inside |= here.astype(bool)
    if not inside.any():
        return labels
    nearest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def _span(here: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Of a region, its first row, the row after its last but for a twentieth of it, and its columns likewise."""
    rows, columns = here.sum(axis=1).cumsum(), np.flatnonzero(here.any(axis=0))
    foot = int(np.searchsorted(rows, 0.95 * rows[-1])) + 1
    return int(np.flatnonzero(rows)[0]), foot, int(columns[0]), int(columns[-1]) + 1


def _under(labels: NDArray[np.int64], here: NDArray[np.bool_], label: int) -> int:
    """The region that most of a region's lower edge stands on; -1 where there is none."""
    height = len(labels)
    columns = np.flatnonzero(here.any(axis=0))
    lowest = height - np.argmax(here[::-1, columns], axis=0)
    below = labels[np.minimum(lowest, height - 1), columns]
    counts = np.bincount(below[below != label], minlength=1)
    return int(counts.argmax()) if 2 * counts.max() > len(columns) else -1


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether most of a span lies in another."""
    return min(span[1], other[1]) - max(span[0], other[0]) >= ON_TOP * (span[1] - span[0])


def _unit(values: Floats) -> Floats:
    low, high = np.percentile(values, (1, 99))
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _cuts(disparity: Floats) -> list[float]:
    """The disparities between layers: those of Otsu, fewer where a layer would be small."""
    from skimage.filters import threshold_multiotsu

    values = disparity[:: max(1, disparity.shape[0] // 128), :: max(1, disparity.shape[1] // 128)]
    for count in range(MOST_LAYERS, 1, -1):
        try:
            cuts = threshold_multiotsu(values, classes=count, nbins=BINS)
        except ValueError:  # fewer different values than classes
            continue
        shares = np.histogram(values, [-np.inf, *cuts, np.inf])[0] / values.size
        if shares.min() >= LEAST_SHARE:
            return [float(cut) for cut in cuts]
    return []


def _fitted(mask: Floats, guide: Floats, radius: int) -> Floats:
    """A coarse mask in the size of the picture, its edge that of the picture."""
    mask = cv2.medianBlur((mask * 255).astype(np.uint8), 5).astype(np.float32) * np.float32(1 / 255)
    large = cv2.resize(mask, guide.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip((guided_filter(guide, large, radius, EDGE_EPS) - 0.5) * EDGE_SLOPE + 0.5, 0, 1)


def _masks(nearer: list[Floats], size: tuple[int, int]) -> list[Floats]:
    """From masks of all that is nearer than each cut to those of the layers."""
    stack = [np.ones(size, np.float32)]
    for mask in nearer:
        stack.append(np.minimum(stack[-1], mask))
    return [mask - after for mask, after in zip(stack, [*stack[1:], np.zeros(size, np.float32)], strict=True)]
