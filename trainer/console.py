"""What a program says to the person who watches."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """A line; stdout is left for results."""
    print(text, file=sys.stderr, flush=True)
