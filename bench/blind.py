"""Which of mixed real and synthetic crops are real? `python -m bench.blind deal --data ROOT`, then `... score`.

`deal` puts crops of real weather (ROOT/real) and of ours (on ROOT/photos/test and ROOT/pairs/test, outdoors) into
out/blind/EFFECT/, in sheets of twelve at their own size, numbered, and the answers into out/blind/key.json. Whoever
judges writes out/blind/EFFECT.NAME.txt: a line `NUMBER real` or `NUMBER synthetic` for each crop. `score --judge NAME`
says how often they are wrong (NAME is 1 where it is not given): 50% is chance, 0% a give-away. Both kinds are crops of
files that JPEG has been through once, at the size they are stored in.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from bench.command import parsed, parser
from bench.gallery import text
from synth.degradations.engine import EffectSpec
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour, luma
from synth.pairs.source import LeftOut, parse_source
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.scene.rooms import room_odds
from synth.streams import Streams
from synth.tasks import TASKS

OUT = Path("out/blind")
EFFECTS = ("haze", "rain", "snow")
CROP, A_SHEET, ACROSS = 230, 12, 4
QUALITY = 90
SEVERITY = (0.2, 0.9)
MIDDLE = 110  # mean luma of a frame that is exposed as photographs are
QUICK = {"count": 2}


def crops(image: Bytes, rng: Generator, count: int) -> Iterator[Bytes]:
    """Windows of CROP pixels that do not overlap by more than half, in any order."""
    height, width = image.shape[:2]
    taken: list[tuple[int, int]] = []
    for _ in range(200):
        y, x = int(rng.integers(0, height - CROP + 1)), int(rng.integers(0, width - CROP + 1))
        if all(abs(y - v) > CROP / 2 or abs(x - u) > CROP / 2 for v, u in taken):
            taken.append((y, x))
            yield in_colour(image[y : y + CROP, x : x + CROP])
        if len(taken) == count:
            return


def real(root: Path, effect: str, rng: Generator, count: int) -> list[Bytes]:
    """Crops of real weather, about as many of each photograph."""
    images = [codecs.read(path).image for path in sorted((root / "real" / effect).glob("*.jpg"))]
    images = [image for image in images if min(image.shape[:2]) >= CROP]
    each = -(-count // len(images)) + 1
    found = [crop for image in images for crop in crops(image, rng, each)]
    return [found[int(i)] for i in rng.permutation(len(found))[:count]]


def pictures(root: Path, rng: Generator) -> Iterator[Backdrop]:
    """Outdoors and in colour, of photographs and of pairs in turn, in any order."""
    files = sorted((root / "photos" / "test").iterdir())
    photos = [str(path) for path in files if path.suffix.lower() in codecs.SUFFIXES]
    refs = [
        (task, ref)
        for task in ("vif", "mef")
        for ref in parse_source({"folder": str(root / "pairs" / "test" / task)}).pairs(task)
        if not isinstance(ref, LeftOut)
    ]
    order = [rng.permutation(len(photos)), rng.permutation(len(refs))]
    for photo, pair in zip_longest(*(map(int, one) for one in order)):
        if photo is not None:
            image = codecs.read(Path(photos[photo])).image
            yield Backdrop(TASKS["vif"].capture, {"a": image, "b": luma(image)})
        if pair is not None:
            task, ref = refs[pair]
            yield Backdrop(TASKS[task].capture, ref.load().pictures)


def ours(root: Path, effect: str, rng: Generator, count: int) -> list[Bytes]:
    """Two crops each of pictures with a sky or a ground, at random severities."""
    found: list[Bytes] = []
    for backdrop in pictures(root, rng):
        grey, land = backdrop.pictures["a"].ndim == 2, backdrop.land
        room = room_odds(backdrop.capture, backdrop.pictures) > 0
        if min(backdrop.size) < CROP or grey or room or (land.sky is None and land.ground is None):
            continue
        shot = Shot.of_whole(backdrop, Streams(int(rng.integers(1 << 30)), 0))
        severity = float(rng.uniform(*SEVERITY))
        damaged = shot.damage(shot.draw([EffectSpec(effect, (severity, severity))]))
        clean = {name: picture for name, picture in shot.pictures.items() if not shot.views[name].infrared}
        image = damaged[min(clean, key=lambda name: abs(luma(clean[name]).mean() - MIDDLE))].image
        found += crops(codecs.decode_jpeg(codecs.encode_jpeg(image, QUALITY)), rng, 2)
        if len(found) >= count:
            break
    return found[:count]


def deal(root: Path, count: int, seed: int) -> None:
    key = {}
    for number, effect in enumerate(EFFECTS):
        rng = default_rng([seed, number])
        mine = ours(root, effect, rng, count // 2)
        theirs = real(root, effect, rng, len(mine))
        mixed = [(crop, "real") for crop in theirs] + [(crop, "synthetic") for crop in mine]
        mixed = [mixed[int(i)] for i in rng.permutation(len(mixed))]
        key[effect] = [kind for _, kind in mixed]
        folder = OUT / effect
        folder.mkdir(parents=True, exist_ok=True)
        cells = [np.vstack([text(str(n), CROP, 20), crop]) for n, (crop, _) in enumerate(mixed)]
        cells += [np.full_like(cells[0], 255)] * (-len(cells) % A_SHEET)
        for sheet in range(0, len(cells), A_SHEET):
            some = [np.pad(c, ((0, 6), (0, 6), (0, 0)), constant_values=255) for c in cells[sheet : sheet + A_SHEET]]
            rows = [np.hstack(some[row : row + ACROSS]) for row in range(0, A_SHEET, ACROSS)]
            (folder / f"{sheet // A_SHEET}.png").write_bytes(codecs.encode_png(np.vstack(rows)))
    (OUT / "key.json").write_text(json.dumps(key), encoding="utf-8")


def score(judge: str) -> None:
    """Print how often a judge was wrong, on either kind."""
    key = json.loads((OUT / "key.json").read_text(encoding="utf-8"))
    for effect, kinds in key.items():
        said = {}
        for line in (OUT / f"{effect}.{judge}.txt").read_text(encoding="utf-8").splitlines():
            number, word = line.split()
            said[int(number)] = word
        wrong = {
            kind: [said[n] != kind for n, is_ in enumerate(kinds) if is_ == kind] for kind in ("real", "synthetic")
        }
        total = [*wrong["real"], *wrong["synthetic"]]
        shares = ", ".join(f"{kind} {np.mean(values):.0%}" for kind, values in wrong.items())
        print(f"{effect}: wrong on {np.mean(total):.0%} of {len(total)} ({shares})")


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("what", choices=("deal", "score"))
    wanted.add_argument("--data", type=Path)
    wanted.add_argument("--count", type=int, default=60, help="crops of an effect")
    wanted.add_argument("--seed", type=int, default=1)
    wanted.add_argument("--judge", default="1")
    given = parsed(wanted, globals(), QUICK)
    cv2.setNumThreads(1)
    if given.what == "deal":
        if given.data is None:
            wanted.error("deal needs --data")
        deal(given.data, given.count, given.seed)
    else:
        score(given.judge)


if __name__ == "__main__":
    main()
