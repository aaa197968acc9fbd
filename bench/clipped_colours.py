"""The colours of targets of brackets where the brighter shot has lost its own, beside a given truth:
`python -m bench.clipped_colours --pairs DIR`. DIR holds mef/, of whose pairs those with a truth count.

Measured in CIELAB where a channel of the brighter shot is clipped and that of the darker is not: how far a* and b* lie
from the truth's, and how saturated the target is against it. A truth is shrunk to 400 px with its pair. The section is
in docs/targets.md.
"""

from collections.abc import Callable

import cv2
import numpy as np

from bench.command import parsed
from bench.document import table
from bench.targets import by_roots, pairs, pairs_parser
from synth.images import exposure_fusion
from synth.images.pixels import Bytes, Floats
from synth.targets import exposure
from synth.targets.gradient import fuse
from synth.tasks import TASKS

TASK = "mef"
SIDE = 400  # pixels of the short side, at most
SHARE = 0.5  # of its colours that a place has lost
LEAST = 500  # such pixels of a pair that counts
POWERS = (0.5, 0.6, exposure_fusion.COLOUR_POWER, 0.8, 1.0)
COMMAND = "python -m bench.clipped_colours --pairs data/pairs/train"
QUICK = {"SIDE": 64, "LEAST": 1, "POWERS": (0.7,)}


def shrunk(picture: Bytes) -> Bytes:
    """At most SIDE pixels on its short side."""
    scale = min(1.0, SIDE / min(picture.shape[:2]))
    return np.ascontiguousarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def lab(picture: Bytes) -> Floats:
    """CIELAB, (H, W, 3)."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def differences(fused: Bytes, truth: Bytes, lost: np.ndarray) -> tuple[float, float]:
    """The mean distance in a* and b*, and saturation against that of the truth, where colours are lost."""
    ours, theirs = lab(fused)[lost][:, 1:], lab(truth)[lost][:, 1:]
    away = np.linalg.norm(ours - theirs, axis=1).mean()
    return float(away), float(np.linalg.norm(ours, axis=1).mean() / max(np.linalg.norm(theirs, axis=1).mean(), 1e-3))


def report(root: object) -> str:
    """A table of what the target does with lost colours, by the power of the ratio of lumas."""
    found: dict[str, list[tuple[float, float]]] = {}
    counted = 0
    rules, usual, recoloured = TASKS[TASK], exposure_fusion.COLOUR_POWER, exposure.recoloured
    as_it_is: Callable[[Bytes, Bytes], Bytes] = lambda image, _: image  # noqa: E731
    for _, pair in pairs(root, TASK):  # type: ignore[arg-type]
        if pair.gt is None or any(picture.ndim == 2 for picture in (*pair.pictures.values(), pair.gt)):
            continue
        pictures, truth = {name: shrunk(picture) for name, picture in pair.pictures.items()}, shrunk(pair.gt)
        a, b = pictures["a"], pictures["b"]
        lost = exposure_fusion.clipping(b) - exposure_fusion.clipping(a) > SHARE
        if lost.sum() < LEAST:
            continue
        counted += 1
        choices = rules.choose(pictures)
        try:
            exposure.recoloured = as_it_is  # type: ignore[assignment]
            found.setdefault("its own", []).append(differences(fuse(rules, pictures, choices), truth, lost))
            exposure.recoloured = recoloured
            for power in POWERS:
                exposure_fusion.COLOUR_POWER = power
                found.setdefault(f"{power:g}", []).append(differences(fuse(rules, pictures, choices), truth, lost))
        finally:
            exposure.recoloured, exposure_fusion.COLOUR_POWER = recoloured, usual
    rows = [
        [f"**{name}**" if name == f"{usual:g}" else name, *(f"{x:.2f}" for x in (*np.mean(v, 0), *np.median(v, 0)))]
        for name, v in found.items()
    ]
    head = ["colour", "ΔE in a*, b*, mean", "saturation, mean", "ΔE, median", "saturation, median"]
    return f"{counted} pairs with a truth.\n\n{table(head, rows)}"


def main() -> None:
    """Measure, print and document."""
    given = parsed(pairs_parser(__doc__), globals(), QUICK)
    by_roots("targets.md", "clipped", COMMAND, given.pairs, report)


if __name__ == "__main__":
    main()
