"""Image files as the values that they hold: one decoder for each kind (shards/FILES.md)."""

import io
import warnings
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from synth.images import kinds, tiff
from synth.images.kinds import BROKEN, MOST_PIXELS, Header
from synth.images.levels import Values

JPEG_SCAN = 0xDA  # the marker of the segment that holds the image; what describes it stands before
JPEG_FACTS = (0xE1, 0xE2, 0xEE)  # markers of segments that may hold an orientation, a profile, or that it is CMYK
BY_OPENCV = ("PNG", "BMP", "WEBP")
DAMAGED = tiff.DAMAGED


def read_values(data: bytes) -> Values:
    """The values that a file's bytes hold, upright, and notes of what was done to it. Raises ValueError."""
    if not data:
        raise ValueError("the file is empty")
    if (plain := _plain_jpeg(data)) is not None:
        return Values(plain)
    header = kinds.header_of(io.BytesIO(data))
    notes, bits, missing = list(header.notes), None, None
    if header.tiff is not None:
        try:
            array, of_tiff = tiff.read_values(data, header.tiff)
        except MemoryError:
            raise ValueError("an image that does not fit into memory") from None
        notes += of_tiff
        missing = header.tiff.missing
        if array.dtype == np.uint16:
            bits = header.tiff.bits if header.tiff.bits < 16 else (header.tiff.most or 0).bit_length() or None
    else:
        array = _decoded(data, header)
        if array.dtype == np.uint16 and header.significant is not None:
            bits = _of_16(array, header.significant)
    if header.mode == "CMYK" and header.tiff is None:
        notes.append("CMYK converted without its profile")
    elif header.profile and header.mode != "CMYK":
        notes.append("colour profile ignored")
    if header.orientation != 1:
        notes.append(f"turned by its EXIF orientation {header.orientation}")
    return Values(np.ascontiguousarray(_turned(array, header.orientation)), bits, missing, tuple(notes))


def _of_16(array: NDArray[Any], significant: int) -> int:
    """What sBIT means: the values fill all 16 bits, unless their writer did not bring them there."""
    low = (1 << max(16 - significant, 0)) - 1
    shifted = int(array.max(initial=0)) >= 1 << significant or not (array & low).any()
    return 16 if shifted else significant


def _plain_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """The image of a JPEG that is not turned, has no profile and is not CMYK, as most are; None of any other file."""
    if not data.startswith(kinds.JPEG):
        return None
    at = 2
    while data[at : at + 1] == b"\xff" and len(data) > at + 3 and data[at + 1] != JPEG_SCAN:
        if data[at + 1] in JPEG_FACTS:
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return decode_jpeg(data)


def _decoded(data: bytes, header: Header) -> NDArray[Any]:
    """(H, W) or (H, W, 3), red first, of 8 or 16 bits, as it is stored."""
    if header.format == "JPEG" or data.startswith(kinds.JPEG):
        return decode_jpeg(data, header.mode == "CMYK")
    if header.format not in BY_OPENCV:
        return _through_pillow(data, header)
    if header.mode == "RGB" and header.bits == 8 and not header.notes:
        return _through_opencv(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)  # spares a turn of channels
    image = _through_opencv(data, cv2.IMREAD_UNCHANGED)
    if image.ndim == 2:
        return image
    grey = image.shape[2] < 3 or header.mode in ("L", "LA")
    return np.ascontiguousarray(image[:, :, 0]) if grey else cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2RGB)


def _turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The image as its EXIF orientation (1 to 8) says that it is seen."""
    if orientation == 1:
        return image
    if orientation in (2, 4):
        return image[:, ::-1] if orientation == 2 else image[::-1]
    if orientation in (5, 7):
        image = image.swapaxes(0, 1)
        return image if orientation == 5 else image[::-1, ::-1]
    return np.rot90(image, {3: 2, 6: -1, 8: 1}[orientation])


def log_level(level: int) -> int:
    """Sets what OpenCV tells of, 0 nothing, 1 disasters, 2 errors, 3 warnings; returns what it was. Some
    builds, such as 4.11 headless, lack the call: they go on telling.
    """
    logging = getattr(cv2.utils, "logging", None)
    return logging.setLogLevel(level) if logging else 0


def _through_opencv(data: bytes, how: int) -> NDArray[Any]:
    logged = log_level(0)  # else each broken file is two lines
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except (cv2.error, MemoryError):  # a header may ask for any size
        image = None
    finally:
        log_level(logged)
    if image is None:
        raise ValueError(DAMAGED)
    return image


def _through_pillow(data: bytes, header: Header) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with kinds.opened(io.BytesIO(data), header.format) as image:
                grey = image.mode in ("1", "L", "LA")
                return np.array(image.convert("L" if grey else "RGB"))
    except (*BROKEN, MemoryError):
        raise ValueError(DAMAGED) from None


def decode_jpeg(data: bytes, cmyk: bool = False) -> NDArray[np.uint8]:
    """A JPEG file's bytes as (H, W) or (H, W, 3), as they are stored; cmyk: it holds such. Raises ValueError."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        if height * width > MOST_PIXELS:
            raise ValueError(f"an image of {width}×{height} pixels; {MOST_PIXELS / 1e6:.0f} Mpx are the most")
        if space == "Gray":
            return simplejpeg.decode_jpeg(data, colorspace="GRAY", strict=True)[:, :, 0]
        if not cmyk:
            return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
        inks = 255 - simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # as Adobe writes them
        return np.array(Image.frombytes("CMYK", (width, height), inks.tobytes()).convert("RGB"))
    except MemoryError:
        raise ValueError("its header asks for more memory than there is") from None
    except ValueError as error:
        known = str(error).startswith(("an image of", "a broken"))
        raise error if known else ValueError(f"a broken JPEG file: {error}") from None
