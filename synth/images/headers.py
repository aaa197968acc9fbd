"""What the header of an image file says, read before anything is decoded: its size, how it is turned, its colours."""

import io
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from synth.errors import UnreadableError
from synth.images.kinds import MOST_PIXELS as MOST_PIXELS
from synth.images.kinds import Header as Header
from synth.images.kinds import header_of

MOST_BYTES = 1 << 30  # of a file


class File(Protocol):
    """What a path has of which pictures need something."""

    @property
    def name(self) -> str: ...
    def open(self, mode: Literal["rb"], /) -> BinaryIO: ...


def read_header(file: Path | bytes) -> Header:
    """The header of an image file. Raises UnreadableError where there is none, or where it claims too many pixels."""
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
            return header_of(opened)
    except OSError as error:
        raise UnreadableError(f"no image that can be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UnreadableError(str(error)) from None
