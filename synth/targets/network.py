"""Targets from a user's own fusion network: an ONNX file of two inputs, run by onnxruntime (`mmaif[onnx]`)."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import UserError
from synth.images.onnx import hash_of, open_network, run_network
from synth.images.pixels import Bytes, Floats, in_colour, luma, round_to_bytes
from synth.targets.activity import unit_luma
from synth.targets.colour import recolour
from synth.targets.gradient import Pictures, Rules

MULTIPLE = 32  # pixels that a size is filled up to where a network takes any: most halve it some times
RANGE_SLACK = 0.05  # how far outside of [0, 1] an output may lie: networks overshoot at edges


def fuse(rules: Rules, pictures: Pictures, path: Path) -> Bytes:
    """What the network makes of a pair: (H, W, 3) where any picture has colour, else (H, W).

    Its inputs are the pictures in order, each (1, C, h, w) in [0, 1] with C = 3 (RGB) or 1 (luma); its first output is
    (1, 3, h, w) or (1, 1, h, w) in [0, 1]. Of a single channel, it is the luma of an image whose colours are those
    that the task's rules give. Raises UserError where the network keeps to none of that.
    """
    inputs = open_network(path).get_inputs()
    if len(inputs) != len(pictures):
        raise UserError(f"{path.name}: a fusion network takes {len(pictures)} images, this has {len(inputs)} inputs")
    first, *others = pictures.values()
    height, width = first.shape[:2]
    fed = {port.name: _fed(image, port.shape, path) for port, image in zip(inputs, (first, *others), strict=True)}
    padded = next(iter(fed.values())).shape[2:]
    out = _checked(run_network(path, fed), padded, path)[:, :height, :width]
    colour = any(picture.ndim == 3 for picture in pictures.values())
    if len(out) == 3:
        image = round_to_bytes(np.ascontiguousarray(out.transpose(1, 2, 0)) * np.float32(255))
        return image if colour else luma(image)
    picture = in_colour(rules.colours(pictures)) if colour else first
    return recolour(np.ascontiguousarray(out[0]), picture.astype(np.float32) * np.float32(1 / 255))


def _fed(image: Bytes, shape: list[Any], path: Path) -> Floats:
    """An image as an input of this shape: (1, C, h, w) in [0, 1]; a side that may vary is mirrored up to a multiple."""
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise UserError(f"{path.name}: an input of shape {shape}; (1, 3, h, w) or (1, 1, h, w) is needed")
    height, width = image.shape[:2]
    for wanted, side in zip(shape[2:], (height, width), strict=True):
        if isinstance(wanted, int) and wanted != side:
            raise UserError(f"{path.name}: takes {shape[3]}×{shape[2]}, the images are {width}×{height}: set crop.size")
    fill = [0 if wanted == side else -side % MULTIPLE for wanted, side in zip(shape[2:], (height, width), strict=True)]
    planes = unit_luma(image)[None] if shape[1] == 1 else in_colour(image).transpose(2, 0, 1) * np.float32(1 / 255)
    padded = [cv2.copyMakeBorder(plane, 0, fill[0], 0, fill[1], cv2.BORDER_REFLECT) for plane in planes]
    return np.stack(padded)[None]


def _checked(out: NDArray[Any], size: tuple[int, ...], path: Path) -> Floats:
    """The output as (C, h, w) in [0, 1]."""
    if out.ndim != 4 or out.shape[0] != 1 or out.shape[1] not in (1, 3) or out.shape[2:] != size:
        raise UserError(f"{path.name}: gave shape {out.shape}, (1, 3 or 1, {size[0]}, {size[1]}) is needed")
    low, high = float(out.min()), float(out.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < -RANGE_SLACK or high > 1 + RANGE_SLACK:
        raise UserError(
            f"{path.name}: gave values from {low:g} to {high:g}, [0, 1] is needed: scale them in the network"
        )
    return np.clip(out[0].astype(np.float32), 0, 1)


@lru_cache(maxsize=2)
def fingerprint(path: Path) -> str:
    """sha256 of the network's file, once for each process."""
    return hash_of(path)
