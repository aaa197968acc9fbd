"""Which kind of image file it is, by its first bytes, and what its header says before anything is decoded."""

import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, features

from trainer.data.tiff_tags import DAMAGED, MAGICS, Tiff, mode_of, read_tags

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".j2k"),
)
"""Of the files that are looked for in folders. What a file is, its first bytes say."""
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
MOST_PIXELS = 1 << 27  # 134 Mpx, 400 MB as bytes in three channels: a file that claims more is not decoded
ORIENTATION = 0x0112  # the EXIF tag
TURNED = (5, 6, 7, 8)  # orientations that swap height and width
SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))  # in the description of a profile
SRGB_GAMMA, SRGB_COLOURS = 0.45455, (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
NEAR = 0.005
JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}  # by their colour types
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, RuntimeError),
    struct.error,
)  # what Pillow's readers raise
UNKNOWN = f"no image that can be read; {', '.join(FORMATS)} are"
NO_AVIF = "an AVIF picture needs a Pillow that reads such: pip install -U 'pillow>=11.3'"
NO_HEIF = "a HEIC picture needs pillow-heif: pip install 'mmaif[heif]'"


@dataclass(frozen=True)
class Header:
    """height, width: as the picture is seen, in pixels. orientation: as in EXIF, 1 to 8, 1 as it is stored.

    profile: it carries a colour profile that is not sRGB. mode: as Pillow calls it, L, RGB, CMYK, …. bits: of a sample.
    notes: what is ignored of it. significant: how many of its bits a PNG says that count. tiff: the tags of a TIFF.
    """

    height: int
    width: int
    orientation: int = 1
    profile: bool = False
    mode: str = "RGB"
    format: str = "PNG"
    bits: int = 8
    notes: tuple[str, ...] = ()
    significant: int | None = None
    tiff: Tiff | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width


def kind_of(start: bytes) -> str | None:
    """Of FORMATS, by the first 64 bytes of a file; None of any other. Raises ValueError of one known and not read."""
    if start.startswith(JPEG_2000):
        raise ValueError("a JPEG 2000 picture, which is not read; save it as PNG or TIFF")
    if start[4:8] == b"ftyp":
        brands = [start[at : at + 4] for at in (8, *range(16, min(len(start), int.from_bytes(start[:4])), 4))]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIF" if any(brand in HEIF for brand in brands) else None
    if start[:4] == b"RIFF":
        return "WEBP" if start[8:12] == b"WEBP" else None
    magics: dict[str, bytes | tuple[bytes, ...]] = {
        "PNG": PNG,
        "JPEG": JPEG,
        "TIFF": MAGICS,
        "BMP": b"BM",
        "GIF": (b"GIF87a", b"GIF89a"),
    }
    return next((kind for kind, magic in magics.items() if start.startswith(magic)), None)


def header_of(file: BinaryIO) -> Header:
    """The header of an image file, open at its start. Raises ValueError where there is none that can be read, or where
    it claims too many pixels."""
    start = file.read(64)
    file.seek(0)
    kind = kind_of(start)
    if kind is None:
        raise ValueError(UNKNOWN)
    header = _of_tiff(file) if kind == "TIFF" else _of_pillow(file, kind, start)
    if header.height * header.width > MOST_PIXELS:
        raise ValueError(f"an image of {header.width}×{header.height} pixels; {MOST_PIXELS / 1e6:.0f} Mpx are the most")
    if header.orientation in TURNED:
        height, width = header.width, header.height
        return Header(**{**header.__dict__, "height": height, "width": width})
    return header


def _of_tiff(file: BinaryIO) -> Header:
    tags = read_tags(file)
    orientation = tags.orientation if tags.orientation in range(1, 9) else 1
    profile, mode = _foreign(tags.profile), mode_of(tags)
    return Header(tags.height, tags.width, orientation, profile, mode, "TIFF", tags.bits, tiff=tags)


def opened(file: BinaryIO, kind: str) -> Image.Image:
    """A file of a kind, open in Pillow. Raises ValueError where Pillow lacks its decoder, and what Pillow raises."""
    if kind == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise ValueError(NO_HEIF) from None
        pillow_heif.register_heif_opener()
    elif kind == "AVIF" and not features.check("avif"):
        raise ValueError(NO_AVIF)
    return Image.open(file, formats=(kind,))


def _of_pillow(file: BinaryIO, kind: str, start: bytes) -> Header:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, lower limit of pixels, and what it thinks of tags
            with opened(file, kind) as image:
                width, height = image.size
                profile, mode = image.info.get("icc_profile") or b"", image.mode
                notes = _ignored(image)
                orientation = _orientation(image)
    except Image.DecompressionBombError:
        raise ValueError(f"an image of far more than {MOST_PIXELS / 1e6:.0f} Mpx, which is the most") from None
    except BROKEN as error:
        if str(error) in (NO_HEIF, NO_AVIF):
            raise
        raise ValueError(DAMAGED) from None
    bits, significant = 8, None
    if kind == "PNG":
        bits, mode = start[24], PNG_MODES.get(start[25], mode)
        if bits == 16 or orientation == 1:
            significant, late = _late_chunks(file)
            orientation = late if orientation == 1 else orientation
    foreign = _foreign(profile)
    return Header(height, width, orientation, foreign, mode, kind, bits, notes, significant)


def _foreign(profile: bytes) -> bool:
    return bool(profile) and not any(name in profile for name in SRGB)


def _ignored(image: Image.Image) -> tuple[str, ...]:
    """What is passed over: an alpha channel, more frames, and a PNG's own gamma and colours."""
    notes = []
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append("alpha dropped")
    if getattr(image, "is_animated", False):
        notes.append("the first of its pages or frames")
    gamma, colours = image.info.get("gamma", SRGB_GAMMA), image.info.get("chromaticity", SRGB_COLOURS)
    strange = abs(gamma - SRGB_GAMMA) > NEAR
    strange |= any(abs(one - other) > NEAR for one, other in zip(colours, SRGB_COLOURS, strict=False))
    if strange and image.format == "PNG" and not {"srgb", "icc_profile"} & set(image.info):
        notes.append("gAMA and cHRM ignored")
    return tuple(notes)


def _orientation(image: Image.Image) -> int:
    """As in EXIF; 1 where there is none that can be read. Not asked of a PNG that would have to be decoded for it."""
    try:
        if image.format == "PNG" and "exif" not in image.info:
            return 1
        value = image.getexif().get(ORIENTATION, 1)
    except BROKEN:
        return 1
    return value if value in range(1, 9) else 1


def _late_chunks(file: BinaryIO) -> tuple[int | None, int]:
    """Of a PNG: what sBIT says of its bits, and the orientation that stands behind its pixels, where some writers put
    it."""
    significant, orientation, at = None, 1, len(PNG)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return significant, orientation
        size, name = int.from_bytes(head[:4]), head[4:]
        if name == b"sBIT":
            significant = max(file.read(min(size, 3)), default=0) or None
        elif name == b"eXIf":
            exif = Image.Exif()
            try:
                exif.load(file.read(size))
                value = exif.get(ORIENTATION, 1)
            except BROKEN:
                value = 1
            orientation = value if value in range(1, 9) else 1
        at += 12 + size
