"""One sample: a pure function of a plan (a recipe and its pairs) and an index. The heart of the tool."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from synth import light
from synth.crop import Window, cut, draw_window
from synth.degradations.engine import Applied, damage, draw
from synth.depth import proxy
from synth.draft import draft
from synth.errors import UnreadableError
from synth.instructions.grammar import compose
from synth.pairs.base import CleanPair, PairRef
from synth.pixels import Bytes, Floats, to_linear
from synth.plan import Plan
from synth.record import make_record
from synth.scene import IMAGES, MODALITIES, DepthKind, ImageName, Light, Scene, Task, View, draw_scene
from synth.streams import stream
from synth.targets.exposure import mertens
from synth.targets.target import kind_for, make_target

CACHED_PAIRS = 16  # decoded pairs a process keeps


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished sample. Images are (H, W) or (H, W, 3) sRGB bytes of one size.

    clean_a, clean_b: None where the recipe does not store them. record: as in shards/FORMAT.md.
    """

    a: Bytes
    b: Bytes
    target: Bytes
    clean_a: Bytes | None
    clean_b: Bytes | None
    record: dict[str, Any]


def render(plan: Plan, index: int) -> Sample:
    """The sample of an index: the same bytes in any process, in any order. Raises UnreadableError."""
    recipe, drawn = plan.recipe, draft(plan, index)
    whole = _load(drawn.pair)
    size, seed, group = recipe.crop.size, recipe.seed, drawn.group
    height, width = whole.pair.a.shape[:2]
    window = draw_window(height, width, size, recipe.crop.scale, recipe.crop.flip, stream(seed, group, "crop"))
    clean = _cropped(whole.pair, window, size)
    scene = draw_scene(drawn.task, seed, group, cut(whole.depth, window, size), whole.depth_kind, whole.light)
    views = {name: _view(scene, drawn.task, name, clean) for name in IMAGES}

    applied = [item for spec in drawn.effects for item in draw(spec, views, seed, group)]
    a, b = (_damaged(drawn.task, name, clean, views[name], applied) for name in IMAGES)
    names = list(dict.fromkeys(item.effect for item in applied))
    words = stream(seed, index, "instruction.words")
    instruction = compose(drawn.kind, names, recipe.instructions.phrases, words)
    target_kind = kind_for(recipe.tasks[drawn.task].target, clean.gt is not None)
    if target_kind is None:
        raise UnreadableError("no gt, and the recipe's target is given")
    target, target_record = make_target(target_kind, drawn.task, clean)
    keep = "clean" in recipe.store
    record = make_record(plan, drawn, instruction, applied, scene, clean, window, target_record)
    return Sample(a, b, target, clean.a if keep else None, clean.b if keep else None, record)


@dataclass(frozen=True, eq=False)
class _Whole:
    """A pair as it stands on disk, with what is computed from the whole picture before any crop."""

    pair: CleanPair
    light: Light
    depth: Floats
    depth_kind: DepthKind


@lru_cache(maxsize=CACHED_PAIRS)
def _load(ref: PairRef) -> _Whole:
    pair = ref.load()
    measured = light.measure(ref.task, pair.a, pair.b)
    if pair.depth is not None:
        return _Whole(pair, measured, pair.depth, pair.depth_kind)
    seen = mertens(pair.a, pair.b) if ref.task == "mef" else pair.a
    return _Whole(pair, measured, proxy(seen), "proxy")


def _cropped(pair: CleanPair, window: Window, size: int) -> CleanPair:
    gt = None if pair.gt is None else cut(pair.gt, window, size)
    a, b = cut(pair.a, window, size), cut(pair.b, window, size)
    return CleanPair(a, b, gt, None, pair.depth_kind, pair.source_channels, pair.files, pair.sha256)


def _view(scene: Scene, task: Task, name: ImageName, clean: CleanPair) -> View:
    image = clean.a if name == "a" else clean.b
    height, width = image.shape[:2]
    ambient = float(to_linear(image).mean())
    return View(scene, name, MODALITIES[task][name], (height, width), image.ndim == 3, ambient)


def _damaged(task: Task, name: ImageName, clean: CleanPair, view: View, applied: list[Applied]) -> Bytes:
    image, other = (clean.a, clean.b) if name == "a" else (clean.b, clean.a)
    if task != "mef":
        return damage(image, applied, view, None)
    other_gain = view.scene.gain["b" if name == "a" else "a"]
    return damage(image, applied, view, lambda: light.unclip(image, other, view.gain, other_gain))
