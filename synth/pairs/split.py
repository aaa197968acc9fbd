"""On which side of a split a scene stands, whatever else is in the folder."""

import hashlib
import re
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "val", "test", "all"]
SIDES = ("train", "val", "test")
WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "testset"), "test"),
}
"""What tables and folders call the sides, in small letters."""
PAIR = re.compile(r"-p\d+$")  # several pairs of one scene: <dataset>-<scene>-p0, -p1, …


def side_of(folder: str, held_out: float, held_out_val: float = 0.0) -> Split:
    """`test` for a share `held_out` of all scenes, `val` for `held_out_val`, else `train`: by a hash of a name.

    folder: of the pair, `<dataset>-<scene>`; the pairs of a scene, `-p0` and on, stand on one side. More pairs move
    none, and what is for val is taken from train: no share of val moves a scene into test or out of it.
    """
    digest = hashlib.blake2b(PAIR.sub("", folder).encode(), digest_size=8).digest()
    place = int.from_bytes(digest)
    if place < held_out * 2**64:
        return "test"
    return "val" if place < (held_out + held_out_val) * 2**64 else "train"


def named_side(word: str) -> Split | None:
    """The side that a word of a table or a folder's name means, in letters of any case; None where it means none."""
    return WORDS.get(word.strip().lower())
