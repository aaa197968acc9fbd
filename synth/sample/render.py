"""One sample: a pure function of a plan (a recipe and its pairs) and an index. The heart of the tool."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from synth.degradations.engine import Applied, Damaged
from synth.errors import UnreadableError
from synth.images.crop import Window, cut, draw_window, too_small
from synth.images.pixels import Bytes, Floats
from synth.instructions.grammar import Instruction, compose
from synth.instructions.intent import mentions
from synth.instructions.sentences import load_sentences
from synth.pairs.base import CleanPair, PairRef
from synth.sample.cache import BoundedCache
from synth.sample.draft import Draft, draft
from synth.sample.kept import keep_on_fusion, keep_on_inputs
from synth.sample.plan import Plan
from synth.sample.record import make_record
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.scene.capture import ImageName
from synth.scene.depth import window_of
from synth.scene.scene import Light, draw_scene
from synth.streams import Streams, stream
from synth.targets.target import TargetKind, kind_for, make_target
from synth.tasks import TASKS

PAIRS_BYTES = 80 << 20  # of decoded pairs that a process keeps
DEPTHS_BYTES = 64 << 20  # and of their depth, which is a sixth of a pair and takes half as long
LIGHTS = 20_000  # and of how many pairs the light


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished sample. Images are (H, W) or (H, W, 3) sRGB bytes of one size.

    inputs: by name; where JPEG fell on one last, its file is what is stored. clean: None where the recipe does not
    store it. record: as in shards/FORMAT.md.
    """

    inputs: Mapping[ImageName, Damaged]
    target: Bytes
    clean: Mapping[ImageName, Bytes] | None
    record: dict[str, Any]

    @property
    def a(self) -> Bytes:
        return self.inputs["a"].image

    @property
    def b(self) -> Bytes:
        return self.inputs["b"].image


@dataclass(frozen=True, eq=False)
class Inputs:
    """A degraded pair, and all that its target, its sentence and its record follow from.

    clean: the pair's window. shot: that before its scene. applied: what fell on it, in order. images: what it became.
    """

    drawn: Draft
    clean: CleanPair
    window: Window
    shot: Shot
    applied: list[Applied]
    images: Mapping[ImageName, Damaged]


def render(plan: Plan, index: int) -> Sample:
    """The sample of an index: the same bytes in any process, in any order. Raises UnreadableError."""
    return render_draft(plan, draft(plan, index))


def render_draft(plan: Plan, drawn: Draft) -> Sample:
    """The sample of a draft of this plan. Raises UnreadableError."""
    made = make_inputs(plan, drawn)
    kind, target, target_record = fuse_clean(plan, made)
    if made.drawn.intent.kept:
        if kind == "gradient" and made.shot.capture.simultaneous:
            target = keep_on_inputs(made.shot, made.applied, TASKS[drawn.task])
        else:
            target = keep_on_fusion(made.shot, drawn.effects, made.applied, target)
    return finish(plan, made, target, target_record)


def fuse_clean(plan: Plan, made: Inputs) -> tuple[TargetKind, Bytes, dict[str, Any]]:
    """The target before anything is kept: its kind, its picture, and what the record says. Raises UnreadableError."""
    recipe, task = plan.recipe, made.drawn.task
    kind = kind_for(recipe.tasks[task].target, made.clean.gt is not None)
    if kind is None:
        raise UnreadableError("no gt, and the recipe's target is given")
    network = None if recipe.target_network is None else recipe.target_network.onnx
    return kind, *make_target(kind, TASKS[task], made.clean.pictures, made.clean.gt, network)


def make_inputs(plan: Plan, drawn: Draft) -> Inputs:
    """The degraded pair of a sample, without its target. Raises UnreadableError."""
    recipe, network = plan.recipe, plan.recipe.depth_network
    size, streams, ref = recipe.crop.size, Streams(recipe.seed, drawn.group), drawn.pair
    whole, onnx = load(ref), None if network is None else (network.onnx, network.kind)
    capture = TASKS[drawn.task].capture
    backdrop = Backdrop(capture, whole.pictures, whole.depth, whole.depth_kind, onnx)
    if (reason := too_small(backdrop.size, size)) is not None:
        raise UnreadableError(reason)  # of a pair whose size was not known when it was planned
    window = draw_window(*backdrop.size, size, recipe.crop.scale, recipe.crop.flip, streams("crop"))
    clean = _cropped(whole, window, size)

    def depth() -> Floats:
        return window_of(_DEPTHS.get((ref, onnx), lambda: backdrop.depth), backdrop.size, window, size)

    light = _LIGHTS.get(ref, lambda: backdrop.light)
    scene = draw_scene(capture, streams, size, depth, backdrop.depth_kind, light)
    shot = Shot(capture, clean.pictures, scene, streams)
    kept = drawn.intent.kept
    drawn_for = shot.draw(drawn.effects)
    applied = [replace(item, asked="keep") if item.degradation.said_as in kept else item for item in drawn_for]
    return Inputs(drawn, clean, window, shot, applied, shot.damage(applied))


def finish(plan: Plan, made: Inputs, target: Bytes, target_record: dict[str, Any]) -> Sample:
    """The sample of a degraded pair and its target: with its sentence and its record."""
    recipe, clean = plan.recipe, made.clean
    encodings = {name: recipe.encoding if image.file is None else "jpeg" for name, image in made.images.items()}
    instruction = _instruction(plan, made.drawn, made.applied)
    record = make_record(
        plan, made.drawn, instruction, made.applied, made.shot.scene, clean, made.window, encodings, target_record
    )
    return Sample(made.images, target, clean.pictures if "clean" in recipe.store else None, record)


def _instruction(plan: Plan, drawn: Draft, applied: list[Applied]) -> Instruction:
    """The sentence for what a sample asks: one of the user's own, where one says just that, or composed."""
    settings, rng = plan.recipe.instructions, stream(plan.recipe.seed, drawn.index, "instruction.words")
    remove, kept = mentions(drawn.intent, applied, TASKS[drawn.task])
    kind = drawn.intent.kind
    if settings.file is not None and rng.random() < settings.file_share:
        sentences = load_sentences(settings.file)
        fitting = sentences.fitting(kind, frozenset(m.effect for m in remove), drawn.intent.kept)
        if fitting:
            number, text = fitting[int(rng.integers(len(fitting)))]
            return Instruction(text, kind, (f"file.{number}",))
    return compose(kind, remove, kept, settings.phrases, rng)


def load(ref: PairRef) -> CleanPair:
    """A whole pair, kept from before or read now. Raises UnreadableError."""
    return _PAIRS.get(ref, ref.load)


def _weight(pair: CleanPair) -> int:
    return sum(array.nbytes for array in (*pair.pictures.values(), pair.gt, pair.depth) if array is not None)


_PAIRS: BoundedCache[CleanPair] = BoundedCache(PAIRS_BYTES, _weight)
_DEPTHS: BoundedCache[Floats] = BoundedCache(DEPTHS_BYTES, lambda depth: depth.nbytes)
_LIGHTS: BoundedCache[Light] = BoundedCache(LIGHTS, lambda _: 1)


def _cropped(pair: CleanPair, window: Window, size: int) -> CleanPair:
    gt = None if pair.gt is None else cut(pair.gt, window, size)
    pictures = {name: cut(picture, window, size) for name, picture in pair.pictures.items()}
    return replace(pair, pictures=pictures, gt=gt, depth=None)
