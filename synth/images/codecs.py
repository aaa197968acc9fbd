"""Image files: bytes to arrays and back. One codec for each format, since two codecs would be two sets of bytes."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import simplejpeg

from synth.errors import UnreadableError
from synth.images import decoding
from synth.images.decoding import log_level as log_level
from synth.images.headers import MOST_BYTES, File
from synth.images.kinds import SUFFIXES as SUFFIXES
from synth.images.levels import Values, bits_together, to_levels
from synth.images.pixels import Bytes
from synth.images.png import encode_png as encode_png

SUBSAMPLING = ("420", "422", "444")
FINE = 95  # quality of an input that is stored as JPEG, without chroma subsampling
Name = TypeVar("Name", bound=str)
USUAL_BYTES = 4 << 20  # of a file


@dataclass(frozen=True, eq=False)
class Picture:
    """An image file as it came in.

    image: (H, W) or (H, W, 3) sRGB bytes. sha256: of the file. notes: what was done to it or ignored of it, for the
    record. stretch: of an infrared image of more than 8 bits, the values that became 0 and 255.
    """

    image: Bytes
    sha256: str
    notes: tuple[str, ...] = ()
    stretch: tuple[float, float] | None = None


def decode(data: bytes) -> Bytes:
    """An image file's bytes as (H, W) or (H, W, 3) sRGB bytes, as `decode_picture` does. Raises UnreadableError."""
    return decode_picture(data).image


def decode_picture(data: bytes, infrared: bool = False) -> Picture:
    """The picture in a file's bytes, by the rules of shards/FILES.md, as if it stood alone.

    infrared: more than 8 bits are stretched between percentiles, since a thermal camera uses few of its values.
    Raises UnreadableError with a reason.
    """
    try:
        values = decoding.read_values(data)
        levels = to_levels(values, infrared, bits_together([] if infrared else [values]))
    except ValueError as error:
        raise UnreadableError(str(error)) from None
    return Picture(levels.image, hashlib.sha256(data).hexdigest(), levels.notes, levels.stretch)


def decode_jpeg(data: bytes) -> Bytes:
    """A JPEG file's bytes as (H, W) or (H, W, 3), as they are stored. Raises UnreadableError."""
    try:
        return decoding.decode_jpeg(data)
    except ValueError as error:
        raise UnreadableError(str(error)) from None


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
    """The picture in a file, as if it stood alone. Raises UnreadableError, which names no folder."""
    return read_together({"": path}, [""] if infrared else [])[""]


def read_together(files: Mapping[Name, File], infrared: Collection[Name] = ()) -> dict[Name, Picture]:
    """The pictures of one pair, by name: those of 16 bits that are not infrared are divided alike.

    infrared: the names of those that are. Raises UnreadableError, which names no folder.
    """
    values: dict[Name, Values] = {}
    hashes: dict[Name, str] = {}
    for name, file in files.items():
        values[name], hashes[name] = _values_of(file)
    bits = bits_together(found for name, found in values.items() if name not in infrared)
    pictures = {}
    for name, file in files.items():
        try:
            levels = to_levels(values.pop(name), name in infrared, bits)
        except ValueError as error:
            raise UnreadableError(f"{file.name}: {error}") from None
        pictures[name] = Picture(levels.image, hashes[name], levels.notes, levels.stretch)
    return pictures


def read_depth(path: File) -> tuple[Any, str]:
    """A depth map as its file has it, (H, W) or (H, W, 3), of any type, and the sha256 of its bytes.

    `synth.pairs.roles.depth_values` makes one value a pixel of it. Raises UnreadableError, which names no folder.
    """
    found, sha256 = _values_of(path)
    return found.array, sha256


def _values_of(path: File) -> tuple[Values, str]:
    try:
        data = _bytes_of(path)
        return decoding.read_values(data), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise UnreadableError(f"{path.name}: {error.strerror}") from None
    except (UnreadableError, ValueError) as error:
        raise UnreadableError(f"{path.name}: {error}") from None
