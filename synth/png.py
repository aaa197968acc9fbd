"""PNG files, written about three times as fast as OpenCV writes them: a subtraction a row, and Intel's deflate.

The files are as large as OpenCV's. Noise, which most samples have, leaves the filters and levels of slower writers
nothing to win.
"""

import struct

import numpy as np
from isal import isal_zlib

from synth.pixels import Bytes

MAGIC = b"\x89PNG\r\n\x1a\n"
UP = 2  # filter type of a row: what is added to the row above
GREY, COLOUR = 0, 2  # colour types
LEVEL = 3  # 1 and 2 are quicker and as small, but their bytes now and then differ between two processes (ISA-L 2.32.1)


def encode_png(image: Bytes) -> bytes:
    """PNG bytes of (H, W) or (H, W, 3), 8 bits, lossless (ISO/IEC 15948)."""
    height, width = image.shape[:2]
    rows = np.ascontiguousarray(image).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    kind = COLOUR if image.ndim == 3 else GREY
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return MAGIC + header + _chunk(b"IDAT", isal_zlib.compress(filtered.data, LEVEL)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(data)), name, data, struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(name))))
    )
