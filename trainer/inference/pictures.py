"""The picture that is written: as deep as the files it was made of, with what they say of camera and colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from trainer.data.images import check_writable
from trainer.data.kinds import header_of
from trainer.errors import UserError
from trainer.files import write_whole

TIFF, DEEP = (".tif", ".tiff"), (".png", ".tif", ".tiff")
"""Suffixes; of formats that hold 16 bits in three channels."""
ORIENTATION = 0x0112
TOLD = {0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0132: "DateTime", 0x013B: "Artist"}
TOLD |= {0x8298: "Copyright"}
"""EXIF tags of text that a TIFF file keeps in its first directory."""


class Metadata(NamedTuple):
    """What goes from the first input into the output."""

    exif: bytes | None = None
    """Without its orientation, which has been applied."""
    profile: bytes | None = None
    """ICC: the numbers of the picture are those of the input's colour space."""


def metadata_of(path: Path) -> Metadata:
    """Of an image file; nothing where it says nothing, or cannot be read."""
    try:
        with Pillow.open(path) as image:
            exif, profile = image.getexif(), image.info.get("icc_profile")
    except (OSError, SyntaxError, ValueError):
        return Metadata()
    exif.pop(ORIENTATION, None)
    return Metadata(exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else None, profile or None)


def is_deep(path: Path) -> bool:
    """Whether the values of an image file have more than 8 bits. Raises ValueError where it is none that is read."""
    with path.open("rb") as file:
        return header_of(file).bits > 8


def write_picture(path: Path, picture: NDArray[np.float32], deep: bool, metadata: Metadata) -> None:
    """Writes (H, W, 3) RGB in [0, 1], whole or not at all; 16 bits where `deep` and the format has them, else 8. The
    folder is made where it is missing. Raises UserError, OSError of a full disk.
    """
    check_writable(path)
    suffix = path.suffix.lower()
    most = 65535 if deep and suffix in DEEP else 255
    levels = np.rint(np.clip(picture, 0, 1) * most).astype(np.uint16 if most > 255 else np.uint8)
    data = _tiff(levels, metadata) if suffix in TIFF else _encoded(levels, path, metadata)
    write_whole(path, data)


def _encoded(levels: NDArray[Any], path: Path, metadata: Metadata) -> bytes:
    kinds = {cv2.IMAGE_METADATA_EXIF: metadata.exif, cv2.IMAGE_METADATA_ICCP: metadata.profile}
    there = {kind: np.frombuffer(data, np.uint8) for kind, data in kinds.items() if data}
    bgr = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
    if path.suffix.lower() == ".bmp" or not there:
        ok, data = cv2.imencode(path.suffix, bgr)
    else:
        ok, data = cv2.imencodeWithMetadata(path.suffix, bgr, list(there), list(there.values()))
    if not ok:
        raise UserError(f"{path}: {bgr.shape[1]}x{bgr.shape[0]} px cannot be written as {path.suffix}; take .png")
    return bytes(data)


def _tiff(levels: NDArray[Any], metadata: Metadata) -> bytes:
    """OpenCV's TIFF files hold no profile."""
    import tifffile

    tags: Sequence[tuple[int, int, int, str, bool]] = []
    if metadata.exif:
        exif = Pillow.Exif()
        exif.load(metadata.exif)
        tags = [(tag, 2, 0, str(exif[tag]), True) for tag in TOLD if tag in exif]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        levels,
        photometric="rgb",
        compression="zlib",
        iccprofile=metadata.profile,
        metadata=None,
        software=False,
        extratags=tags,
    )
    return file.getvalue()
