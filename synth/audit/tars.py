"""A tar read once from front to back: every header is looked at, nothing is unpacked, no name becomes a path."""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
LARGEST = 1 << 28  # bytes of a member that are kept: no picture or record of ours comes near


@dataclass(frozen=True)
class Member:
    """A file in a tar. offset, size: its bytes there. data: None where it is larger than `LARGEST`."""

    name: str
    offset: int
    size: int
    sha256: str
    data: bytes | None


class TarWalk:
    """The members of a tar in order, one at a time in memory; afterwards the size and hash of all, and what is wrong.

    Headers give no offsets here, the position in the file does: a header that lies is found out.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self.size = 0
        self.faults: list[str] = []

    @property
    def sha256(self) -> str:
        """Of all bytes, once the members are through."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Member]:
        yield from self._members()
        while self._take(CHUNK):
            pass

    def _take(self, size: int) -> bytes:
        """The next bytes: fewer where the file ends."""
        parts: list[bytes] = []
        while size > 0 and (part := self._file.read(min(size, CHUNK))):
            self._hash.update(part)
            self.size += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _members(self) -> Iterator[Member]:
        while True:
            at = self.size
            header = self._take(BLOCK)
            if len(header) < BLOCK:
                self.faults.append(f"the tar is cut at byte {self.size}")
                return
            if not any(header):
                return
            try:
                info = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
            except tarfile.HeaderError:
                self.faults.append(f"no tar header at byte {at}")
                return
            if not info.isreg() or info.size < 0:
                self.faults.append(f"{info.name!r} at byte {at} is no plain file")
                return
            member = self._member(info.name, info.size)
            if member is None:
                self.faults.append(f"the tar is cut at byte {self.size}, in {info.name!r}")
                return
            yield member

    def _member(self, name: str, size: int) -> Member | None:
        offset, digest, parts, left = self.size, hashlib.sha256(), [], size
        while left:
            part = self._take(min(left, CHUNK))
            if not part:
                return None
            digest.update(part)
            left -= len(part)
            if size <= LARGEST:
                parts.append(part)
        padding = -size % BLOCK
        if len(self._take(padding)) < padding:
            return None
        return Member(name, offset, size, digest.hexdigest(), b"".join(parts) if size <= LARGEST else None)
