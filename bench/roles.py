"""How often `synth.pairs.roles` is right: real pairs as they are and exchanged, and real infrared painted with maps.

`python -m bench.roles --pairs ROOT` (ROOT/{train,test}/vif) puts a table into docs/dataset.md. Thresholds were chosen
on train pairs.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from bench.command import parsed, parser
from bench.document import put, table
from synth.errors import UnreadableError
from synth.images import codecs
from synth.images.colour_maps import CYCLES, EXCHANGED, maps
from synth.images.pixels import Bytes, luma
from synth.pairs.files import FilePair
from synth.pairs.folder import FolderSource
from synth.pairs.roles import as_roles
from synth.tasks import TASKS

EACH = 20  # one infrared image of so many is painted, with every map
QUALITY = 80  # of JPEG, with colours at half the resolution
ALIKE = 0.95  # correlation of what was undone with what was painted, or of its negative
MAPS = tuple(name for name in maps() if name not in CYCLES and not name.endswith(EXCHANGED))
QUICK = {"MAPS": MAPS[:2]}
CAPTURE, FILES = TASKS["vif"].capture, {"a": "a", "b": "b"}


def said(a: Bytes, b: Bytes) -> str:
    """How the infrared image b of a pair is taken: `undone`, `refused`, `told`, or `grey` without a word."""
    try:
        doubts = as_roles({"a": a, "b": b}, FILES, CAPTURE).doubts
    except UnreadableError:
        return "refused"
    return "grey" if not doubts else "undone" if any("undone" in doubt for doubt in doubts) else "told"


def painted(values: Bytes, name: str, visible: Bytes) -> tuple[bool, bool]:
    """Whether values that were painted and saved as PNG, and as JPEG, are had again."""
    image = np.rint(maps()[name][values]).astype(np.uint8)
    saved = codecs.decode(codecs.encode_jpeg(image, QUALITY, "420"))
    return back(image, values, visible), back(saved, values, visible)


def back(image: Bytes, values: Bytes, visible: Bytes) -> bool:
    """Whether a painted picture becomes the values again."""
    try:
        done = as_roles({"a": visible, "b": image}, FILES, CAPTURE)
    except UnreadableError:
        return False
    taken = done.pictures["b"]
    return "undone" in " ".join(done.doubts) and abs(np.corrcoef(taken.ravel(), values.ravel())[0, 1]) >= ALIKE


def of(root: Path) -> list[str]:
    """A row of the table."""
    right, exchanged, known = Counter[str](), Counter[str](), Counter[str]()
    pairs = [pair for pair in FolderSource(folder=root).pairs("vif") if isinstance(pair, FilePair)]
    for number, pair in enumerate(pairs):
        a, b = (codecs.read(file).image for file in pair.images)
        right[said(a, b)] += 1
        if a.ndim == 3:
            exchanged[said(b, a)] += 1
        if number % EACH == 0:
            grey = luma(b)
            for name in MAPS:
                png, jpeg = painted(grey, name, a)
                known += Counter(all=1, png=int(png), jpeg=int(jpeg))
    return [
        f"{root.parent.name}",
        f"{len(pairs) - right['grey']} of {len(pairs)}",
        f"{exchanged['told']} of {exchanged.total()}",
        f"{exchanged['undone'] + exchanged['refused']}",
        f"{known['png']} of {known['all']}",
        f"{known['jpeg']} of {known['all']}",
    ]


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--pairs", type=Path, required=True)
    root = parsed(wanted, globals(), QUICK).pairs
    head = ["pairs", "real infrared that anything is said of", "exchanged colour pictures that are told"]
    head += ["taken for false colours", "painted infrared undone, PNG", f"and JPEG of quality {QUALITY}, 4:2:0"]
    put(
        "dataset.md",
        "roles",
        "make bench-roles",
        table(head, [of(root / split / "vif") for split in ("train", "test")]),
    )


if __name__ == "__main__":
    main()
