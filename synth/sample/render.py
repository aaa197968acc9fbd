"""One sample: a pure function of a plan (a recipe and its pairs) and an index. The heart of the tool."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cachetools import LRUCache, cached

from synth.degradations.engine import Applied, Damaged
from synth.errors import UnreadableError
from synth.images.crop import Window, cut, draw_window, too_small
from synth.images.pixels import Bytes, Floats
from synth.instructions.grammar import Instruction, compose
from synth.instructions.intent import mentions
from synth.instructions.sentences import load_sentences
from synth.pairs.base import CleanPair, PairRef
from synth.sample.degrade import Backdrop, fall
from synth.sample.draft import Draft, draft
from synth.sample.kept import keep
from synth.sample.plan import Plan
from synth.sample.record import Encoding, Record, TargetRecord, make_record
from synth.scene.depth import window_of
from synth.scene.scene import ImageName, Light, Scene, draw_scene
from synth.streams import stream
from synth.targets.target import kind_for, make_target

PAIRS_BYTES = 80 << 20  # of decoded pairs that a process keeps
DEPTHS_BYTES = 64 << 20  # and of their depth, which is a sixth of a pair and takes half as long
LIGHTS = 20_000  # and of how many pairs the light


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished sample. Images are (H, W) or (H, W, 3) sRGB bytes of one size.

    inputs: a and b; where JPEG fell on one last, its file is what is stored. encodings: how each of them is stored.
    clean_a, clean_b: None where the recipe does not store them. record: as in shards/FORMAT.md.
    """

    inputs: Mapping[ImageName, Damaged]
    encodings: Mapping[ImageName, Encoding]
    target: Bytes
    clean_a: Bytes | None
    clean_b: Bytes | None
    record: Record

    @property
    def a(self) -> Bytes:
        return self.inputs["a"].image

    @property
    def b(self) -> Bytes:
        return self.inputs["b"].image


@dataclass(frozen=True, eq=False)
class Inputs:
    """A degraded pair, and all that its target, its sentence and its record follow from.

    clean: the pair's window. applied: what fell on it, in order.
    """

    drawn: Draft
    clean: CleanPair
    window: Window
    scene: Scene
    a: Damaged
    b: Damaged
    applied: list[Applied]


def render(plan: Plan, index: int) -> Sample:
    """The sample of an index: the same bytes in any process, in any order. Raises UnreadableError."""
    return render_draft(plan, draft(plan, index))


def render_draft(plan: Plan, drawn: Draft) -> Sample:
    """The sample of a draft of this plan. Raises UnreadableError."""
    made = make_inputs(plan, drawn)
    kind, target, target_record = fuse_clean(plan, made)
    if made.drawn.content.kept:
        target = keep(made.drawn, made.clean, target, kind, made.scene, made.applied, plan.recipe.seed)
    return finish(plan, made, target, target_record)


def fuse_clean(plan: Plan, made: Inputs) -> tuple[str, Bytes, TargetRecord]:
    """The target before anything is kept: its kind, its picture, and what the record says. Raises UnreadableError."""
    recipe, task = plan.recipe, made.drawn.task
    kind = kind_for(recipe.tasks[task].target, made.clean.gt is not None)
    if kind is None:
        raise UnreadableError("no gt, and the recipe's target is given")
    network = None if recipe.target_network is None else recipe.target_network.onnx
    return kind, *make_target(kind, task, made.clean, onnx=network)


def make_inputs(plan: Plan, drawn: Draft) -> Inputs:
    """The degraded pair of a sample, without its target. Raises UnreadableError."""
    recipe, network = plan.recipe, plan.recipe.depth_network
    size, seed, group, ref = recipe.crop.size, recipe.seed, drawn.group, drawn.pair
    whole, onnx = load(ref), None if network is None else (network.onnx, network.kind)
    backdrop = Backdrop(drawn.task, whole.a, whole.b, whole.depth, whole.depth_kind, onnx)
    picture = height, width = whole.a.shape[:2]
    if (reason := too_small(picture, size)) is not None:
        raise UnreadableError(reason)  # of a pair whose size was not known when it was planned
    window = draw_window(height, width, size, recipe.crop.scale, recipe.crop.flip, stream(seed, group, "crop"))
    clean = _cropped(whole, window, size)

    def depth() -> Floats:
        return window_of(_depth_of(ref, backdrop), picture, window, size)

    scene = draw_scene(drawn.task, seed, group, size, depth, backdrop.depth_kind, _light_of(ref, backdrop))
    a, b, applied = fall(drawn.task, clean.a, clean.b, scene, drawn.effects, seed, group)
    kept = drawn.content.kept
    applied = [replace(item, asked="keep") if item.degradation.said_as in kept else item for item in applied]
    return Inputs(drawn, clean, window, scene, a, b, applied)


def finish(plan: Plan, made: Inputs, target: Bytes, target_record: TargetRecord) -> Sample:
    """The sample of a degraded pair and its target: with its sentence and its record."""
    recipe, clean = plan.recipe, made.clean
    inputs: dict[ImageName, Damaged] = {"a": made.a, "b": made.b}
    encodings: dict[ImageName, Encoding] = {
        name: recipe.encoding if image.file is None else "jpeg" for name, image in inputs.items()
    }
    instruction = _instruction(plan, made.drawn, made.applied)
    record = make_record(recipe, made, instruction, encodings, target_record)
    stored = "clean" in recipe.store
    clean_a, clean_b = (clean.a, clean.b) if stored else (None, None)
    return Sample(inputs, encodings, target, clean_a, clean_b, record)


def _instruction(plan: Plan, drawn: Draft, applied: list[Applied]) -> Instruction:
    """The sentence for what a sample asks: one of the user's own, where one says just that, or composed."""
    settings, rng = plan.recipe.instructions, stream(plan.recipe.seed, drawn.index, "instruction.words")
    remove, kept = mentions(drawn.content, applied, drawn.task)
    kind = drawn.content.kind
    if settings.file is not None and rng.random() < settings.file_share:
        sentences = load_sentences(settings.file)
        fitting = sentences.fitting(kind, frozenset(m.effect for m in remove), drawn.content.kept)
        if fitting:
            number, text = fitting[int(rng.integers(len(fitting)))]
            return Instruction(text, kind, (f"file.{number}",))
    return compose(kind, remove, kept, settings.phrases, rng)


def _weight(pair: CleanPair) -> int:
    return sum(array.nbytes for array in (pair.a, pair.b, pair.gt, pair.depth) if array is not None)


@cached(LRUCache(PAIRS_BYTES, _weight))
def load(ref: PairRef) -> CleanPair:
    """A whole pair, kept from before or read now. Raises UnreadableError."""
    return ref.load()


@cached(LRUCache(DEPTHS_BYTES, lambda depth: depth.nbytes), key=lambda ref, backdrop: (ref, backdrop.network))
def _depth_of(_ref: PairRef, backdrop: Backdrop) -> Floats:
    return backdrop.depth


@cached(LRUCache(LIGHTS), key=lambda ref, _: ref)
def _light_of(_ref: PairRef, backdrop: Backdrop) -> Light:
    return backdrop.light


def _cropped(pair: CleanPair, window: Window, size: int) -> CleanPair:
    gt = None if pair.gt is None else cut(pair.gt, window, size)
    a, b = cut(pair.a, window, size), cut(pair.b, window, size)
    return replace(pair, a=a, b=b, gt=gt, depth=None)
