"""What a program says to the person who watches."""

from __future__ import annotations

import sys

from trainer.addresses import shown


def say(text: str) -> None:
    """A line, without what signs addresses; stdout is left for results."""
    print(shown(text), file=sys.stderr, flush=True)
