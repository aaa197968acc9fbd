"""Depth from a user's own network (ONNX)."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synth.errors import UserError
from synth.images.onnx import open_network, run_network
from synth.images.pixels import Bytes, Floats, in_colour

SIDE, MULTIPLE = 518, 14  # pixels of the long side where a network takes any size, and what they are multiples of
MEAN: Floats = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, as MiDaS and Depth Anything expect
STD: Floats = np.array([0.229, 0.224, 0.225], np.float32)


def depth_of(image: Bytes, path: Path) -> Floats:
    """What a depth network says of an image: (H, W) float32 in its own units.

    The network takes one input (1, 3, h, w), normalised by the mean and deviation of ImageNet, of a fixed size or any,
    and gives (1, h, w) or (1, 1, h, w). Raises UserError where it does not.
    """
    session = open_network(path)
    if len(session.get_inputs()) != 1:
        raise UserError(f"{path.name}: a depth network takes one image, this has {len(session.get_inputs())} inputs")
    wanted = session.get_inputs()[0]
    height, width = _size(wanted.shape, image)
    small = cv2.resize(in_colour(image), (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    normal = ((small - MEAN) / STD).transpose(2, 0, 1)[None]
    out = np.asarray(run_network(path, {wanted.name: np.ascontiguousarray(normal, np.float32)}))
    depth = out.squeeze()
    if depth.ndim != 2 or not np.isfinite(depth).all():
        raise UserError(f"{path.name}: gave shape {out.shape}, finite values of (1, h, w) or (1, 1, h, w) are needed")
    return cv2.resize(depth.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _size(shape: list[Any], image: Bytes) -> tuple[int, int]:
    height, width = shape[-2:]
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    scale = SIDE / max(image.shape[:2])
    fitted = [max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in image.shape[:2]]
    return fitted[0], fitted[1]
