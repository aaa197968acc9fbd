"""The two ways in which a run can be wrong without a bug in the tool, and words that messages share."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: one line that says what, where, the value, the rule and the way out.

    The command line prints it without a traceback and exits with 2.
    """


class StoppedError(Exception):
    """A run that ended before its time: killed, interrupted, or out of disk or sources. The same command goes on.

    code: what the command line exits with, after it printed the one line.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class UnreadableError(Exception):
    """A source file that cannot be used. Its samples become rows with this reason, which names no folder."""


def in_one_line(error: BaseException, most: int = 200) -> str:
    """What an exception of some library says, as the end of a message: one line, not too long, never nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def with_kind(error: BaseException) -> str:
    """The same after its kind, without which some say nothing: KeyError: 'size'."""
    return f"{type(error).__name__}: {in_one_line(error)}"


def hint(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {listed(known)}"


def listed(values: Iterable[object]) -> str:
    """Names in a message, in order."""
    return ", ".join(str(value) for value in sorted(values, key=str))
