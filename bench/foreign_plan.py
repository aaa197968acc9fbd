"""What bench/foreign.py makes: which scenes, which damage, which sentence. Nothing is damaged here.

Two halves that share no scene and no code. `choices` decides between models: scenes of pairs/train that training leaves
out, damaged by imgaug and albumentations. `table` is read once, at the end: scenes of pairs/test, damaged by
imagecorruptions and by hand. A model that trains on damage by imgaug must leave imgaug out of `choices` (rows with
code "imgaug"), or train without it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from numpy.random import Generator

from bench.foreign_effects import EFFECTS, KINDS
from synth.images.crop import too_small
from synth.pairs.base import PairRef
from synth.pairs.folder import FolderSource
from synth.pairs.source import LeftOut
from synth.pairs.split import PAIR
from synth.streams import stream
from synth.tasks import TASKS

Half: TypeAlias = Literal["choices", "table"]

HELD_OUT = 0.15
"""The share of pairs/train that is held out: `{folder: …, split: train, held_out: 0.15}` never sees a choices scene."""
TWINS = {
    *("epfl_nir_country-33", "hdrps-Bandon_Sunset__2_", "llvip-190061", "m3fd-00149"),
    *("m3svd-0113_1714_v0225", "roadscene-FLIR_07970", "tno-Marne_03"),
}
"""Held-out scenes whose place other scenes show (thumbnails that correlate by 0.85 or more): left out of choices."""
SIZE = 320
PAIRS = 20  # of each task in a half
SEED = 30

CODES: dict[Half, tuple[str, str]] = {
    "choices": ("imgaug", "albumentations"),
    "table": ("imagecorruptions", "textbook"),
}
CURVES = {"textbook": (1.0, 2.2)}
CURVES_OF_BYTES = (1.0, 1.0, 0.7, 1.3)  # steeper ones would leave a library that works on bytes too few levels
COUNTS = {1: 0.25, 2: 0.45, 3: 0.3}  # damages a pair

APART = (
    *({"rain", "snow"}, {"blur", "motion", "resolution"}, {"dark", "bright", "contrast"}),
    *({"haze", "bright"}, {"snow", "bright"}, {"haze", "contrast"}, {"stripes", "resolution"}),
)
"""No two of one set fall on a pair."""
IMAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "vif": {
        "haze": ("a", "ab"),
        **dict.fromkeys(("rain", "snow"), ("a", "ab")),
        **dict.fromkeys(("dark", "bright"), ("a",)),
        "contrast": ("a", "ab"),
        "stripes": ("b",),
        **dict.fromkeys(("blur", "motion", "noise", "resolution", "jpeg"), ("a", "b", "ab")),
    },
    "mef": {
        **dict.fromkeys(("haze", "rain", "snow", "blur", "motion", "contrast", "resolution"), ("ab",)),
        **dict.fromkeys(("noise", "jpeg"), ("a", "b", "ab", "ab")),
    },
    "mff": {
        **dict.fromkeys(("haze", "rain", "snow", "blur", "motion", "dark", "bright"), ("ab",)),
        **dict.fromkeys(("contrast", "resolution"), ("ab",)),
        **dict.fromkeys(("noise", "jpeg"), ("a", "b", "ab", "ab")),
    },
}
"""By task and kind, on which images it may fall."""
DARKEST, BRIGHTEST = 90, 135  # mean level of a picture that may still be darkened, or brightened

NOUNS = {
    **{"haze": "the fog", "rain": "the rain", "snow": "the snow", "blur": "the blur", "motion": "the motion blur"},
    **{"dark": "the darkness", "bright": "the overexposure", "noise": "the noise", "contrast": "the poor contrast"},
    **{"stripes": "the stripes", "resolution": "the low resolution", "jpeg": "the JPEG artifacts"},
}
PLACES = {
    "vif": {"a": "visible image", "b": "infrared image"},
    "mef": {"a": "dark image", "b": "bright image"},
    "mff": {"a": "near image", "b": "far image"},
}
TEMPLATES = (
    "remove {what}, then fuse the two images",
    "fuse the two images without {what}",
    "please take away {what} and make one picture of the two",
    "{what} must go; fuse the images",
    "I need one fused image, free from {what}",
)


@dataclass(frozen=True)
class Damage:
    """One kind of damage. images: a, b or ab. seeds: by image, of what the effect draws itself."""

    kind: str
    images: str
    effect: str
    settings: Mapping[str, Any]
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class Sample:
    """A pair to be made. repeat: 1 where another window of its scene was taken before. damages: in their order."""

    half: Half
    number: int
    task: str
    dataset: str
    scene: str
    repeat: int
    code: str
    curve: float
    damages: tuple[Damage, ...]
    prompt: str

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    def steps(self, image: str) -> list[dict[str, Any]]:
        """What bench/foreign_damage.py is to do to one of the images."""
        return [
            {"kind": x.kind, "effect": x.effect, "settings": dict(x.settings), "seed": x.seeds[image]}
            for x in self.damages
            if image in x.images
        ]


def candidates(half: Half, pairs: Path) -> dict[str, list[PairRef]]:
    """By task, the pairs that a half may take. pairs: the folder with train/ and test/."""
    found: dict[str, list[PairRef]] = {}
    for task in TASKS:
        if half == "choices":
            source = FolderSource(folder=pairs / "train" / task, split="test", held_out=HELD_OUT)
        else:
            source = FolderSource(folder=pairs / "test" / task)
        usable = [pair for pair in source.pairs(task) if not isinstance(pair, LeftOut) and _large_enough(pair)]
        found[task] = [pair for pair in usable if scene_of(pair.scene) not in TWINS]
    return found


def _large_enough(pair: PairRef) -> bool:
    header = pair.headers()[0]
    return header is not None and too_small((header.height, header.width), SIZE) is None


def scene_of(folder: str) -> str:
    """The scene of a pair's folder: several pairs of one scene end in -p0, -p1, …."""
    return PAIR.sub("", folder)


def chosen(half: Half, task: str, pairs: Sequence[PairRef], count: int) -> Iterator[tuple[PairRef, int]]:
    """`count` pairs, and how often each scene had its turn before: all scenes once, datasets in turn, then again."""
    rng = stream(SEED, 0, f"{half} {task}")
    scenes: dict[str, dict[str, list[PairRef]]] = {}
    for at in rng.permutation(len(pairs)):
        pair = pairs[at]
        scenes.setdefault(pair.dataset, {}).setdefault(scene_of(pair.scene), []).append(pair)
    queues = [list(scenes[dataset].values()) for dataset in sorted(scenes)]
    longest = max(map(len, queues))
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    for at in range(count):
        scene, repeat = turns[at % len(turns)], at // len(turns)
        yield scene[repeat % len(scene)], repeat


Level: TypeAlias = Callable[[PairRef, int], float]
"""The mean grey level of the visible image, or of both shots, of a pair's window."""


def plan(half: Half, pairs: Mapping[str, Sequence[PairRef]], level: Level, count: int = PAIRS) -> list[Sample]:
    """The samples of a half, `count` of each task. The same arguments give the same plan."""
    samples: list[Sample] = []
    for task, refs in pairs.items():
        used: Counter[str] = Counter()
        for at, (pair, repeat) in enumerate(chosen(half, task, refs, count)):
            number = len(samples)
            rng = stream(SEED, number, f"{half} damage")
            code = CODES[half][at % 2]
            curve = float(rng.choice(CURVES.get(code, CURVES_OF_BYTES)))
            kinds = _kinds(task, code, level(pair, repeat), used, rng)
            damages = tuple(_damage(task, code, kind, rng) for kind in kinds)
            names = (task, pair.dataset, pair.scene)
            samples.append(Sample(half, number, *names, repeat, code, curve, damages, sentence(task, damages, rng)))
    return samples


def _kinds(task: str, code: str, level: float, used: Counter[str], rng: Generator) -> list[str]:
    """One to three kinds, those first that this task had least, none that the picture or another forbids."""
    unfit = {"dark"} if level < DARKEST else {"bright"} if level > BRIGHTEST else set()
    possible = [kind for kind in KINDS if kind in EFFECTS[code] and kind in IMAGES[task] and kind not in unfit]
    kinds: list[str] = []
    for _ in range(int(rng.choice(list(COUNTS), p=list(COUNTS.values())))):
        left = [kind for kind in possible if kind not in kinds and not any(kind in s and s & {*kinds} for s in APART)]
        if left:
            kinds.append(min(left, key=lambda kind: (used[kind], rng.random())))
            used[kinds[-1]] += 1
    return sorted(kinds, key=KINDS.index)


def _damage(task: str, code: str, kind: str, rng: Generator) -> Damage:
    images = str(rng.choice(IMAGES[task][kind]))
    options = EFFECTS[code][kind]
    effect, draw = options[int(rng.integers(len(options)))]
    settings, seed = draw(rng), int(rng.integers(2**31 - 10))
    one_shot = TASKS[task].capture.simultaneous and kind in ("rain", "snow")
    own = 0 if one_shot or kind == "haze" else 1
    return Damage(kind, images, effect, settings, {image: seed + own * at for at, image in enumerate("ab")})


def sentence(task: str, damages: Sequence[Damage], rng: Generator) -> str:
    """What was done, in one of `TEMPLATES`; every other time a damage of one image alone names that image."""
    named = bool(rng.random() < 0.5)
    parts = [
        NOUNS[damage.kind] + (f" in the {PLACES[task][damage.images]}" if named and damage.images != "ab" else "")
        for damage in damages
    ]
    what = ", ".join([*parts[:-2], " and ".join(parts[-2:])])
    return TEMPLATES[int(rng.integers(len(TEMPLATES)))].format(what=what)


def counts(samples: Sequence[Sample]) -> list[list[str]]:
    """Rows of a table: a kind; how many pairs of each task and code have it; in how many of them one image alone."""
    rows = []
    for kind in KINDS:
        having = [(sample, x) for sample in samples for x in sample.damages if x.kind == kind]
        by = [sum(sample.task == task for sample, _ in having) for task in TASKS]
        by += [sum(sample.code == code for sample, _ in having) for code in CODES[samples[0].half]]
        rows.append([kind, *map(str, by), str(sum(x.images != "ab" for _, x in having))])
    return rows
