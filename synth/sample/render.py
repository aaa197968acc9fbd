"""One sample: a pure function of a plan (a recipe and its pairs) and an index. The heart of the tool."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synth.degradations.engine import Damaged
from synth.errors import UnreadableError
from synth.images.pixels import Bytes
from synth.instructions.grammar import Instruction, compose
from synth.instructions.intent import mentions, stressed
from synth.instructions.sentences import load_sentences
from synth.sample.draft import Draft, draft
from synth.sample.inputs import Inputs, make_inputs
from synth.sample.keeping import keep_on_fusion, keep_on_inputs
from synth.sample.plan import Plan
from synth.sample.record import Encoding, Record, TargetRecord, make_record
from synth.scene.capture import ImageName
from synth.streams import stream
from synth.targets.target import TargetKind, kind_for, make_target
from synth.tasks import TASKS


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished sample. Images are (H, W) or (H, W, 3) sRGB bytes of one size.

    inputs: by name. encodings: how each of them is stored.
    clean: None where the recipe does not store it. record: as in shards/FORMAT.md.
    """

    inputs: Mapping[ImageName, Damaged]
    encodings: Mapping[ImageName, Encoding]
    target: Bytes
    clean: Mapping[ImageName, Bytes] | None
    record: Record

    @property
    def a(self) -> Bytes:
        return self.inputs["a"].image

    @property
    def b(self) -> Bytes:
        return self.inputs["b"].image


def render(plan: Plan, index: int) -> Sample:
    """The sample of an index: the same bytes in any process, in any order. Raises UnreadableError."""
    return render_draft(plan, draft(plan, index))


def render_draft(plan: Plan, drawn: Draft) -> Sample:
    """The sample of a draft of this plan. Raises UnreadableError."""
    made = make_inputs(plan, drawn)
    kind, target, target_record = fuse_clean(plan, made)
    if made.drawn.intent.shown:
        if kind == "gradient" and made.shot.capture.simultaneous:
            rules = TASKS[drawn.task].stressing(made.drawn.intent.emphasis)
            choices = rules.choose(made.shot.pictures)
            target = keep_on_inputs(made.shot, drawn.effects, made.applied, rules, choices)
        else:
            target = keep_on_fusion(made.shot, drawn.effects, made.applied, target)
    return assemble(plan, made, target, target_record)


def fuse_clean(plan: Plan, made: Inputs) -> tuple[TargetKind, Bytes, TargetRecord]:
    """The target before anything is kept: its kind, its picture, and what the record says. Raises UnreadableError."""
    recipe, task = plan.recipe, made.drawn.task
    kind = kind_for(recipe.tasks[task].target, made.clean.gt is not None)
    if kind is None:
        raise UnreadableError("no gt, and the recipe's target is given")
    network = None if recipe.target_network is None else recipe.target_network.onnx
    emphasis = made.drawn.intent.emphasis
    rules = TASKS[task].stressing(emphasis)
    return kind, *make_target(kind, rules, made.clean.pictures, made.clean.gt, network, emphasis)


def assemble(plan: Plan, made: Inputs, target: Bytes, target_record: TargetRecord) -> Sample:
    """The sample of a degraded pair and its target: with its sentence and its record."""
    recipe = plan.recipe
    encodings = {name: stored_as(recipe.encoding, image) for name, image in made.images.items()}
    sentence = _instruction(plan, made, target_record)
    record = make_record(recipe, made, sentence, encodings, target_record)
    clean = made.clean.pictures if "clean" in recipe.store else None
    return Sample(made.images, encodings, target, clean, record)


def stored_as(asked: Literal["png", "jpeg95", "mixed"], image: Damaged) -> Encoding:
    """How an input is stored: a recipe that asks for PNG has it everywhere, so that all samples have equal members."""
    if asked == "png":
        return "png"
    if image.file is not None:
        return "jpeg"
    return "png" if asked == "mixed" else asked


def _instruction(plan: Plan, made: Inputs, target: TargetRecord) -> Instruction:
    """The sentence for what a sample asks: one of the user's own, where one says just that, or composed."""
    stress = stressed(target, TASKS[made.drawn.task])
    drawn, settings = made.drawn, plan.recipe.instructions
    rng = stream(plan.recipe.seed, drawn.index, "instruction.words")
    colour = [name for name, picture in made.clean.pictures.items() if picture.ndim == 3]
    named, kept = mentions(drawn.intent, made.applied, TASKS[drawn.task], colour)
    kind = drawn.intent.kind
    if settings.file is not None and stress is None and rng.random() < settings.file_share:
        removed = frozenset(mention.effect for mention in named if mention.factor is None)
        fitting = load_sentences(settings.file).fitting(kind, removed, drawn.intent.kept, drawn.intent.lessened)
        if fitting:
            number, text = fitting[int(rng.integers(len(fitting)))]
            return Instruction(text, kind, (f"file.{number}",))
    return compose(kind, named, kept, settings.phrases, rng, stress)
