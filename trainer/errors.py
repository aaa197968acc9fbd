"""The one exception for what the user can put right."""

import errno

from trainer.addresses import shown

NAMED_WRONGLY = {
    getattr(errno, name)
    for name in ("ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "ELOOP", "EINVAL")
}
"""Errors of a path that another name mends; the rest, such as a full disk, are not the user's mistake."""


class UserError(Exception):
    """A mistake of the user's, or of the outside world: the message is one line that says what, where, the value,
    the rule and the way out. The command line prints it and exits with code 2; no traceback. What signs an address is
    not in it."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))
