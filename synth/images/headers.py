"""What the header of an image file says, read before anything is decoded: its size, how it is turned, its colours."""

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from PIL import Image as PillowImage

from synth.errors import UnreadableError

MOST_PIXELS = 1 << 27  # 134 Mpx, 400 MB as bytes in three channels: a file that claims more is not decoded
MOST_BYTES = 1 << 30  # of a file
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
ORIENTATION = 0x0112  # the EXIF tag
TURNED = (5, 6, 7, 8)  # orientations that swap height and width
SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))  # in the description of a profile
BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error)


class File(Protocol):
    """What a path has of which pictures need something."""

    @property
    def name(self) -> str: ...
    def open(self, mode: Literal["rb"], /) -> BinaryIO: ...


@dataclass(frozen=True)
class Header:
    """height, width: as the picture is seen, in pixels. orientation: as in EXIF, 1 to 8, 1 as it is stored.

    profile: it carries a colour profile that is not sRGB. mode: as Pillow calls it, L, RGB, CMYK, ….
    """

    height: int
    width: int
    orientation: int = 1
    profile: bool = False
    mode: str = "RGB"
    format: str = "PNG"

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


def read_header(file: Path | bytes) -> Header:
    """The header of an image file. Raises UnreadableError where there is none, or where it claims too many pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, lower limit of pixels, and what it thinks of a TIFF's tags
            with PillowImage.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
                width, height = image.size
                orientation = _orientation(image)
                profile = image.info.get("icc_profile") or b""
                mode, kind = image.mode, str(image.format)
    except PillowImage.DecompressionBombError:
        raise UnreadableError(f"an image of far more than {MOST_PIXELS / 1e6:.0f} Mpx, which is the most") from None
    except BROKEN:
        raise UnreadableError(f"no image that can be read; {', '.join(FORMATS)} are") from None
    if height * width > MOST_PIXELS:
        raise UnreadableError(f"an image of {width}×{height} pixels; {MOST_PIXELS / 1e6:.0f} Mpx are the most")
    if orientation in TURNED and kind != "TIFF":  # where Pillow has done so
        height, width = width, height
    return Header(height, width, orientation, bool(profile) and not any(name in profile for name in SRGB), mode, kind)


def _orientation(image: PillowImage.Image) -> int:
    """As in EXIF; 1 where there is none that can be read. Not asked of a PNG that would have to be decoded for it."""
    try:
        if image.format == "PNG" and "exif" not in image.info:
            return 1
        value = image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1
    return value if value in range(1, 9) else 1
