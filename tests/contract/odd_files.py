"""Odd image files, made by code, and what is to become of each by shards/FILES.md.

What stands beside a file was made from the same numbers by other means than reading it.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

H, W = 37, 53  # odd, so that rows of bits, strips and tiles end within a byte, a strip and a tile
Y, X = np.mgrid[0:H, 0:W]
GREY = (40 + 2 * X + Y + 60 * ((X // 7 + Y // 5) % 2)).astype(np.uint8)
RGB = np.dstack([GREY, 255 - GREY, (X * 4 + Y) % 256]).astype(np.uint8)
ALPHA = (5 * X).clip(0, 255).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 257
DEEP_RGB = RGB.astype(np.uint16) * 257
COUNTS = (7000 + 3 * GREY.astype(np.uint16)).astype(np.uint16)
PAL = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
EXIF_6 = Image.Exif()
EXIF_6[0x0112] = 6
SHORT, LONG, LONG8 = (3, "H"), (4, "I"), (16, "Q")


@dataclass(frozen=True)
class Odd:
    """data: a file. shown: its picture, exactly, or refused: what the line says. notes: of the record, all of them.

    tolerance: of levels, where the kind is lossy. infrared: it is read as such.
    """

    data: bytes
    shown: np.ndarray | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()
    infrared: bool = False
    tolerance: int = 0


def stretched(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Between the percentiles by the definition of them: those of the sorted values, straight between two."""
    ordered = np.sort(values.astype(np.float64).ravel())

    def percentile(share: float) -> float:
        at = share / 100 * (ordered.size - 1)
        under = int(at)
        return ordered[under] + (at - under) * (ordered[min(under + 1, ordered.size - 1)] - ordered[under])

    low, high = percentile(0.1) if low is None else low, percentile(99.9) if high is None else high
    return np.clip(np.rint((values.astype(np.float64) - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def tiff(  # noqa: PLR0913 - as a page has
    segments: Sequence[bytes],
    tags: Mapping[int, Any],
    *,
    order: str = "<",
    big: bool = False,
    tiled: bool = False,
    offsets: Sequence[int] | None = None,
    size: tuple[int, int] = (H, W),
) -> bytes:
    """A TIFF by hand: strips or tiles, and tags by number over those of a grey picture of bytes."""
    places, counts = (324, 325) if tiled else (273, 279)
    full: dict[int, Any] = {256: size[1], 257: size[0], 258: 8, 259: 1, 262: 1, 277: 1, counts: [*map(len, segments)]}
    full |= {places: [0] * len(segments)} | dict(tags)
    full = {code: value for code, value in full.items() if value is not None}
    head, entry, word = (16, 20, "Q") if big else (8, 12, "I")
    room = struct.calcsize(word)
    start = head + (8 if big else 2) + entry * len(full) + room
    blobs = {}
    for code, value in full.items():
        many = value if isinstance(value, (list, tuple, bytes)) else [value]
        kind = (7, "B") if isinstance(many, bytes) else LONG if code in (places, counts) or max(many) > 65535 else SHORT
        blobs[code] = (kind, list(many))
    beyond = sum(len(v) * struct.calcsize(k[1]) for k, v in blobs.values() if len(v) * struct.calcsize(k[1]) > room)
    at, where = start + beyond, []
    for segment in segments:
        where.append(at)
        at += len(segment)
    blobs[places] = (LONG, list(where if offsets is None else offsets))
    entries, tail = b"", b""
    for code in sorted(blobs):
        (number, letter), values = blobs[code]
        data = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(data) > room:
            data, tail = struct.pack(order + word, start + len(tail)), tail + data
        entries += struct.pack(f"{order}HH{word}", code, number, len(values)) + data.ljust(room, b"\0")
    mark = b"II" if order == "<" else b"MM"
    first = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    count = struct.pack(order + ("Q" if big else "H"), len(full))
    return mark + first + count + entries + bytes(room) + tail + b"".join(segments)


def strips(image: np.ndarray, rows: int, pack: Callable[[bytes], bytes] = bytes) -> list[bytes]:
    return [pack(image[top : top + rows].tobytes()) for top in range(0, len(image), rows)]


def tiles(image: np.ndarray, side: int, pack: Callable[[bytes], bytes] = bytes) -> list[bytes]:
    """Square tiles, continued at the far edges by the last pixel."""
    tall, wide = (-(-length // side) * side for length in image.shape[:2])
    padding = [(0, tall - len(image)), (0, wide - image.shape[1]), *([(0, 0)] * (image.ndim - 2))]
    whole = np.pad(image, padding, mode="edge")
    corners = [(top, left) for top in range(0, tall, side) for left in range(0, wide, side)]
    return [pack(whole[top : top + side, left : left + side].tobytes()) for top, left in corners]


def packbits(data: bytes) -> bytes:
    """PackBits without a single repetition, in literals of 128."""
    parts = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def bits_of(image: np.ndarray, bits: int) -> np.ndarray:
    """Rows of samples of so many bits, each row filled up to a byte."""
    wide = image.reshape(len(image), -1, 1) >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(wide.reshape(len(image), -1).astype(np.uint8), axis=1)


def differences(image: np.ndarray) -> np.ndarray:
    """Predictor 2: each sample less the one to its left."""
    made = image.copy()
    made[:, 1:] = image[:, 1:] - image[:, :-1]
    return made


def float_differences(image: np.ndarray) -> np.ndarray:
    """Predictor 3 of (H, W) float32: byte planes of a row, the highest first, then each less the byte before."""
    planes = image.astype(">f4").view(np.uint8).reshape(H, W, 4).transpose(0, 2, 1).reshape(H, -1)
    return differences(planes)


def lzw(image: np.ndarray, **tags: int) -> bytes:
    return pil(image, "TIFF", compression="tiff_lzw", tiffinfo={int(code[1:]): value for code, value in tags.items()})


def pil(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def by_tifffile(image: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def png(
    image: np.ndarray, bits: int, colour: int, *extra: tuple[bytes, bytes], late: Sequence[Any] = (), bad: bool = False
) -> bytes:
    """A PNG by hand of rows of bytes (H, n), with chunks before its pixels and behind them."""

    def chunk(name: bytes, body: bytes, wrong: int = 0) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ wrong)

    rows = b"".join(b"\0" + row.tobytes() for row in image)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, colour, 0, 0, 0))
    body += b"".join(chunk(*one) for one in extra) + chunk(b"IDAT", zlib.compress(rows), int(bad))
    return b"\x89PNG\r\n\x1a\n" + body + b"".join(chunk(*one) for one in late) + chunk(b"IEND", b"")


def rows(image: np.ndarray, dtype: str = "u1") -> np.ndarray:
    return np.frombuffer(np.ascontiguousarray(image).astype(dtype).tobytes(), np.uint8).reshape(H, -1)


def holed(data: bytes, start: float, stop: float) -> bytes:
    """A file with zeros in a part of it, as an unfinished download leaves them."""
    first, last = int(start * len(data)), int(stop * len(data))
    return data[:first] + bytes(last - first) + data[last:]


def palette_tag(colours: np.ndarray = PAL, times: int = 257) -> list[int]:
    return (colours.T.astype(int) * times).ravel().tolist()


def profile() -> bytes:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"s\0R\0G\0B", b"w\0i\0d\0e")


def inked() -> tuple[np.ndarray, np.ndarray]:
    """Four inks, and what is left of white under them."""
    inks = np.dstack([GREY, 255 - GREY, ALPHA, GREY // 3])
    left = (255 - inks.astype(float)) / 255
    return inks, 255 * left[:, :, :3] * left[:, :, 3:]


def odd_files() -> dict[str, Odd]:
    """By what is odd in them."""
    found: dict[str, Odd] = {}
    by_257, alpha, frames = ("16 bits divided by 257",), ("alpha dropped",), ("the first of its pages or frames",)
    kelvin = (300 + GREY / 10).astype(np.float32)
    broken = "broken|damaged|truncated|can be read"
    deflated = {259: 8, 278: 5}
    inks, under = inked()
    small = (GREY >> 4).astype(np.uint8)
    seen = np.rot90(RGB, -1)

    # PNG
    for bits in (1, 2, 4):
        values = GREY >> (8 - bits)
        found[f"png grey {bits} bits"] = Odd(png(bits_of(values, bits), bits, 0), values * (255 // (2**bits - 1)))
    found["png grey 16 bits"] = Odd(png(rows(DEEP, ">u2"), 16, 0), GREY, notes=by_257)
    found["png rgb 16 bits"] = Odd(png(rows(DEEP_RGB, ">u2"), 16, 2), RGB, notes=by_257)
    found["png rgba"] = Odd(png(rows(np.dstack([RGB, ALPHA])), 8, 6), RGB, notes=alpha)
    found["png la"] = Odd(png(rows(np.dstack([GREY, ALPHA])), 8, 4), GREY, notes=alpha)
    deep = np.dstack([DEEP, ALPHA.astype(np.uint16) * 257])
    found["png la 16 bits"] = Odd(png(rows(deep, ">u2"), 16, 4), GREY, notes=(*alpha, *by_257))
    found["png rgb tRNS"] = Odd(
        png(rows(RGB), 8, 2, (b"tRNS", struct.pack(">3H", *map(int, RGB[0, 0])))), RGB, notes=alpha
    )
    found["png grey tRNS"] = Odd(
        png(rows(GREY), 8, 0, (b"tRNS", struct.pack(">H", int(GREY[0, 0])))), GREY, notes=alpha
    )
    plte = (b"PLTE", PAL.tobytes())
    found["png palette"] = Odd(png(rows(GREY), 8, 3, plte), PAL[GREY])
    found["png palette tRNS"] = Odd(png(rows(GREY), 8, 3, plte, (b"tRNS", bytes(range(200)))), PAL[GREY], notes=alpha)
    found["png palette 4 bits"] = Odd(png(bits_of(small, 4), 4, 3, (b"PLTE", PAL[:16].tobytes())), PAL[small])
    linear = (b"gAMA", struct.pack(">I", 100_000))
    found["png gAMA"] = Odd(png(rows(RGB), 8, 2, linear), RGB, notes=("gAMA and cHRM ignored",))
    found["png gAMA of sRGB"] = Odd(png(rows(RGB), 8, 2, (b"gAMA", struct.pack(">I", 45_455))), RGB)
    found["png profile"] = Odd(pil(RGB, "PNG", icc_profile=profile()), RGB, notes=("colour profile ignored",))
    twelve = (DEEP >> 4).astype(np.uint16)  # values of 12 bits, as they are
    found["png sBIT, values brought to 16 bits"] = Odd(
        png(rows(twelve << 4 | twelve >> 8, ">u2"), 16, 0, (b"sBIT", b"\x0c")), GREY, notes=by_257
    )
    found["png sBIT, dark, brought to 16 bits"] = Odd(
        png(rows((twelve >> 6) << 4, ">u2"), 16, 0, (b"sBIT", b"\x0c")),
        np.rint(((twelve >> 6) << 4) / 257).astype("u1"),
        notes=by_257,
    )
    found["png sBIT, values of 12 bits"] = Odd(
        png(rows(twelve, ">u2"), 16, 0, (b"sBIT", b"\x0c")), GREY, notes=("12 bits in 16 divided by 16.06",)
    )
    turned = ("turned by its EXIF orientation 6",)
    found["png eXIf"] = Odd(pil(RGB, "PNG", exif=EXIF_6), seen, notes=turned)
    found["png eXIf behind its pixels"] = Odd(
        png(rows(RGB), 8, 2, late=[(b"eXIf", EXIF_6.tobytes()[6:])]), seen, notes=turned
    )
    found["png interlaced"] = Odd(interlaced(), GREY)
    moving = pil(RGB, "PNG", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    found["png animated"] = Odd(moving, RGB, notes=frames)
    found["png bad crc"] = Odd(png(rows(RGB), 8, 2, bad=True), refused=broken)
    found["png cut"] = Odd(pil(RGB, "PNG")[:-30], refused=broken)
    found["png too few rows"] = Odd(png(rows(GREY)[:20], 8, 0), refused=broken)
    found["png with zeros"] = Odd(holed(pil(RGB, "PNG"), 0.4, 0.6), refused=broken)

    # JPEG, WebP, BMP, GIF, AVIF, and what is not read
    jpeg = pil(RGB, "JPEG", quality=100, subsampling=0)
    found["jpeg exif"] = Odd(pil(RGB, "JPEG", quality=100, subsampling=0, exif=EXIF_6), seen, notes=turned, tolerance=4)
    found["jpeg progressive"] = Odd(pil(RGB, "JPEG", quality=100, subsampling=0, progressive=True), RGB, tolerance=4)
    found["jpeg grey"] = Odd(pil(GREY, "JPEG", quality=100), GREY, tolerance=3)
    found["jpeg cmyk"] = Odd(
        pil(Image.frombytes("CMYK", (W, H), inks.tobytes()), "JPEG", quality=100, subsampling=0),
        under,
        tolerance=8,
        notes=("CMYK converted without its profile",),
    )
    found["jpeg cut"] = Odd(jpeg[:-200], refused=broken)
    found["jpeg with zeros"] = Odd(holed(jpeg, 0.5, 0.7), refused=broken)
    found["jpeg without its end"] = Odd(jpeg[:-2], refused=broken)
    found["jpeg called png"] = Odd(jpeg, RGB, tolerance=4)
    found["webp alpha"] = Odd(pil(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True), RGB, notes=alpha)
    found["webp exif"] = Odd(pil(RGB, "WEBP", lossless=True, exif=EXIF_6), seen, notes=turned)
    second = [Image.fromarray(255 - RGB)]
    found["webp animated"] = Odd(
        pil(RGB, "WEBP", lossless=True, save_all=True, append_images=second), RGB, notes=frames
    )
    found["webp cut"] = Odd(pil(RGB, "WEBP", quality=95)[:-100], refused=broken)
    found["bmp palette"] = Odd(pil(paletted(GREY), "BMP"), PAL[GREY])
    found["bmp 1 bit"] = Odd(pil(Image.fromarray(GREY > 100), "BMP"), (GREY > 100) * np.uint8(255))
    found["bmp cut"] = Odd(pil(RGB, "BMP")[:-100], refused=broken)
    found["gif animated"] = Odd(
        pil(paletted(GREY), "GIF", save_all=True, append_images=[paletted(255 - GREY)], optimize=False),
        PAL[GREY],
        notes=frames,
    )
    found["gif cut"] = Odd(pil(paletted(GREY), "GIF")[:-900], refused=broken)
    found["avif"] = Odd(pil(RGB, "AVIF", quality=100, subsampling="4:4:4"), RGB, tolerance=8)
    found["avif cut"] = Odd(pil(RGB, "AVIF", quality=90)[:-200], refused=broken)
    found["jpeg 2000"] = Odd(pil(RGB, "JPEG2000"), refused="JPEG 2000 picture, which is not read")
    found["ppm"] = Odd(pil(RGB, "PPM"), refused="no image that can be read")
    found["empty"] = Odd(b"", refused="the file is empty")
    found["text"] = Odd(b"<html>404</html>" * 9, refused="no image that can be read")

    # TIFF: structure
    for order, word in (("<", "little"), (">", "big")):
        values = rows(DEEP_RGB, f"{order}u2")
        rgb = {258: [16] * 3, 262: 2, 277: 3, 278: 5}
        for big in (False, True):
            name = f"tiff rgb 16 bits, {word}-endian{', BigTIFF' * big}"
            found[name] = Odd(tiff(strips(values, 5), rgb, order=order, big=big), RGB, notes=by_257)
    found["tiff strips, deflate"] = Odd(tiff(strips(GREY, 5, zlib.compress), deflated), GREY)
    found["tiff strips, packbits"] = Odd(tiff(strips(GREY, 5, packbits), {259: 32773, 278: 5}), GREY)
    found["tiff lzw"] = Odd(lzw(RGB), RGB)
    found["tiff lzw, predictor 2"] = Odd(lzw(RGB, t317=2), RGB)
    found["tiff zstd"] = Odd(pil(RGB, "TIFF", compression="zstd"), RGB)
    found["tiff lzma"] = Odd(pil(RGB, "TIFF", compression="lzma"), RGB)
    found["tiff jpeg"] = Odd(pil(RGB, "TIFF", compression="jpeg", quality=100), RGB, tolerance=4)
    found["tiff jpeg grey"] = Odd(pil(GREY, "TIFF", compression="jpeg", quality=100), GREY, tolerance=3)
    tiled = {322: 16, 323: 16}
    found["tiff tiles"] = Odd(tiff(tiles(GREY, 16), tiled, tiled=True), GREY)
    found["tiff tiles, packbits, 16 bits"] = Odd(
        tiff(tiles(DEEP, 16, packbits), tiled | {258: 16, 259: 32773}, tiled=True), GREY, notes=by_257
    )
    planar = [part for channel in range(3) for part in strips(DEEP_RGB[:, :, channel], 5, zlib.compress)]
    found["tiff planes, 16 bits"] = Odd(
        tiff(planar, deflated | {258: [16] * 3, 262: 2, 277: 3, 284: 2}), RGB, notes=by_257
    )
    planar = [part for channel in range(3) for part in strips(RGB[:, :, channel], 8, packbits)]
    found["tiff planes, packbits"] = Odd(tiff(planar, {259: 32773, 278: 8, 258: [8] * 3, 262: 2, 277: 3, 284: 2}), RGB)
    found["tiff predictor 2, 16 bits, big-endian"] = Odd(
        tiff([zlib.compress(differences(DEEP).astype(">u2").tobytes())], {258: 16, 259: 8, 317: 2}, order=">"),
        GREY,
        notes=by_257,
    )
    found["tiff FillOrder 2"] = Odd(
        tiff([np.packbits(np.unpackbits(bits_of(small, 4), bitorder="little")).tobytes()], {258: 4, 266: 2}), small * 17
    )
    found["tiff orientation"] = Odd(tiff([RGB.tobytes()], {258: [8] * 3, 262: 2, 277: 3, 274: 6}), seen, notes=turned)
    found["tiff pages"] = Odd(by_tifffile(np.stack([GREY, 255 - GREY]), photometric="minisblack"), GREY, notes=frames)
    found["tiff profile"] = Odd(tiff([GREY.tobytes()], {34675: profile()}), GREY, notes=("colour profile ignored",))

    # TIFF: kinds of numbers and colours
    for bits in (1, 2, 4):
        values = GREY >> (8 - bits)
        found[f"tiff {bits} bits"] = Odd(
            tiff([bits_of(values, bits).tobytes()], {258: bits}), values * (255 // (2**bits - 1))
        )
    for bits in (10, 12, 14):
        values, top = DEEP >> (16 - bits), 2**bits - 1
        shown = np.floor(values.astype(int) * 255 / top + 0.5).astype(np.uint8)
        note = (f"{bits} bits in 16 divided by {top / 255:.4g}",)
        found[f"tiff {bits} bits, packed"] = Odd(
            tiff([bits_of(values, bits).tobytes()], {258: bits}), shown, notes=note
        )
        found[f"tiff {bits} bits in 16"] = Odd(tiff([values.tobytes()], {258: 16}), shown, notes=note)
    found["tiff MaxSampleValue of 16 bits, dark"] = Odd(
        tiff([(DEEP // 64).tobytes()], {258: 16, 281: 65535}), np.rint(DEEP // 64 / 257).astype("u1"), notes=by_257
    )
    found["tiff WhiteIsZero"] = Odd(tiff([(255 - GREY).tobytes()], {262: 0}), GREY)
    found["tiff WhiteIsZero, 1 bit"] = Odd(
        tiff([bits_of(GREY < 100, 1).tobytes()], {258: 1, 262: 0}), (GREY >= 100) * np.uint8(255)
    )
    found["tiff WhiteIsZero, 16 bits"] = Odd(tiff([(65535 - DEEP).tobytes()], {258: 16, 262: 0}), GREY, notes=by_257)
    found["tiff palette"] = Odd(tiff([GREY.tobytes()], {262: 3, 320: palette_tag()}), PAL[GREY])
    found["tiff palette of bytes"] = Odd(tiff([GREY.tobytes()], {262: 3, 320: palette_tag(times=1)}), PAL[GREY])
    found["tiff palette, 4 bits"] = Odd(
        tiff([bits_of(small, 4).tobytes()], {258: 4, 262: 3, 320: palette_tag(PAL[:16])}), PAL[small]
    )
    four = {258: [8] * 4, 262: 2, 277: 4}
    rgba = np.dstack([RGB, ALPHA])
    found["tiff straight alpha"] = Odd(tiff([rgba.tobytes()], four | {338: 2}), RGB, notes=alpha)
    found["tiff premultiplied alpha"] = Odd(tiff([rgba.tobytes()], four | {338: 1}), RGB, notes=alpha)
    found["tiff premultiplied alpha, lzw"] = Odd(lzw(rgba, t338=1), RGB, notes=alpha)
    found["tiff rgb and a channel without a name"] = Odd(
        tiff([rgba.tobytes()], four | {338: 0}), RGB, notes=("a further channel dropped",)
    )
    found["tiff rgba 16 bits"] = Odd(
        tiff([np.dstack([DEEP_RGB, DEEP]).tobytes()], four | {258: [16] * 4, 338: 2}), RGB, notes=(*alpha, *by_257)
    )
    found["tiff la"] = Odd(
        tiff([np.dstack([GREY, ALPHA]).tobytes()], {258: [8] * 2, 277: 2, 338: 2}), GREY, notes=alpha
    )
    found["tiff cmyk"] = Odd(
        tiff([inks.tobytes()], {258: [8] * 4, 262: 5, 277: 4}),
        under,
        tolerance=1,
        notes=("CMYK converted without its profile",),
    )
    found["tiff 5 channels"] = Odd(
        tiff([np.dstack([rgba, GREY]).tobytes()], {258: [8] * 5, 262: 2, 277: 5, 338: [0, 0]}), refused="5 channels"
    )
    found["tiff 2 channels without names"] = Odd(
        tiff([np.dstack([GREY, GREY]).tobytes()], {258: [8] * 2, 277: 2, 338: 0}), refused="2 channels"
    )
    found["tiff CIELab"] = Odd(tiff([RGB.tobytes()], {258: [8] * 3, 262: 8, 277: 3}), refused="CIELab")
    found["tiff YCbCr"] = Odd(tiff([RGB.tobytes()], {258: [8] * 3, 262: 6, 277: 3, 530: [1, 1]}), refused="YCbCr")
    found["tiff sensor mosaic"] = Odd(tiff([DEEP.tobytes()], {258: 16, 262: 32803}), refused="mosaic")
    found["tiff volume"] = Odd(tiff([GREY.tobytes() * 3], {32997: 3}), refused="volume")
    found["tiff of 5, 6 and 5 bits"] = Odd(tiff([DEEP.tobytes()], {258: [5, 6, 5], 262: 2, 277: 3}), refused="bits")
    found["tiff fax"] = Odd(pil(Image.fromarray(GREY > 100), "TIFF", compression="group4"), refused="compression CCITT")

    # infrared, and numbers that no picture has
    found["infrared, 16 bits, png"] = Odd(png(rows(COUNTS, ">u2"), 16, 0), stretched(COUNTS), infrared=True)
    signed = COUNTS.astype(np.int16) - 8000
    found["infrared, int16"] = Odd(tiff([signed.tobytes()], {258: 16, 339: 2}), stretched(signed), infrared=True)
    found["infrared, float32"] = Odd(tiff([kelvin.tobytes()], {258: 32, 339: 3}), stretched(kelvin), infrared=True)
    found["infrared, float32, predictor 3"] = Odd(
        tiff([zlib.compress(float_differences(kelvin).tobytes())], {258: 32, 339: 3, 259: 8, 317: 3}),
        stretched(kelvin),
        infrared=True,
    )
    half = (GREY / 255).astype(np.float16)
    found["infrared, float16"] = Odd(tiff([half.tobytes()], {258: 16, 339: 3}), stretched(half), infrared=True)
    found["infrared, uint32"] = Odd(
        tiff([COUNTS.astype(np.uint32).tobytes()], {258: 32}), stretched(COUNTS), infrared=True
    )
    gap = kelvin.copy()
    gap[:4], gap[5, 5] = np.nan, np.inf
    here = np.isfinite(gap)
    part = np.sort(gap[here].astype(np.float64))
    ends = np.interp([0.001 * (part.size - 1), 0.999 * (part.size - 1)], np.arange(part.size), part)
    shown = np.where(here, stretched(np.where(here, gap, 0), *ends), 0)
    found["infrared, float32, NaN"] = Odd(
        tiff([gap.tobytes()], {258: 32, 339: 3}),
        shown,
        infrared=True,
        notes=(f"{4 * W + 1} pixels without a value are black",),
    )
    found["infrared, 8 bits"] = Odd(png(rows(GREY), 8, 0), GREY, infrared=True)
    found["float32 from 0 to 1"] = Odd(
        tiff([(RGB / np.float32(255)).astype(np.float32).tobytes()], {258: [32] * 3, 262: 2, 277: 3, 339: [3] * 3}),
        RGB,
        notes=("floating-point numbers times 255",),
    )
    found["float32 in kelvin, not infrared"] = Odd(tiff([kelvin.tobytes()], {258: 32, 339: 3}), refused="from 0 to 1")
    found["float32 with NaN, not infrared"] = Odd(
        tiff([np.where(here, half, gap).astype(np.float32).tobytes()], {258: 32, 339: 3}), refused="from 0 to 1"
    )
    found["int16, not infrared"] = Odd(tiff([signed.tobytes()], {258: 16, 339: 2}), refused="signed numbers of 16 bits")
    found["uint32, not infrared"] = Odd(
        tiff([COUNTS.astype(np.uint32).tobytes()], {258: 32}), refused="whole numbers of 32 bits"
    )
    found["complex"] = Odd(tiff([kelvin.tobytes() * 2], {258: 64, 339: 6}), refused="complex")

    # damage
    parts = strips(GREY, 5, zlib.compress)
    found["tiff cut"] = Odd(tiff([GREY.tobytes()], {})[:-100], refused=broken)
    found["tiff, a deflated strip of zeros"] = Odd(
        tiff([*parts[:3], bytes(len(parts[3])), *parts[4:]], deflated), refused=broken
    )
    found["tiff, a strip that is not there"] = Odd(tiff(parts, deflated, offsets=[0] * len(parts)), refused=broken)
    found["tiff, a strip that is too short"] = Odd(
        tiff([*parts[:-1], zlib.compress(b"1234")], deflated), refused=broken
    )
    found["tiff, strips that are not listed"] = Odd(tiff(parts[:-1], deflated), refused=broken)
    found["tiff, a plain strip that is too short"] = Odd(tiff([*strips(GREY, 5)[:-1], b"12"], {278: 5}), refused=broken)
    found["tiff, a sparse strip"] = Odd(tiff([*strips(GREY, 5)[:-1], b""], {278: 5}), refused=broken)
    noise = np.random.default_rng(5).integers(0, 256, (H, W), dtype=np.uint8)
    found["tiff lzw of noise with a hole"] = Odd(holed(lzw(noise), 0.4, 0.6), refused=broken)
    for name in ("lzw", "zstd", "packbits", "jpeg", "tiff_adobe_deflate"):
        data = pil(RGB, "TIFF", compression=f"tiff_{name}" if name == "lzw" else name)
        found[f"tiff {name} that ends in zeros"] = Odd(holed(data, 0.6, 0.95), refused=broken)
    return found


def paletted(index: np.ndarray) -> Image.Image:
    image = Image.frombytes("P", index.shape[::-1], np.ascontiguousarray(index).tobytes())
    image.putpalette(PAL.tobytes())
    return image


def interlaced() -> bytes:
    """GREY in the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    body = b"".join(b"\0" + row.tobytes() for top, left, down, right in passes for row in GREY[top::down, left::right])
    plain = png(rows(GREY), 8, 0)
    header = struct.pack(">IIBBBBB", W, H, 8, 0, 0, 0, 1)
    return b"".join(
        [
            plain[:8],
            *(
                struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d))
                for n, d in ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
            ),
        ]
    )
