"""Addresses of what lies elsewhere: the path in them, the query that signs them, and what of them may be shown.

A signature gives whoever has it the file. So it stands in no message, log, saved config or name of a run; and since it
changes from day to day, nothing that a run must find again depends on it.
"""

from __future__ import annotations

import re

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
SIGNED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s'\"<>]*?(?=[;:,.)\]}]*(?:[\s'\"<>]|$))")
WITH_PASSWORD = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]+:[^\s/@'\"]*@")


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
