"""What a program says to the person who watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from trainer.addresses import shown

TENTHS, SILENT = 10, 600.0
"""Where nobody watches, how often it is told how far work is: at so many parts of it, and after so many seconds."""


def say(text: str) -> None:
    """A line, without what signs addresses; stdout is left for results."""
    print(shown(text), file=sys.stderr, flush=True)


def progress(total: int) -> Callable[..., None]:
    """A function that tells how far work is: how many of `total` are done, and what the last one was, if anything.

    At a terminal that is a line each; in a file or a pipe a line at each tenth, and after ten minutes without one.
    """
    begun = last = time.monotonic()
    told = 0

    def tell(done: int, what: str = "") -> None:
        nonlocal last, told
        now, part = time.monotonic(), TENTHS * done // total
        if not sys.stderr.isatty() and part == told and now - last < SILENT:
            return
        last, told = now, part
        left = (now - begun) / done * (total - done) / 60
        say(f"{done} of {total}{what and f': {what}'}, about {left:.0f} min left")

    return tell
