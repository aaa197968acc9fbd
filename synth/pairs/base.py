"""What a source gives: references that cost nothing, and the clean pairs behind them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from synth.images.headers import Header
from synth.images.pixels import Bytes, Floats, luma
from synth.scene.capture import Capture, ImageName
from synth.scene.scene import DepthKind

GREY_TOLERANCE = 3  # levels between channels that JPEG puts into a grey picture
LOOKED_AT = 64  # pixels a side of a first look for colour


@dataclass(frozen=True, eq=False)
class CleanPair:
    """Two registered images of one scene, of one size.

    pictures: by name, as the task has them. gt: the fused truth where the source has one. depth: (H, W) float32, the
    distance as a share of the farthest, in (0, 1], where the source has one. source_channels: as the files have them;
    an image that is grey in three equal channels, and every infrared one, is held as grey. shift: pixels to the right
    and down by which b was moved onto a, where the source asks for that. notes: what was done to the files or ignored
    of them. stretch: by image, the values of a 16-bit infrared file that became black and white.
    doubts: those of the notes that a user should hear before work: a file may not be what it is said to be.
    """

    pictures: Mapping[ImageName, Bytes]
    gt: Bytes | None
    depth: Floats | None
    depth_kind: DepthKind
    source_channels: Mapping[ImageName, int]
    files: tuple[str, ...]
    sha256: tuple[str, ...]
    shift: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    stretch: Mapping[ImageName, tuple[float, float]] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairRef(ABC):
    """A pair that may be drawn. Equal references load equal pixels.

    indoor: whether it shows a room, where no weather falls; None where nobody says, and the picture may be asked.
    """

    task: str
    dataset: str
    scene: str
    licence: str
    indoor: bool | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def has_gt(self) -> bool:
        """Whether the source has a fused truth for it."""

    @abstractmethod
    def headers(self) -> tuple[Header | None, ...]:
        """Of each image; None for one that cannot be read."""

    def local_files(self) -> tuple[Path, ...]:
        """Its files on this machine, which no result may be written over; none of what is made or comes from afar."""
        return ()

    @abstractmethod
    def load(self) -> CleanPair:
        """Raises UnreadableError."""


def without_idle_channels(pictures: Mapping[ImageName, Bytes], capture: Capture) -> dict[ImageName, Bytes]:
    """Infrared as grey; all images as grey where none of the pair's visible ones has any colour."""
    visible = {name: picture for name, picture in pictures.items() if not capture.is_infrared(name)}
    coloured = {} if all(map(_is_grey, visible.values())) else visible
    return {name: picture if name in coloured else luma(picture) for name, picture in pictures.items()}


def _is_grey(image: Bytes) -> bool:
    if image.ndim == 2:
        return True
    step = max(1, min(image.shape[:2]) // LOOKED_AT)
    return all(_spread(part) <= GREY_TOLERANCE for part in (image[::step, ::step], image))  # most colour shows at once


def _spread(image: Bytes) -> int:
    """The largest difference between the channels of a pixel."""
    red, green, blue = cv2.split(image)
    return int(max(cv2.absdiff(red, green).max(), cv2.absdiff(green, blue).max(), cv2.absdiff(red, blue).max()))
