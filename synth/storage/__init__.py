"""Where a dataset stands: a folder, or a prefix in object storage. Nothing else tells them apart."""

import re
from pathlib import Path

from synth.errors import UserError
from synth.paths import home
from synth.storage.base import Storage
from synth.storage.folder import Folder

__all__ = ["Folder", "Storage", "local_path", "open_storage"]

ALMOST_URL = re.compile(r"[A-Za-z0-9+.-]{2,}:/(?!/)")  # s3:/bucket: one slash is missing
PLACE = re.compile(r"[^/]+://+[^/]")


def open_storage(where: str | Path) -> Storage:
    """The storage at a path or a URL (`s3://bucket/prefix`, `memory://x`, … as fsspec has them).

    Raises UserError where a URL names no place, or its kind is not known, or what it needs is not installed.
    """
    text = str(where)
    if isinstance(where, Path) or "://" not in text:
        if ALMOST_URL.match(text):
            raise UserError(f"{text}: neither a path nor a URL; a URL has two slashes: {text.replace(':/', '://', 1)}")
        return Folder(home(Path(where)))
    if not PLACE.match(text):
        raise UserError(f"{text}: names no place; a URL is like s3://bucket/prefix")
    if (path := local_path(text)) is not None:
        return Folder(path)
    from synth.storage.bucket import Bucket

    return Bucket(text)


def local_path(text: str) -> Path | None:
    """The path that a text names; None where it is a URL of elsewhere. `file:///folder` is a path."""
    if "://" not in text:
        return home(Path(text))
    return Path(text.removeprefix("file://")) if text.startswith("file://") else None
