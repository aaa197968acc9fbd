"""The schema of a recipe. A recipe is data: unknown keys are refused (its file is read by file.py)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from synth.degradations.engine import EffectSpec
from synth.degradations.settings import as_written, parse_effect, told_strength
from synth.degradations.trial import is_neutral
from synth.errors import hint, listed
from synth.images import curves
from synth.images.onnx import hash_of
from synth.instructions.grammar import MOST_NAMED, Kind
from synth.instructions.intent import fit_chances
from synth.instructions.phrases import PHRASED
from synth.instructions.sentences import load_sentences
from synth.pairs.photos import maker_for
from synth.pairs.source import MOST, LocalPath, Source, parse_source
from synth.pairs.split import Split
from synth.targets.target import TargetKind
from synth.tasks import TASKS, task_named

MOST_SAMPLES = 10**9  # keys have nine digits
Order: TypeAlias = Literal["stage", "shuffled"]
OF_A_TASK = ("sources", "photos", "target", "degradations")  # keys that a recipe of one task has at its top
Effects = tuple[Annotated[EffectSpec, PlainValidator(parse_effect), PlainSerializer(as_written, return_type=dict)], ...]
Sources = tuple[
    Annotated[Source, PlainValidator(parse_source), PlainSerializer(lambda s: s.resolved(), return_type=dict)], ...
]


class _Part(BaseModel):
    """later: fields that are not told at their default, so that recipes from before them keep their hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if key not in self.later or not self._is_default(key)}

    def _is_default(self, field: str) -> bool:
        return bool(getattr(self, field) == type(self).model_fields[field].get_default(call_default_factory=True))


class Crop(_Part):
    """A window of random position and scale, its aspect kept."""

    size: int = Field(default=256, ge=16, le=8192)
    """Pixels of each side of what is stored."""
    scale: tuple[float, float] = (0.5, 1.0)
    """Stored pixels per source pixel; the window is size / scale, at most the short side."""
    flip: bool = True
    """Mirror half of the samples left to right."""

    @model_validator(mode="after")
    def _in_order(self) -> "Crop":
        low, high = self.scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale: [{low}, {high}] must be [low, high] with 0 < low <= high <= 1")
        return self


class Some(_Part):
    """A few of many: as many effects as `count` draws, out of `of`, none twice."""

    count: dict[int, float]
    """How often how many, as weights, of which their ratios count: `{0: 1, 1: 1}` is `{0: 0.5, 1: 0.5}`."""
    of: Effects = Field(min_length=1)
    """The effects to draw from, each alike often."""

    @model_validator(mode="after")
    def _possible(self) -> "Some":
        if not self.count or min(self.count) < 0 or any(not 0 <= weight <= MOST for weight in self.count.values()):
            raise ValueError(f"count: numbers of effects from 0, each with its weight, from 0 to {MOST:g}")
        if sum(self.count.values()) <= 0:
            raise ValueError("count: at least one weight must be above 0")
        if max(self.count) > len(self.of):
            raise ValueError(f"count: {max(self.count)} effects asked for, of {len(self.of)} that are listed")
        return self


class Degradations(_Part):
    """Which effects fall on a pair. Without `always` and `some` every sample is clean."""

    later = frozenset({"flat", "curves", "indoor"})
    always: Effects = ()
    """The effects that fall on every sample that is not clean."""
    some: Some | None = None
    """A few of many, besides."""
    order: Order | dict[Order, float] = "stage"
    """`stage`: the order of physics; `shuffled`: any, drawn for each sample; or how often which of the two, as
    weights."""
    second_pass: float = Field(default=0.0, ge=0, le=1)
    """The share of samples that go twice through all effects but the scene's, with other draws (as Real-ESRGAN)."""
    indoor: Literal["guess", "flagged", "as_outdoor"] = "guess"
    """Which pairs show rooms, where no haze, rain and snow fall: those that are flagged `indoor: true`, and, where
    nothing is said of a pair, those that look like one; those that are flagged alone; or none."""
    flat: float = Field(default=0.0, ge=0, le=1)
    """The share of samples whose scene is equally far everywhere, whatever is known of its depth: haze is an even
    veil."""
    curves: dict[str, float] = Field(default_factory=dict)
    """How often which camera's curve lies between light and bytes (synth/images/curves.py), as weights; without it,
    sRGB's."""

    @model_validator(mode="after")
    def _weights(self) -> "Degradations":
        weights: dict[str, Mapping[Any, float]] = {"curves": self.curves} if self.curves else {}
        if not isinstance(self.order, str):
            weights["order"] = self.order
        for key, given in weights.items():
            if any(not 0 <= weight <= MOST for weight in given.values()) or sum(given.values()) <= 0:
                raise ValueError(f"{key}: each with its weight, from 0 to {MOST:g}, one of them above 0")
        for name in self.curves:
            if name not in curves.names():
                raise ValueError(f"curves: no curve {name!r}{hint(name, curves.names())}")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> "Degradations":
        names = [spec.label for spec in (*self.always, *(self.some.of if self.some else ()))]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is listed twice; an effect falls on a sample once")
        return self

    @model_validator(mode="after")
    def _seen(self) -> "Degradations":
        for spec in self.specs:
            if is_neutral(spec):
                raise ValueError(
                    f"{spec.label} of {told_strength(spec)} changes nothing that can be seen, and sentences would ask "
                    "to remove it; give it more strength, or take it out"
                )
        return self

    @property
    def specs(self) -> tuple[EffectSpec, ...]:
        """Every effect that may fall."""
        return (*self.always, *(self.some.of if self.some else ()))

    @property
    def choices(self) -> tuple[tuple[EffectSpec, ...], tuple[EffectSpec, ...], dict[int, float]]:
        """What always falls, what may besides, and how often how many of it."""
        return (self.always, self.some.of, self.some.count) if self.some else (self.always, (), {0: 1.0})


class Emphasis(_Part):
    """What the target stresses where the sentence says so: of vif the visible look or what is warm, of mef a darker or
    a brighter picture. Gradient targets alone know it."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Of the samples of these tasks whose instruction names something or asks to clean."""
    amount: tuple[float, float] = (0.5, 1.0)
    """From and to, one way or the other; 1 is the most."""

    @model_validator(mode="after")
    def _in_order(self) -> "Emphasis":
        low, high = self.amount
        if not 0 < low <= high <= 1:
            raise ValueError(f"amount: [{low}, {high}] must be [low, high] with 0 < low <= high <= 1")
        return self


class Instructions(_Part):
    """What the sentences are like."""

    kinds: dict[Kind, float] = {"full": 0.8, "general": 0.1, "clean": 0.1}
    """Shares, which sum to 1: `full` names all that is to be removed, `partial` some of it and the target keeps the
    rest, `lessen` something that is only to be weakened, `general` asks to clean without naming, `keep` to fuse alone,
    and the target keeps all, `clean`: nothing is degraded."""
    emphasis: Emphasis = Emphasis()
    """What sentences may ask of the picture's look besides."""
    phrases: Literal["train", "test", "all"] = "train"
    """Which phrases: a fifth of them is held out of `train` and makes up `test`."""
    per_pair: int = Field(default=1, ge=1, le=64)
    """Instructions for each pair; of a degraded one the first of several is `full`, the quotas hold for the others as
    far as no two ask the same. Of a clean one all are `clean`, and those after the first name what is not there."""
    file: LocalPath | None = None
    """The user's own sentences, as JSON lines (synth/instructions/sentences.py)."""
    file_share: float = Field(default=0.5, ge=0, le=1)
    """Where the file has a sentence that fits, how often it is taken instead of one of the grammar's."""

    @model_validator(mode="after")
    def _shares(self) -> "Instructions":
        if any(share < 0 for share in self.kinds.values()) or abs(sum(self.kinds.values()) - 1) > 1e-6:
            raise ValueError(f"kinds: shares from 0 that sum to 1, not to {sum(self.kinds.values()):g}")
        return self


Targets = Annotated[
    tuple[TargetKind, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v), Field(min_length=1)
]


class TaskRecipe(_Part):
    """What one task of a dataset is made of."""

    later = frozenset({"photos"})
    weight: float = Field(default=1.0, gt=0, le=MOST)
    """How often this task is drawn, where there are several: the ratios of their weights count."""
    sources: Annotated[Sources, Field(min_length=1)]
    """Where clean pairs come from, one or several."""
    photos: float = Field(default=0.0, ge=0, le=MOST)
    """Where `--data ROOT` is given and ROOT/photos holds photographs: how often pairs that are made of them are drawn
    for each other pair."""
    target: Targets = ("gradient",)
    """The kinds of ground truth in order of preference; the first that a pair has is made."""
    degradations: Degradations = Degradations()
    """Which effects fall on its pairs."""


class DepthNetwork(_Part):
    """A depth network of the user's own, for pairs without a depth map."""

    onnx: LocalPath
    """The file; its hash takes its place in the dataset's record."""
    kind: Literal["distance", "inverse"] = "inverse"
    """What its values stand for; most networks give the inverse of the distance."""


class TargetNetwork(_Part):
    """A fusion network of the user's own, for `target: network`."""

    onnx: LocalPath
    """The file, of two inputs; its hash takes its place in the dataset's record."""


def _task_name(name: str) -> str:
    task_named(name)
    return name


TaskName = Annotated[str, AfterValidator(_task_name)]


class Given(_Part):
    """Which scenes of the pairs and photographs that are given beside the recipe (--data): as a source says it."""

    split: Split = "all"
    """Which scenes: those of train, of val or of test, which share none, or all."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """The share of scenes that are for test. A scene's side follows from its name alone."""
    held_out_val: float = Field(default=0.0, ge=0, lt=1)
    """The share that is for val, likewise; it is taken from train."""

    @model_validator(mode="after")
    def _fits(self) -> "Given":
        if self.held_out + self.held_out_val >= 1:
            raise ValueError(f"held_out {self.held_out:g} and held_out_val {self.held_out_val:g} leave none for train")
        return self


class Recipe(_Part):
    """A dataset: the interface of the tool. Everything in the output follows from it and from the source pictures."""

    later: ClassVar[frozenset[str]] = frozenset({"data"})

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """Of the dataset, and of its folder in shards/: lower-case letters, digits, - and _."""
    seed: int = Field(default=0, ge=0, lt=2**63, strict=True)
    """Of everything that is drawn: another seed is another dataset."""
    samples: int = Field(ge=1, le=MOST_SAMPLES, strict=True)
    """How many; `--limit` and `--extend` say another number."""
    samples_per_shard: int = Field(default=256, ge=1, le=100_000, strict=True)
    """Samples of a tar, a multiple of `instructions.per_pair`."""
    tasks: dict[TaskName, TaskRecipe] = Field(min_length=1)
    """By name; of one task, `task` and its keys stand at the top."""
    depth_network: DepthNetwork | None = None
    """For pairs without a depth map; without it, a proxy of the depth is made from the picture."""
    target_network: TargetNetwork | None = None
    """For `target: network`."""
    crop: Crop = Field(default_factory=Crop)
    """What window of a pair is stored, at which size."""
    instructions: Instructions = Instructions()
    """What the sentences are like."""
    data: Given | None = None
    """Which scenes of what `--data` names; without it as the sources that it replaces say."""
    store: tuple[Literal["clean"], ...] = ()
    """`clean` keeps the clean pair beside the degraded one, for evaluation."""
    encoding: Literal["png", "jpeg95", "mixed"] = "png"
    """Of the inputs: `png` lossless; `jpeg95` JPEG of quality 95 without chroma subsampling, faster, a third of the
    size, 41 dB; `mixed` PNG, but JPEG's own bytes where it is the last effect on an image, as `jpeg95` has them too:
    lossless and smaller, but some readers want the same extensions in every sample. Targets and clean pairs: PNG."""

    @model_validator(mode="before")
    @classmethod
    def _single_task(cls, data: Any) -> Any:
        """`task: mef` with its keys at the top is short for `tasks: {mef: …}`."""
        if not isinstance(data, dict) or "task" not in data:
            return data
        if "tasks" in data:
            raise ValueError("give task, or tasks, not both")
        if not isinstance(data["task"], str):
            raise ValueError(f"task: {data['task']!r} must be one of {listed(TASKS)}")
        inner = {key: data[key] for key in OF_A_TASK if key in data}
        rest = {key: value for key, value in data.items() if key != "task" and key not in inner}
        return {**rest, "tasks": {data["task"]: inner}}

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        clean_only = self.instructions.kinds.get("clean", 0) == 1
        for task, part in self.tasks.items():
            for kind in part.target:
                if kind not in TASKS[task].targets:
                    raise ValueError(f"target {kind} is not for {task}; it takes {listed(TASKS[task].targets)}")
            if "network" in part.target and self.target_network is None:
                raise ValueError("target network: which file? `target_network: {onnx: FILE}` names it")
            for source in part.sources:
                source.check(task)
            if part.photos and maker_for(TASKS[task].capture) is None:
                raise ValueError(f"photos: no pair of {task} can be made of one photograph")
            some = part.degradations.some
            if not clean_only and not part.degradations.always and (some is None or some.count.get(0, 0) > 0):
                raise ValueError(
                    f"degradations of {task} may leave a sample with none, and nothing for its instruction to name; "
                    "give `always` an effect or `some.count` no 0; undamaged samples come from instructions.kinds.clean"
                )
            most = len(part.degradations.always) + (max(some.count) if some else 0)
            names_all = self.instructions.kinds.get("full", 0) > 0 or self.instructions.per_pair > 1
            names_some = names_all or any(self.instructions.kinds.get(kind, 0) > 0 for kind in ("partial", "lessen"))
            if most > MOST_NAMED and names_some:
                raise ValueError(
                    f"degradations of {task}: up to {most} effects on a sample, and a sentence names {MOST_NAMED}; "
                    "ask for fewer, or for kinds {general: 1}"
                )
            if not clean_only:
                fit_chances(*part.degradations.choices, self.instructions.kinds)
            mute = [s.label for s in part.degradations.specs if s.degradation.said_as not in PHRASED]
            if mute and names_some:
                raise ValueError(f"no phrase names {mute[0]}; add some to phrases.yaml or ask for kinds {{general: 1}}")
        if self.samples_per_shard % self.instructions.per_pair:
            raise ValueError(
                f"samples_per_shard {self.samples_per_shard} must be a multiple of per_pair "
                f"{self.instructions.per_pair}: a group stands in one shard"
            )
        return self

    @property
    def format_version(self) -> int:
        """Of the shards (shards/FORMAT.md): 2 where a record may hold what readers of version 1 do not know."""
        return 2 if self.instructions.kinds.get("lessen", 0) > 0 or self.instructions.emphasis.share > 0 else 1

    def hash(self) -> str:
        """sha256 of all that decides pixels and sentences: not the number of samples, not a path."""
        return hash_resolved(self.resolved())

    def resolved(self) -> dict[str, Any]:
        """The recipe with all defaults, as plain data for JSON, the places of its sources left out."""
        data = self.model_dump(mode="json")
        if self.depth_network is not None:
            data["depth_network"]["onnx"] = hash_of(self.depth_network.onnx)
        if self.target_network is not None:
            data["target_network"]["onnx"] = hash_of(self.target_network.onnx)
        if self.instructions.file is not None:
            data["instructions"]["file"] = load_sentences(self.instructions.file).sha256
        return data


def hash_resolved(recipe: Mapping[str, Any]) -> str:
    """The hash of a recipe from its plain data, as `dataset.json` holds it too."""
    data = {key: value for key, value in recipe.items() if key != "samples"}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
