"""The record of a sample: everything that was drawn, as shards/FORMAT.md has it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from synth.degradations.engine import Applied
from synth.images.crop import Window
from synth.images.pixels import channels
from synth.instructions.grammar import Instruction
from synth.pairs.base import CleanPair
from synth.scene.capture import ImageName
from synth.scene.scene import Scene, scene_record
from synth.tasks import TASKS

if TYPE_CHECKING:
    from synth.sample.draft import Draft
    from synth.sample.plan import Plan

FORMAT_VERSION = 1


def key_of(index: int) -> str:
    """The key of a sample in its shard: nine digits."""
    return f"{index:09d}"


def make_record(
    plan: "Plan",
    drawn: "Draft",
    instruction: Instruction,
    applied: list[Applied],
    scene: Scene,
    clean: CleanPair,
    window: Window,
    encodings: Mapping[ImageName, str],
    target: dict[str, Any],
) -> dict[str, Any]:
    """The record, its keys in the order of shards/FORMAT.md."""
    size = clean.pictures["a"].shape[:2]
    modalities = TASKS[drawn.task].capture.modalities
    return {
        "version": FORMAT_VERSION,
        "key": drawn.key,
        "index": drawn.index,
        "group": key_of(drawn.group),
        "task": drawn.task,
        "size": list(size),
        "instruction": instruction.text,
        "kind": instruction.kind,
        "phrases": list(instruction.phrases),
        "phrase_split": plan.recipe.instructions.phrases,
        "absent": [] if drawn.intent.absent is None else [drawn.intent.absent],
        "degradations": [item.to_record() for item in applied],
        "scene": scene_record(scene),
        "images": {
            name: {
                "modality": modalities[name],
                "channels": channels(image),
                "source_channels": clean.source_channels[name],
                "encoding": encodings[name],
            }
            for name, image in clean.pictures.items()
        },
        "crop": asdict(window),
        "target": target,
        "source": {
            "dataset": drawn.pair.dataset,
            "scene": drawn.pair.scene,
            "files": list(clean.files),
            "licence": drawn.pair.licence,
            "sha256": list(clean.sha256),
        }
        | ({} if clean.shift is None else {"shift": list(clean.shift)})
        | ({"stretch": {name: list(span) for name, span in clean.stretch.items()}} if clean.stretch else {})
        | ({"notes": list(clean.notes)} if clean.notes else {}),
        "seed": plan.recipe.seed,
    }
