"""The tags of TIFF files, as tifffile reads them: what a page is, before a pixel of it is decoded (shards/FILES.md)."""

import logging
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, in both byte orders
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}  # samples of a pixel
DAMAGED = "a broken or truncated image"


@dataclass(frozen=True)
class Tiff:
    """The tags of a file's first page. height, width: as it is stored. bits: of each sample. kind: u, i or f."""

    height: int
    width: int
    orientation: int
    profile: bytes
    samples: int
    bits: int
    kind: str
    order: str
    photometric: int
    compression: int
    predictor: int
    planar: bool
    extra: tuple[int, ...]
    mirrored: bool
    tile: tuple[int, int] | None
    rows: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    tables: bytes
    colours: Any
    most: int | None
    missing: float | None
    pages: bool

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """Rows and columns of a strip or tile, and how many stand below and beside each other."""
        tall, wide = self.tile or (min(self.rows, self.height), self.width)
        return tall, wide, -(-self.height // tall), -(-self.width // wide)


def read_tags(file: BinaryIO) -> Tiff:
    """The tags of the first page. Raises ValueError where there is none, or where it is of a kind that is not read."""
    import tifffile  # late: few files are TIFFs, and it takes its time

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # else each broken file is some lines
    try:
        with tifffile.TiffFile(file) as opened:
            page: Any = opened.pages.first
            if _has_hole(file, opened, page):
                raise ValueError
            return _tags(page, opened.byteorder, _has_more(opened))
    except Refused:
        raise
    except Exception:  # whatever a broken structure makes of the library
        raise ValueError(DAMAGED) from None


class Refused(ValueError):
    """A TIFF that is whole, and of a kind that is not read."""


def _has_hole(file: BinaryIO, opened: Any, page: Any) -> bool:
    """Whether tags are zeros: without them the page would be another one."""
    form = opened.tiff
    file.seek(page.offset)
    count = struct.unpack(form.tagnoformat, file.read(form.tagnosize))[0]
    entries = file.read(count * form.tagsize)
    return len(entries) < count * form.tagsize or any(
        not any(entries[at : at + 2]) for at in range(0, len(entries), form.tagsize)
    )


def _has_more(opened: Any) -> bool:
    try:
        if len(opened.pages) > 1:
            return True
        return bool(opened.is_imagej) and int((opened.imagej_metadata or {}).get("images", 1)) > 1
    except Exception:  # the chain of pages leads nowhere, which is no matter to the first
        return True


def _tags(page: Any, order: str, pages: bool) -> Tiff:
    def tag(code: int, default: Any) -> Any:
        value = page.tags.valueof(code, default)
        return default if value is None else value

    def numbers(code: int, *default: int) -> tuple[int, ...]:
        value = tag(code, default)
        return tuple(int(number) for number in value) if isinstance(value, (tuple, list, np.ndarray)) else (int(value),)

    def number(code: int, default: int) -> int:
        return numbers(code, default)[0]

    width, height, samples = number(256, 0), number(257, 0), number(277, 1)
    bits, kinds = set(numbers(258, 1)), set(numbers(339, 1))
    if min(width, height, samples) < 1:
        raise ValueError
    if number(32997, 1) > 1:
        raise Refused(f"a volume of {number(32997, 1)} layers; a picture has one")
    if len(bits) > 1 or len(kinds) > 1:
        raise Refused(
            f"channels of {_or(sorted(bits))} bits and formats {_or(sorted(kinds))}; all have to be of one kind"
        )
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(kinds.pop())
    if kind is None:
        raise Refused("complex numbers; a picture has real ones")
    tile = (number(323, 0), number(322, 0)) if 324 in page.tags or 322 in page.tags else None
    if tile is not None and min(tile) < 1:
        raise ValueError
    tiles = tile is not None and 324 in page.tags  # some write tiles under the tags of strips
    return Tiff(
        height=height,
        width=width,
        orientation=number(274, 1),
        profile=bytes(tag(34675, b"")),
        samples=samples,
        bits=bits.pop(),
        kind=kind,
        order=order,
        photometric=number(262, -1),
        compression=number(259, 1),
        predictor=number(317, 1),
        planar=samples > 1 and number(284, 1) == 2,
        extra=numbers(338),
        mirrored=number(266, 1) == 2,
        tile=tile,
        rows=number(278, height) or height,
        offsets=numbers(324 if tiles else 273),
        counts=numbers(325 if tiles else 279),
        tables=bytes(tag(347, b"")),
        colours=tag(320, None),
        most=max(numbers(281), default=0) or None,
        missing=_missing(tag(42113, "")),
        pages=pages,
    )


def _missing(text: Any) -> float | None:
    """The value that stands for none, as GDAL writes it."""
    try:
        return float((text.decode("latin-1") if isinstance(text, bytes) else str(text)).strip("\0 "))
    except ValueError:
        return None


def _or(values: Any) -> str:
    return " and ".join(map(str, values))


def mode_of(tiff: Tiff) -> str:
    """As Pillow would call it: L, RGB, CMYK."""
    return {1: "RGB" if tiff.photometric == PALETTE else "L", 4: "CMYK"}.get(COLOURS.get(tiff.photometric, 3), "RGB")
