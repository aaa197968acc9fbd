"""A guess from the picture of a pair whether it shows a room, so that rain does not fall in it."""

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.images.pixels import Bytes, Floats, in_colour, luma, shrink
from synth.scene.capture import Capture, ImageName

LOOKED_AT = 96  # pixels of the long side
UPPER = 3  # a third of the height: outside it is sky, inside walls and lamps
BLUE = 0.02  # in [0, 1], by which blue must exceed red, and may fall short of green, to be sky
AROUND = 1.5  # σ in pixels over which gradients are compared
DARK, FLAT = 0.02, 1e-4  # added to means of channels and to energies: what is black, or flat, tells nothing

WEIGHTS = {"warmth": 4.7, "green": -9.7, "sky": -1.9, "lines": 10.2, "upright": 2.6}
OFFSET = -7.8
"""Logistic regression on half of 229 pairs that a person told apart (bench/rooms.py, docs/effects.md)."""


def room_odds(capture: Capture, pictures: Mapping[ImageName, Bytes]) -> float:
    """How much a clean pair looks like a room: above 0 it is taken for one.

    Lamps are warmer than the sky, nothing grows, and walls, shelves and tables have long edges, most of them upright or
    level. Grey pictures are told by their edges alone. Infrared says nothing.
    """
    return OFFSET + math.fsum(WEIGHTS[name] * value for name, value in signs(thumbnail(capture, pictures)).items())


def thumbnail(capture: Capture, pictures: Mapping[ImageName, Bytes]) -> Floats:
    """The mean of what is not infrared of a pair, small, (h, w, 3) in [0, 1], sRGB."""
    seen = [picture for name, picture in pictures.items() if not capture.is_infrared(name)] or list(pictures.values())
    return np.mean([in_colour(shrink(picture, LOOKED_AT)).astype(np.float32) / 255 for picture in seen], axis=0)


def signs(picture: Floats) -> dict[str, float]:
    """Of a small picture (h, w, 3) in [0, 1], sRGB, what the guess goes by.

    warmth: logarithm of red over blue in the upper third. green: of green over the mean of red and blue. sky: the share
    of the upper third that is blue. lines: the mean coherence of gradients ((λ₁ - λ₂) / (λ₁ + λ₂) of the structure
    tensor), in [0, 1]. upright: the mean of cos 4φ of the gradients, by their strength: 1 where all are along an axis.
    """
    upper = picture[: max(1, len(picture) // UPPER)]
    warm, green = _means(upper), _means(picture)
    red_up, green_up, blue_up = cv2.split(upper)
    plane = luma(picture)
    right, down = cv2.Sobel(plane, -1, 1, 0), cv2.Sobel(plane, -1, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), AROUND) for part in (right * right, down * down, right * down))
    strength = np.hypot(right, down)
    double, across = right**2 - down**2, 2 * right * down  # strength² · cos 2φ and sin 2φ
    along = (double**2 - across**2) / np.maximum(strength, np.float32(FLAT)) ** 3
    return {
        "warmth": float(np.log(warm[0] / warm[2])),
        "green": float(np.log(green[1] / ((green[0] + green[2]) / 2))),
        "sky": float(((blue_up > red_up + BLUE) & (blue_up >= green_up - BLUE)).mean()),
        "lines": float((np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + np.float32(FLAT))).mean()),
        "upright": float(along.sum() / (strength.sum() + 1e-3)),
    }


def _means(picture: Floats) -> NDArray[np.float64]:
    return picture.reshape(-1, 3).mean(0, dtype=np.float64) + DARK
