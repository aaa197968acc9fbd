"""Work that somebody may end before it is done: it asks before each tile whether to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ENDED: ContextVar[Callable[[], bool] | None] = ContextVar("ended", default=None)


class Stopped(Exception):
    """Work was ended from outside before it was done; there is no result."""


@contextmanager
def unless(ended: Callable[[], bool]) -> Iterator[None]:
    """What this thread does inside raises Stopped once `ended` says so, within the time of a tile."""
    former = _ENDED.set(ended)
    try:
        yield
    finally:
        _ENDED.reset(former)


def go_on() -> None:
    """Raises Stopped where the work that this is part of is to end."""
    ended = _ENDED.get()
    if ended is not None and ended():
        raise Stopped
