"""The names that shards/FORMAT.md gives: versions, kinds, members, sidecars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trainer.addresses import split
from trainer.errors import UserError
from trainer.files import one_line

VERSION = 2
"""The newest that is read. What 2 has over 1, effects that are lessened and targets with an emphasis, training takes
from sentence and target, which belong together: it looks at no mark of a record."""
IMAGES = ("a", "b", "target")
MEMBERS = (*IMAGES, "json")
CLEAN = ("clean_a", "clean_b")
"""Members that stand only in shards whose recipe says `store: [clean]`."""
ALL_MEMBERS = (*MEMBERS, *CLEAN)
DATASET = "dataset.json"
"""What stands beside the shards, and is no sample's record where it was packed with them."""
PICTURES, LATENTS = "images", "latents"
KINDS = (PICTURES, LATENTS)
"""Of shards: degraded pairs as image files; the same encoded, by `trainer encode`."""


def check_format(version: Any, kind: Any, where: str, kinds: Sequence[str] = (PICTURES,)) -> int:
    """The version; refuses one of the shard format that this trainer does not know, and shards of none of these kinds.

    Raises UserError.
    """
    try:
        number = int(version)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where}: no format version; not written as shards/FORMAT.md says") from None
    if number > VERSION:
        raise UserError(f"{where}: format version {number}, and this trainer reads up to {VERSION}; update the trainer")
    if kind in kinds:
        return number
    if kind == LATENTS:
        raise UserError(f"{where}: shards of latents, and here pictures are needed; name those that they were made of")
    raise UserError(f"{where}: shards of kind '{one_line(kind)}'; this trainer reads {', '.join(map(repr, kinds))}")


def sidecar_of(url: str) -> str:
    """Beside a tar, under the same signature, if any."""
    address, query = split(url)
    return f"{address.removesuffix('.tar')}.parquet{query}"


def member_in(names: Iterable[str], member: str) -> str | None:
    """Which of a sample's names without its key ("a.png", "json") is that member's; None where none is."""
    return next((name for name in names if name == member == "json" or name.startswith(f"{member}.")), None)
