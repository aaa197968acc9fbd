"""The contract of a storage: the files of one dataset, wherever they are."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import IO, BinaryIO


class Storage(ABC):
    """Files of one dataset, by name, none in a deeper folder. A file appears whole or not at all.

    url: the place as the user gave it, for messages. local: whether reading costs no network.
    Methods raise FileNotFoundError for a file that is not there, and OSError where the disk or the server fails.
    """

    url: str
    local: bool

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """The files that are there and their bytes, by name; nothing where the place does not exist."""

    @abstractmethod
    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        """The bytes of a file from `start`; `size` of them, or all that follow."""

    @abstractmethod
    def open(self, name: str, size: int | None = None, ahead: bool = False) -> BinaryIO:
        """A file to read and to seek in. size: its bytes, where they are known: that spares a request.

        ahead: it is read from front to back in small pieces: a request then brings megabytes, not one piece.
        """

    @abstractmethod
    def create(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write; it appears under its name once the context is left without an exception."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Take a file away; one that is not there is no error."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the place where it is missing. Raises UserError where it cannot be made."""

    @abstractmethod
    def claimed(self, shared: bool = False) -> AbstractContextManager[None]:
        """Hold the place for one run, or for several that make parts of it (shared). Raises UserError where it is held.

        Object storage knows no locks: there two runs do the same work twice and write the same bytes.
        """

    @abstractmethod
    def sweep(self) -> None:
        """Take away what killed runs left unfinished."""

    def write(self, name: str, data: bytes) -> None:
        """A whole file at once."""
        with self.create(name) as file:
            file.write(data)

    def shown(self, name: str) -> str:
        """A file's place, for messages."""
        return f"{self.url.rstrip('/')}/{name}"
