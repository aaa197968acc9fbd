"""Exposure fusion as a target: its pyramid's result drawn into range, its colours those of its sources."""

import numpy as np

from synth.images.exposure_fusion import blend, choose, hues, into_range, recoloured
from synth.images.pixels import Bytes, Floats, luma
from synth.targets.colour import recolour

METHOD = "mertens-3"  # changes with the pixels, and stands in the record


def fuse(a: Bytes, b: Bytes) -> Bytes:
    """The fusion of two exposures, (H, W, 3) where either has colour, else (H, W)."""
    colours, intensity = blended(a, b, choose(a, b))
    return recolour(into_range(intensity, colours, a, b), colours)


def blended(a: Bytes, b: Bytes, weight: Floats) -> tuple[Floats, Floats]:
    """The blend of two pictures by a weight, (H, W, 3) or (H, W), and its luma, (H, W): about in [0, 1]. Where one is
    clipped the colours are the other's."""
    first, second = recoloured(a, b), recoloured(b, a)
    levels = blend(first, second, weight)
    if levels.ndim == 2:
        unit = levels * np.float32(1 / 255)
        return unit, unit
    colours = hues(levels, first, second)
    return colours, luma(colours)
