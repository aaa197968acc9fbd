"""One run a folder: a lock that the leading process of a run holds, and that ends with it however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from pathlib import Path
from typing import BinaryIO

from trainer.errors import UserError

LOCK = ".lock"
"""In the folder while a run writes there; empty. What a killed one leaves holds nothing."""
LOCKLESS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What file systems of clusters say that know no locks: two runs then do as before, and spoil each other's files."""


class FolderLock:
    """Holds a folder, which is made where it is missing, until `release`, or the end of the process.

    shared: with others that ask so. Processes that are forked meanwhile do not hold it on. Raises UserError where
    another holds it, OSError.
    """

    def __init__(self, folder: Path, shared: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._shared = folder / LOCK, shared
        self._file: BinaryIO | None = None
        while self._file is None:
            self._file = self._path.open("ab")
            try:
                fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in LOCKLESS:
                    break
                self._file.close()
                if not isinstance(error, BlockingIOError):
                    raise
                raise UserError(
                    f"--out {folder}: another run is writing there; wait for it, or choose another folder"
                ) from None
            if not self._is_there(self._file):  # its holder removed it in between
                self.let_go()
        _HELD.add(self)

    def release(self) -> None:
        """Lets others have the folder, and takes the file away; a second time nothing."""
        if self._file is not None and not self._shared and self._is_there(self._file):
            self._path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """In this process alone."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _is_there(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def check_free(folder: Path) -> None:
    """Raises UserError where another run holds the folder; writes nothing."""
    if (folder / LOCK).is_file() and os.access(folder / LOCK, os.W_OK):
        FolderLock(folder, shared=True).release()  # the ranks of a run look at once


_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _let_go() -> None:
    """In a forked process, such as a DataLoader's, which may outlive a run that is killed."""
    for lock in list(_HELD):
        lock.let_go()


os.register_at_fork(after_in_child=_let_go)
