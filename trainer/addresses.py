"""Addresses of what lies elsewhere: the path in them, the query that signs them, and what of them may be shown.

A signature gives whoever has it the file. So it stands in no message, log, saved config or name of a run; and since it
changes from day to day, nothing that a run must find again depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
SIGNED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s'\"<>]*?(?=[;:,.)\]}]*(?:[\s'\"<>]|$))")
WITH_PASSWORD = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]+:[^\s/@'\"]*@")

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # how an address begins, also after pathlib took a slash of it


def of_this_machine(path: str, given: Iterable[str] = ()) -> str:
    """A path that is read or written here; of `file:///folder/x` the path in it.

    given: the texts that the user wrote, of which the path was made. Raises ValueError, which ends a message that
    begins with them, where it is an address of elsewhere: pathlib takes that for a folder that is called `s3:`.
    """
    if ADDRESS.match(path) is None:
        return path
    if path.startswith("file:/"):
        return "/" + path.removeprefix("file:").lstrip("/")
    said = next((one for one in given if "://" in one and str(Path(one)) == path), path)
    raise ValueError(f"{said}: a URL, and here a file or a folder of this machine is needed; copy it yourself")


def split(url: str) -> tuple[str, str]:
    """An address without its query and its fragment, and the query with its question mark, or nothing.

    Paths of this machine, where both marks may stand in names, are whole.
    """
    if not SCHEME.match(url):
        return url, ""
    address, mark, query = url.partition("#")[0].partition("?")
    return address, mark + query


def path_of(url: str) -> str:
    """An address without what signs it: what names a file from day to day."""
    return split(url)[0]


def beside(url: str, name: str) -> str:
    """The address of another file in the same folder, signed by the same query."""
    address, query = split(url)
    return f"{address.rpartition('/')[0] or '.'}/{name}{query}"


def inside(url: str, name: str) -> str:
    """The address of a file in a folder, signed by the same query."""
    address, query = split(url)
    return f"{address.rstrip('/')}/{name}{query}"


def shown(text: str) -> str:
    """A text in which no address has a query or a password: `?…` and `…@` stand for them."""
    return WITH_PASSWORD.sub(r"\1…@", SIGNED.sub(r"\1?…", text))
