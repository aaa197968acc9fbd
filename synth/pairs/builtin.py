"""Pairs made from photographs that ship inside scikit-image: for a first run, for tests and for pictures in documents.

Each source is named for what it is. None of them replaces real pairs: the brackets and the focus are computed from
one shot, and the thermal channel is synthesised, for demonstration alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from pydantic import field_validator

from synth.errors import hint
from synth.images import codecs
from synth.images.headers import Header
from synth.images.pixels import Bytes, Floats, channels, in_colour, luma, round_to_bytes, to_bytes, to_linear
from synth.pairs.base import CleanPair, PairRef, without_idle_channels
from synth.pairs.source import Source
from synth.pairs.split import Split
from synth.scene.depth import proxy
from synth.tasks import TASKS

LICENCE = "as listed in scikit-image's data README (CC0 or public domain)"
TRAIN = ("astronaut", "camera", "chelsea", "motorcycle_left", "rocket")
TEST = ("coffee",)
FILES = {"motorcycle_left": "motorcycle_left.png", "rocket": "rocket.jpg"}

UNDER_STOPS, OVER_STOPS = -3.0, 2.0  # of the bracket, around the photograph
DEFOCUS = 0.008  # of the width: the standard deviation of the blur out of focus
FOCUS_EDGE = 0.06  # half the width of the transition between near and far, as a share of the range of depth

# Middlebury 2014, at the size that scikit-image ships: distance = focal length · baseline / (disparity + offset)
FOCAL_PX, BASELINE_M, DISPARITY_OFFSET_PX = 994.978, 0.193001, 31.086


@dataclass(frozen=True)
class Builtin:
    """A source by its name: for which task, and how its pair follows from a photograph."""

    task: str
    make: Callable[[Bytes, Floats], tuple[Bytes, Bytes, Bytes | None]]


def bracketed(photograph: Bytes, _depth: Floats) -> tuple[Bytes, Bytes, Bytes | None]:
    """Under and over exposure: the photograph, which is the truth, 3 stops down and 2 up in linear light."""
    linear = to_linear(photograph)
    return to_bytes(linear * np.float32(2.0**UNDER_STOPS)), to_bytes(linear * np.float32(2.0**OVER_STOPS)), photograph


def refocused(photograph: Bytes, depth: Floats) -> tuple[Bytes, Bytes, Bytes | None]:
    """Near and far focus: blurred in linear light behind, or before, the middle distance, with a soft mask."""
    linear = to_linear(photograph)
    blurred = cv2.GaussianBlur(linear, (0, 0), DEFOCUS * photograph.shape[1], borderType=cv2.BORDER_REFLECT_101)
    middle = float(np.median(depth))
    spread = float(np.ptp(depth)) * FOCUS_EDGE
    far = np.clip((depth - middle) / (2 * spread) + 0.5, 0, 1).astype(np.float32)
    if photograph.ndim == 3:
        far = far[:, :, None]
    near_focus = linear + (blurred - linear) * far
    far_focus = blurred + (linear - blurred) * far
    return to_bytes(near_focus), to_bytes(far_focus), photograph


def synthetic_thermal(photograph: Bytes, _depth: Floats) -> tuple[Bytes, Bytes, Bytes | None]:
    """A visible image and a thermal channel made from it, not measured: warm colours glow, fine texture is lost."""
    colour = in_colour(photograph).astype(np.float32)
    warmth = 0.5 * luma(colour) + 1.5 * (colour[:, :, 0] - colour[:, :, 2])
    smooth = cv2.bilateralFilter(cv2.GaussianBlur(warmth, (0, 0), 1.5), 9, 25, 5)
    low, high = np.percentile(smooth, (1, 99))
    return photograph, round_to_bytes((smooth - np.float32(low)) * np.float32(235 / (high - low)) + 10), None


BUILTINS: dict[str, Builtin] = {
    "bracketed": Builtin("mef", bracketed),
    "refocused": Builtin("mff", refocused),
    "synthetic_thermal": Builtin("vif", synthetic_thermal),
}


@dataclass(frozen=True)
class BuiltinPair(PairRef):
    """A pair made from a photograph when it is asked for. For demonstration, so weather falls on any of them."""

    source: str
    photograph: str

    @property
    def has_gt(self) -> bool:
        return self.task != "vif"

    def headers(self) -> tuple[Header | None, ...]:
        header = Header(*_photograph(self.photograph).image.shape[:2])
        return header, header

    def load(self) -> CleanPair:
        picture = _photograph(self.photograph)
        image = picture.image
        depth = _motorcycle_depth() if self.photograph == "motorcycle_left" else None
        a, b, gt = BUILTINS[self.source].make(image, proxy(image) if depth is None else depth)
        file = FILES.get(self.photograph, f"{self.photograph}.png")
        pictures = without_idle_channels({"a": a, "b": b}, TASKS[self.task].capture)
        source_channels = dict.fromkeys(pictures, channels(image))
        return CleanPair(pictures, gt, depth, "distance", source_channels, (file,), (picture.sha256,))


class BuiltinSource(Source):
    """Pairs made from the photographs inside scikit-image."""

    kind = "builtin"
    placeholder = None

    builtin: str
    """The name: bracketed (mef), refocused (mff), synthetic_thermal (vif)."""
    split: Split = "train"
    """Which photographs: those for train, for test, or all; train and test share none."""

    @field_validator("builtin")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in BUILTINS:
            raise ValueError(f"no built-in source {name!r}{hint(name, BUILTINS)}")
        return name

    def check(self, task: str) -> None:
        made = BUILTINS[self.builtin].task
        if made != task:
            raise ValueError(f"builtin {self.builtin} makes {made} pairs, not {task}")
        if self.split == "val":
            raise ValueError("split: val of built-in photographs, which are train and test alone")

    def pairs(self, task: str) -> Iterator[BuiltinPair]:
        """By the names of their photographs."""
        for name in sorted({"train": TRAIN, "val": (), "test": TEST, "all": TRAIN + TEST}[self.split]):
            scene = f"{self.builtin}-{name}"
            yield BuiltinPair(task, self.builtin, scene, LICENCE, self.builtin, name, indoor=False)


@lru_cache(maxsize=16)
def _photograph(name: str) -> codecs.Picture:
    from pathlib import Path

    from skimage.data import data_dir

    return codecs.read(Path(data_dir) / FILES.get(name, f"{name}.png"))


@lru_cache(maxsize=1)
def _motorcycle_depth() -> Floats:
    """The photograph's true distance as a share of the farthest; the farthest where its disparity is unknown."""
    from skimage.data import stereo_motorcycle

    disparity = np.nan_to_num(stereo_motorcycle()[2].astype(np.float32), nan=0.0, posinf=0.0)
    metres = FOCAL_PX * BASELINE_M / (np.maximum(disparity, 0) + DISPARITY_OFFSET_PX)
    return (metres / metres.max()).astype(np.float32)
