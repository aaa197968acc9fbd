"""Image files: bytes to arrays and back. One codec for each format, since two codecs would be two sets of bytes."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image as PillowImage

from synth.errors import UnreadableError
from synth.images.headers import BROKEN, FORMATS, MOST_BYTES, MOST_PIXELS, File, Header, read_header
from synth.images.pixels import Bytes
from synth.images.png import encode_png as encode_png

JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_SCAN = 0xDA  # the marker of the segment that holds the image; what describes it stands before
JPEG_FACTS = (0xE1, 0xE2, 0xEE)  # markers of segments that may hold an orientation, a profile, or that it is CMYK
SUBSAMPLING = ("420", "422", "444")
FINE = 95  # quality of an input that is stored as JPEG, without chroma subsampling
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
USUAL_BYTES = 4 << 20  # of a file
STRETCHED = (0.1, 99.9)  # percentiles of a 16-bit infrared image that become black and white
TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, eq=False)
class Picture:
    """An image file as it came in.

    image: (H, W) or (H, W, 3) sRGB bytes. sha256: of the file. notes: what was done to it or ignored of it, for the
    record. stretch: of a 16-bit infrared image, the values that became 0 and 255.
    """

    image: Bytes
    sha256: str
    notes: tuple[str, ...] = ()
    stretch: tuple[float, float] | None = None


def decode(data: bytes) -> Bytes:
    """An image file's bytes as (H, W) or (H, W, 3) sRGB bytes, as `decode_picture` does. Raises UnreadableError."""
    return decode_picture(data).image


def decode_picture(data: bytes, infrared: bool = False) -> Picture:
    """The picture in a file's bytes.

    An EXIF orientation is applied, an alpha channel dropped, a colour profile ignored. 16 bits are divided by 257;
    infrared: they are stretched between percentiles, since a thermal camera uses few of its values.
    Raises UnreadableError with a reason.
    """
    if not data:
        raise UnreadableError("the file is empty")
    if (plain := _plain_jpeg(data)) is not None:
        return Picture(plain, hashlib.sha256(data).hexdigest())
    header = read_header(data)
    notes = []
    image = _pixels(data, header)
    stretch = None
    if image.dtype == np.uint16:
        if infrared:
            image, stretch = _stretched(image)
        else:
            image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
            notes.append("16 bits divided by 257")
    if image.dtype != np.uint8:
        raise UnreadableError(f"pixels of type {image.dtype}; 8 or 16 bits are read")
    if header.mode == "CMYK":
        notes.append("CMYK converted without its profile")
    elif header.profile:
        notes.append("colour profile ignored")
    if header.orientation != 1:
        notes.append(f"turned by its EXIF orientation {header.orientation}")
    return Picture(image, hashlib.sha256(data).hexdigest(), tuple(notes), stretch)


def _plain_jpeg(data: bytes) -> Bytes | None:
    """The image of a JPEG that is not turned, has no profile and is not CMYK, as most are; None of any other file."""
    if not data.startswith(JPEG_MAGIC):
        return None
    at = 2
    while data[at : at + 1] == b"\xff" and len(data) > at + 3 and data[at + 1] != JPEG_SCAN:
        if data[at + 1] in JPEG_FACTS:
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return decode_jpeg(data)


def _pixels(data: bytes, header: Header) -> Any:
    """(H, W) or (H, W, 3), red first, of any dtype, turned as its header says."""
    if header.mode == "CMYK":
        image = _through_pillow(data)
    elif data.startswith(JPEG_MAGIC):
        image = decode_jpeg(data)
    else:
        image = _through_opencv(data)
        if (header.format, header.mode, image.dtype) == ("TIFF", "RGBA", np.uint8):
            return _through_pillow(data)  # OpenCV multiplies by alpha
        if image.ndim == 3:
            grey = image.shape[2] < 3 or header.mode in ("L", "LA")
            image = np.ascontiguousarray(image[:, :, 0]) if grey else cv2.cvtColor(image[:, :, :3], cv2.COLOR_BGR2RGB)
    return image if header.format == "TIFF" else _turned(image, header.orientation)  # OpenCV turns a TIFF itself


def _turned(image: Any, orientation: int) -> Any:
    """The image as its EXIF orientation (1 to 8) says that it is seen."""
    if orientation in (2, 4):
        return cv2.flip(image, 1 if orientation == 2 else 0)
    if orientation in (5, 7):
        image = cv2.transpose(image)
        return image if orientation == 5 else cv2.rotate(image, cv2.ROTATE_180)
    return image if orientation == 1 else cv2.rotate(image, TURNS[orientation])


def _stretched(image: Any) -> tuple[Bytes, tuple[float, float]]:
    """16 bits between two percentiles as bytes, and those percentiles."""
    low, high = (float(value) for value in np.percentile(image, STRETCHED))
    levels = (np.arange(1 << 16) - low) * (255 / max(high - low, 1.0))
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[image], (low, high)


def log_level(level: int) -> int:
    """Sets what OpenCV tells of, 0 nothing, 1 disasters, 2 errors, 3 warnings; returns what it was. Some
    builds, such as 4.11 headless, lack the call: they go on telling.
    """
    logging = getattr(cv2.utils, "logging", None)
    return logging.setLogLevel(level) if logging else 0


def _through_opencv(data: bytes) -> Any:
    logged = log_level(0)  # else each broken file is two lines
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    finally:
        log_level(logged)
    if image is None:
        raise UnreadableError("a broken or truncated image")
    return image


def _through_pillow(data: bytes) -> Bytes:
    try:
        with PillowImage.open(io.BytesIO(data), formats=FORMATS) as image:
            return np.array(image.convert("RGB"))
    except BROKEN:
        raise UnreadableError("a broken or truncated image") from None


def decode_jpeg(data: bytes) -> Bytes:
    """A JPEG file's bytes as (H, W) or (H, W, 3), as they are stored. Raises UnreadableError."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        if height * width > MOST_PIXELS:
            raise UnreadableError(f"an image of {width}×{height} pixels; {MOST_PIXELS / 1e6:.0f} Mpx are the most")
        if space == "Gray":
            return simplejpeg.decode_jpeg(data, colorspace="GRAY", strict=True)[:, :, 0]
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError as error:
        raise UnreadableError(f"a broken JPEG file: {error}") from None


def encode_jpeg(image: Bytes, quality: int, subsampling: str = "444") -> bytes:
    """JPEG bytes at quality 1 to 100 with chroma subsampling 420, 422 or 444 (which a grey image has none of)."""
    if image.ndim == 2:
        grey = np.ascontiguousarray(image)[:, :, None]
        return simplejpeg.encode_jpeg(grey, quality=quality, colorspace="GRAY", colorsubsampling="Gray", fastdct=False)
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling=subsampling, fastdct=False
    )


def _bytes_of(path: File) -> bytes:
    with path.open("rb") as file:
        data = file.read(USUAL_BYTES)
        if len(data) == USUAL_BYTES:
            data += file.read(MOST_BYTES + 1 - USUAL_BYTES)  # Python sets this much memory aside, whatever is there
    if len(data) > MOST_BYTES:
        raise UnreadableError(f"a file of over {MOST_BYTES >> 30} GB")
    return data


def read(path: File, infrared: bool = False) -> Picture:
    """The picture in a file. Raises UnreadableError, which names no folder."""
    try:
        return decode_picture(_bytes_of(path), infrared)
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror}") from None
    except UnreadableError as error:
        raise UnreadableError(f"{path.name}: {error}") from None


def read_depth(path: File) -> tuple[Any, str]:
    """A depth map as its file has it, (H, W) or (H, W, 3), of any type, and the sha256 of its bytes.

    `synth.pairs.roles.depth_values` makes one value a pixel of it. Raises UnreadableError, which names no folder.
    """
    try:
        data = _bytes_of(path)
        image = _pixels(data, read_header(data))
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror}") from None
    except UnreadableError as error:
        raise UnreadableError(f"{path.name}: {error}") from None
    return image, hashlib.sha256(data).hexdigest()
