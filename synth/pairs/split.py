"""On which side of a split a scene stands, whatever else is in the folder."""

import hashlib
import re
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "test", "all"]
PAIR = re.compile(r"-p\d+$")  # several pairs of one scene: <dataset>-<scene>-p0, -p1, …


def side_of(folder: str, held_out: float) -> Split:
    """`test` for a share `held_out` of all scenes, else `train`: by a hash of the name of the pair's folder.

    folder: `<dataset>-<scene>`; the pairs of a scene, `-p0` and on, stand on one side. More pairs move none.
    """
    digest = hashlib.blake2b(PAIR.sub("", folder).encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest) < held_out * 2**64 else "train"
