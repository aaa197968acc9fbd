"""The pixels of TIFF files: every strip or tile has to decode to its last byte (shards/FILES.md).

Deflate is Python's, JPEG simplejpeg's, which are strict; LZW, PackBits, zstd and LZMA are those of the libtiff that
comes with Pillow, which is handed the same strips as rows of plain bytes. Predictors, planes and bits are undone here.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from trainer.data.tiff_tags import (
    BLACK_IS_ZERO,
    CMYK,
    COLOURS,
    DAMAGED,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    Refused,
    Tiff,
)

SPARE = 1 << 16  # bytes that a strip may hold beyond its rows
MOST_DECODED = 1 << 30  # bytes
RAW, DEFLATE, JPEG = 1, (8, 32946), 7
BY_LIBTIFF = {5: "LZW", 32773: "PackBits", 34925: "LZMA", 50000: "zstd"}
NOT_READ = {4: "a transparency mask", 8: "CIELab colours", 9: "ICCLab colours", 32803: "a raw mosaic of a sensor"}
ALPHA = (1, 2)  # what ExtraSamples calls it, premultiplied and straight
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # of FillOrder 2


def read_values(data: bytes, tiff: Tiff) -> tuple[NDArray[Any], list[str]]:
    """The values of the first page, (H, W) or (H, W, 3), as they are stored (not turned), and notes of what was left.

    uint8 where they have 8 bits or less, scaled to 255 (palettes are looked up, CMYK is converted, WhiteIsZero is
    turned round); else uint16, or signed, longer and floating ones as they are. Raises ValueError.
    """
    _check(tiff)
    notes = [] if not tiff.pages else ["the first of its pages or frames"]
    colours = COLOURS[tiff.photometric]
    if tiff.samples > colours:
        notes.append("alpha dropped" if tiff.extra[:1] and tiff.extra[0] in ALPHA else "a further channel dropped")
    stacked = _jpeg(data, tiff) if tiff.compression == JPEG else _plain(data, tiff)
    values = np.ascontiguousarray(stacked[: tiff.height, : tiff.width, :colours])
    if tiff.photometric == PALETTE:
        return _looked_up(values[:, :, 0], tiff.colours), notes
    if tiff.bits < 8 or (tiff.photometric == CMYK and tiff.bits != 8):
        top = (1 << tiff.bits) - 1
        values = ((values.astype(np.uint32) * 510 + top) // (2 * top)).astype(np.uint8)
    if tiff.photometric == WHITE_IS_ZERO:
        values = values.dtype.type((1 << max(tiff.bits, 8)) - 1) - values
    if tiff.photometric == CMYK:
        image = Image.frombytes("CMYK", values.shape[1::-1], values.tobytes())
        return np.array(image.convert("RGB")), [*notes, "CMYK converted without its profile"]
    return (values[:, :, 0] if colours == 1 else values), notes


def _check(tiff: Tiff) -> None:
    """Raises ValueError where it is of a kind that is not read."""
    colours = COLOURS.get(tiff.photometric)
    if colours is None:
        what = NOT_READ.get(tiff.photometric, f"pixels of PhotometricInterpretation {tiff.photometric}")
        raise Refused(f"{what}; save it as grey or RGB")
    if tiff.samples < colours:
        raise Refused(f"{tiff.samples} channels where its colours need {colours}; save it as grey or RGB")
    unnamed = tiff.samples > colours and colours == 1 and not (tiff.extra[:1] and tiff.extra[0] in ALPHA)
    if tiff.samples > colours + 1 or unnamed:
        raise Refused(
            f"{tiff.samples} channels that are not grey, RGB or CMYK and an alpha; save those that are meant as such"
        )
    if tiff.compression not in (RAW, JPEG, *DEFLATE, *BY_LIBTIFF):
        import tifffile

        try:
            name = tifffile.COMPRESSION(tiff.compression).name
        except ValueError:
            name = str(tiff.compression)
        raise Refused(f"compression {name} is not read; save it with LZW, Deflate or zstd, or without any")
    if tiff.photometric == YCBCR and tiff.compression != JPEG:
        raise Refused("YCbCr colours outside JPEG are not read; save it as RGB")
    if tiff.photometric == PALETTE and (tiff.colours is None or tiff.bits > 16 or tiff.kind != "u"):
        raise Refused("a palette that is missing, or of numbers that cannot stand in one")
    if tiff.photometric in (WHITE_IS_ZERO, CMYK) and (
        tiff.kind != "u" or tiff.bits > (32 if tiff.photometric == 0 else 16)
    ):
        raise Refused("WhiteIsZero or CMYK of signed, floating or long numbers, of which no rule says what is white")
    if tiff.predictor not in (1, 2, 3) or (tiff.predictor == 3 and tiff.kind != "f"):
        raise Refused(f"predictor {tiff.predictor} of such numbers is not read")
    whole = tiff.bits in (8, 16, 32, 64)
    if (
        (tiff.kind == "u" and not (whole or tiff.bits < 16))
        or (tiff.kind != "u" and not whole)
        or (tiff.kind, tiff.bits) == ("f", 8)
    ):
        raise Refused(f"numbers of {tiff.bits} bits ({tiff.kind}) are not read; save it with 8 or 16 bits")
    if tiff.predictor == 2 and not whole:
        raise Refused(f"a predictor of {tiff.bits} bits is not read")
    tall, wide, down, beside = tiff.cells
    planes = tiff.samples if tiff.planar else 1
    if down * tall * beside * wide * max(1, tiff.bits // 8) * tiff.samples > 4 * MOST_DECODED or wide * tall > 1 << 28:
        raise Refused("more than 1 GB of pixels")
    listed, needed = min(len(tiff.offsets), len(tiff.counts)), planes * down * beside
    if listed < needed:
        raise ValueError(f"{DAMAGED}: {listed} of its {needed} strips or tiles are listed")


def _segments(data: bytes, tiff: Tiff) -> list[bytes]:
    """The bytes of each strip or tile as they stand in the file. Raises ValueError where one is not all there."""
    _, _, down, beside = tiff.cells
    count = down * beside * (tiff.samples if tiff.planar else 1)
    found = []
    for number, (offset, size) in enumerate(zip(tiff.offsets[:count], tiff.counts[:count], strict=True)):
        if offset < 8 or size < 1 or offset + size > len(data):
            raise ValueError(f"{DAMAGED}: strip or tile {number + 1} of {count} is missing or cut")
        segment = data[offset : offset + size]
        if tiff.compression in BY_LIBTIFF and bytes(_longest(tiff.compression, size)) in segment:
            raise ValueError(f"{DAMAGED}: strip or tile {number + 1} of {count} has a hole of zeros")
        found.append(segment.translate(MIRRORED) if tiff.mirrored and tiff.compression != JPEG else segment)
    return found


def _longest(compression: int, size: int) -> int:
    """More zero bytes in a row than a sound strip or tile has, of a compression without a sum that would tell.

    A code for equal bytes stands for so many: LZW has it as soon as it met two, PackBits for 128. zstd and LZMA leave
    a block of noise as it is, unless a 64th of it can be saved.
    """
    return {5: 16, 32773: 256, 50000: 64 + min(size, 1 << 17) // 64, 34925: 4096}[compression]


def _plain(data: bytes, tiff: Tiff) -> NDArray[Any]:
    """(rows, columns, samples) of whole strips or tiles, in this machine's byte order."""
    tall, wide, down, beside = tiff.cells
    height = down * tall if tiff.tile else tiff.height
    inside = 1 if tiff.planar else tiff.samples
    row = -(-wide * inside * tiff.bits // 8)  # bytes of a row of a strip or tile
    segments = _segments(data, tiff)
    planes = []
    for first in range(0, len(segments), down * beside):
        part = segments[first : first + down * beside]
        if tiff.compression in BY_LIBTIFF:
            rows = _by_libtiff(part, tiff, row, height)
        else:
            rows = np.empty((height, beside, row), np.uint8)
            for number, segment in enumerate(part):
                top, left = number // beside * tall, number % beside
                need = min(tall, height - top) * row
                found = segment if tiff.compression == RAW else _inflated(segment, tall * row)
                if len(found) < need:
                    raise ValueError(f"{DAMAGED}: strip or tile {number + 1} of {len(part)} ends early")
                rows[top : top + tall, left] = np.frombuffer(found, np.uint8, need).reshape(-1, row)
        planes.append(_numbers(rows, tiff, wide, inside).reshape(height, beside * wide, inside))
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _inflated(segment: bytes, most: int) -> bytes:
    """Deflate, to its end and its sum: what is damaged may well give enough bytes."""
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(segment, most + SPARE)
    except zlib.error:
        raise ValueError(f"{DAMAGED}: a strip or tile does not inflate") from None
    if not stream.eof:
        raise ValueError(f"{DAMAGED}: a strip or tile ends early")
    return found


def _by_libtiff(segments: list[bytes], tiff: Tiff, row: int, height: int) -> NDArray[np.uint8]:
    """(rows, strips or tiles beside each other, bytes) of compressed ones, through a TIFF of grey bytes."""
    tall, _, _, beside = tiff.cells
    body, offsets, at = b"".join(segments), [], 0
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    layout = [(322, [row]), (323, [tall])] if tiff.tile else [(278, [tall])]
    places, sizes = (324, 325) if tiff.tile else (273, 279)
    tags = [(256, [beside * row]), (257, [height]), (258, [8]), (259, [tiff.compression]), (262, [1]), (277, [1])]
    made = _tiff(sorted([*tags, *layout, (sizes, [len(segment) for segment in segments])]), places, offsets, body)
    try:
        with TiffImagePlugin.TiffImageFile(io.BytesIO(made)) as image:  # not by Image.open, which counts pixels
            return np.array(image).reshape(height, beside, row)
    except Exception:  # whatever the decoder stumbled over
        raise ValueError(f"{DAMAGED}: a strip or tile does not decode as {BY_LIBTIFF[tiff.compression]}") from None


def _tiff(tags: list[tuple[int, list[int]]], places: int, offsets: list[int], body: bytes) -> bytes:
    """A little-endian TIFF of one page: header, tags, the numbers that do not fit into them, and strips or tiles."""
    tags = sorted([*tags, (places, offsets)])
    beyond = 8 + 2 + 12 * len(tags) + 4
    start = beyond + sum(4 * len(values) for _, values in tags if len(values) > 1)
    entries, tail = b"", b""
    for code, values in tags:
        values = [start + value for value in values] if code == places else values
        entry = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            entry, tail = struct.pack("<I", beyond + len(tail)), tail + entry
        entries += struct.pack("<HHI", code, 4, len(values)) + entry
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + tail + body


def _numbers(rows: NDArray[np.uint8], tiff: Tiff, wide: int, inside: int) -> NDArray[Any]:
    """(rows, strips or tiles beside each other, columns, samples) of their bytes, the predictor undone."""
    height, beside, _ = rows.shape
    if tiff.bits not in (8, 16, 32, 64):
        bits = np.unpackbits(rows, axis=2)[:, :, : wide * inside * tiff.bits].reshape(-1, wide * inside, tiff.bits)
        values = np.zeros(bits.shape[:2], np.uint8 if tiff.bits < 8 else np.uint16)
        for bit in range(tiff.bits):
            values = values << 1 | bits[:, :, bit]
        return values.reshape(height, beside, wide, inside)
    size = tiff.bits // 8
    if tiff.predictor == 3:  # Adobe's TIFF Technical Note 3: differences of bytes, the highest of all first
        summed = rows.reshape(height, beside, -1, inside).cumsum(axis=2, dtype=np.uint8)
        planes = summed.reshape(height, beside, size, wide * inside)
        number = np.ascontiguousarray(np.moveaxis(planes, 2, 3)).view(f">f{size}")
        return number.reshape(height, beside, wide, inside).astype(f"f{size}")
    stored = f"{tiff.order}{'u' if tiff.predictor == 2 else tiff.kind}{size}"
    values = rows.view(stored).reshape(height, beside, wide, inside)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if tiff.predictor == 2:
        values = values.cumsum(axis=2, dtype=values.dtype).view(f"{tiff.kind}{size}")
    return values


def _jpeg(data: bytes, tiff: Tiff) -> NDArray[Any]:
    """(rows, columns, samples) of strips or tiles that are JPEG files without their tables."""
    tall, wide, down, beside = tiff.cells
    if tiff.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR) or tiff.bits != 8 or tiff.predictor != 1:
        raise Refused("JPEG in a TIFF of other than grey, RGB or YCbCr bytes is not read; save it as RGB")
    if tiff.samples != COLOURS[tiff.photometric] or (tiff.planar and tiff.samples > 1):
        raise Refused("JPEG in a TIFF with an alpha channel or in planes is not read; save it as RGB")
    grey = tiff.samples == 1
    height = down * tall if tiff.tile else tiff.height
    values = np.empty((height, beside * wide, tiff.samples), np.uint8)
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + (b"\1" if tiff.photometric == YCBCR else b"\0")  # which says YCbCr
    for number, segment in enumerate(_segments(data, tiff)):
        whole = b"\xff\xd8" + (b"" if grey else adobe) + tiff.tables[2:-2] + segment[2:]
        top, left = number // beside * tall, number % beside * wide
        try:
            part = simplejpeg.decode_jpeg(whole, colorspace="GRAY" if grey else "RGB", strict=True)
        except ValueError:
            raise ValueError(f"{DAMAGED}: strip or tile {number + 1} does not decode as JPEG") from None
        if len(part) < min(tall, height - top) or part.shape[1] < wide:
            raise ValueError(f"{DAMAGED}: strip or tile {number + 1} is too small")
        values[top : top + tall, left : left + wide] = part[: min(tall, height - top), :wide]
    return values


def _looked_up(index: NDArray[Any], colours: Any) -> NDArray[np.uint8]:
    """The colours of a palette of 16-bit numbers; some writers mean bytes."""
    table = np.asarray(colours, np.uint16).reshape(3, -1).T
    narrow = (table if table.max(initial=0) < 256 else table >> 8).astype(np.uint8)
    if index.max(initial=0) >= len(narrow):
        raise ValueError(f"{DAMAGED}: its palette has {len(narrow)} colours, a pixel has number {index.max()}")
    return narrow[index]
