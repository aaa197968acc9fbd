"""The record of a sample: everything that was drawn, as shards/FORMAT.md has it.

The types say what a record holds, so that a reader that asks for another key is found before it runs. The parts stand
beside what makes them: the entry of an effect, the scene, the target.
"""

import json
from collections.abc import Mapping
from typing import Literal, NotRequired, TypeAlias, TypedDict, cast

from synth.degradations.engine import Entry as Entry
from synth.images.crop import Window
from synth.images.pixels import channels
from synth.instructions.grammar import Instruction, Kind
from synth.instructions.phrases import Split
from synth.pairs.base import CleanPair
from synth.recipe.schema import Recipe
from synth.sample.draft import Draft, key_of
from synth.sample.inputs import Inputs
from synth.scene.capture import ImageName, Modality
from synth.scene.scene import SceneRecord as SceneRecord
from synth.scene.scene import scene_record
from synth.targets.target import TargetRecord as TargetRecord

FORMAT_VERSION = 2
"""The newest; a dataset has the oldest that holds it (`Recipe.format_version`)."""
Encoding: TypeAlias = Literal["png", "jpeg95", "jpeg"]
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What a reader of stored JSON meets where it is not made as shards/FORMAT.md has it."""


class ImageRecord(TypedDict):
    """An input. encoding: how it is stored; `jpeg` where that is the file of its last effect."""

    modality: Modality
    channels: int
    source_channels: int
    encoding: Encoding


class CropRecord(TypedDict):
    """The window of the pair, as `synth.images.crop.Window` has it."""

    x: int
    y: int
    w: int
    h: int
    scale: float
    flip: bool


class SourceRecord(TypedDict):
    """Where the pair comes from, and what was done to its files."""

    dataset: str
    scene: str
    files: list[str]
    licence: str
    sha256: list[str]
    shift: NotRequired[list[int]]
    stretch: NotRequired[dict[ImageName, list[float]]]
    notes: NotRequired[list[str]]
    indoor: NotRequired[bool]


class Record(TypedDict):
    """A record, its keys in the order of shards/FORMAT.md, which says what they mean."""

    version: int
    key: str
    index: int
    group: str
    task: str
    size: list[int]
    instruction: str
    kind: Kind
    phrases: list[str]
    phrase_split: Split
    absent: list[str]
    degradations: list[Entry]
    unseen: NotRequired[dict[ImageName, list[str]]]
    scene: SceneRecord
    images: dict[ImageName, ImageRecord]
    crop: CropRecord
    target: TargetRecord
    source: SourceRecord
    seed: int


def make_record(
    recipe: Recipe,
    made: Inputs,
    instruction: Instruction,
    encodings: Mapping[ImageName, Encoding],
    target: TargetRecord,
) -> Record:
    """The record of a degraded pair, the sentence about it, and the target that it asks for."""
    drawn, clean, shot = made.drawn, made.clean, made.shot
    height, width = clean.pictures["a"].shape[:2]
    record: Record = {
        "version": recipe.format_version,
        "key": drawn.key,
        "index": drawn.index,
        "group": key_of(drawn.group),
        "task": drawn.task,
        "size": [height, width],
        "instruction": instruction.text,
        "kind": instruction.kind,
        "phrases": list(instruction.phrases),
        "phrase_split": recipe.instructions.phrases,
        "absent": [] if drawn.intent.absent is None else [drawn.intent.absent],
        "degradations": [item.to_record() for item in made.applied],
        "scene": scene_record(shot.scene),
        "images": {
            name: {
                "modality": shot.capture.modalities[name],
                "channels": channels(image),
                "source_channels": clean.source_channels[name],
                "encoding": encodings[name],
            }
            for name, image in clean.pictures.items()
        },
        "crop": _crop(made.window),
        "target": target,
        "source": _source(drawn, clean),
        "seed": recipe.seed,
    }
    unseen: dict[ImageName, list[str]] = {}
    for item in made.unseen:
        unseen.setdefault(item.image, []).append(item.effect)
    if unseen:
        record["unseen"] = unseen
    return record


def _crop(window: Window) -> CropRecord:
    return {"x": window.x, "y": window.y, "w": window.w, "h": window.h, "scale": window.scale, "flip": window.flip}


def _source(drawn: Draft, clean: CleanPair) -> SourceRecord:
    source: SourceRecord = {
        "dataset": drawn.pair.dataset,
        "scene": drawn.pair.scene,
        "files": list(clean.files),
        "licence": drawn.pair.licence,
        "sha256": list(clean.sha256),
    }
    if clean.shift is not None:
        source["shift"] = list(clean.shift)
    if clean.stretch:
        source["stretch"] = {name: list(span) for name, span in clean.stretch.items()}
    if clean.notes:
        source["notes"] = list(clean.notes)
    if drawn.pair.indoor:
        source["indoor"] = True
    return source


def read_record(text: str) -> Record:
    """A stored record, which may be a stranger's: that its keys are there and hold what they should is not looked at.

    Raises ValueError where it is no JSON object; whoever goes on reading meets `MALFORMED`.
    """
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("no object of JSON")
    return cast(Record, data)
