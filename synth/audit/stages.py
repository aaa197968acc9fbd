"""`synth render`: one sample again, with every stage that it went through as a picture.

The stages are made by the functions that make the sample: the image after the third effect is the clean image through
the first three, and after the last it is the sample's own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from synth.audit.chart import as_png
from synth.audit.shown import Shown, one_of
from synth.audit.text import INK, written
from synth.audit.told import modality, task_title, told_of
from synth.errors import UnreadableError, UserError
from synth.images import codecs, kinds
from synth.images.pixels import Bytes, Floats, in_colour
from synth.paths import keep_inputs
from synth.sample.draft import draft
from synth.sample.inputs import make_inputs
from synth.sample.plan import Plan
from synth.sample.render import fuse_clean
from synth.storage.whole import write_files

SHEET = "sheet.png"
LEAST_PX, MOST_PX = 200, 512  # the sides of a cell of the sheet
GAP = 8
MUTED = (105, 105, 105)


@dataclass(frozen=True, eq=False)
class Step:
    """A picture on the way. name: of its file, without the number and the kind. told: what is shown beside it."""

    name: str
    told: str
    image: Bytes


@dataclass(frozen=True, eq=False)
class Stages:
    """The way of one sample. images: of each from the clean one through each effect; others: depth and targets."""

    images: list[list[Step]]
    others: list[Step]
    sample: Shown


def stages(plan: Plan, index: int) -> Stages:
    """Render a sample and what came before it. Raises UnreadableError."""
    drawn = draft(plan, index)
    made = make_inputs(plan, drawn)
    shot = made.shot
    sample = one_of(plan, index)
    of = {name: f"{name}: {modality(sample.record, name)}, clean" for name in shot.pictures}
    ways = {name: [Step(f"clean_{name}", of[name], clean)] for name, clean in shot.pictures.items()}
    for number, item in enumerate(made.applied, 1):
        after = shot.damage(made.applied[:number])[item.image].image
        ways[item.image].append(Step(f"{item.image}_{item.effect}", told_of(item.to_record()), after))
    _, target, _ = fuse_clean(plan, made)
    others = [
        Step("depth", f"depth ({shot.scene.depth_kind}), far is bright", _depth_picture(shot.scene.depth)),
        Step("target_clean", "target before anything is kept", target),
        Step("target", "target", codecs.decode(sample.pictures["target"])),
    ]
    return Stages(list(ways.values()), others, sample)


def render_files(plan: Plan, index: int, out: Path) -> list[str]:
    """Write every stage of a sample, a sheet of them, and its record, into a folder. Returns the files' names.

    a, b and target are the bytes that a shard holds. Raises UserError where the index or its pair cannot be used, or
    the folder holds a file of the plan's pairs that would be written over; StoppedError where the disk is full.
    """
    if not 0 <= index < plan.recipe.samples:
        raise UserError(f"--index {index}: {plan.recipe.name} has samples 0 to {plan.recipe.samples - 1}")
    try:
        made = stages(plan, index)
    except UnreadableError as error:
        raise UserError(f"sample {index} cannot be made: {error}") from None
    record = made.sample.record
    files = {f"{name}{_suffix(data)}": data for name, data in made.sample.pictures.items()}
    for way in made.images:
        files |= {f"{way[0].name}.png": codecs.encode_png(way[0].image)}
        for number, step in enumerate(way[1:], 1):
            files[f"{step.name[0]}_{number}{step.name[1:]}.png"] = codecs.encode_png(step.image)
    files |= {f"{step.name}.png": codecs.encode_png(step.image) for step in made.others if step.name != "target"}
    files["record.json"] = (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()
    files[SHEET] = as_png(sheet(made))
    written = {out / name: data for name, data in files.items()}
    keep_inputs(written, plan.local_files())
    write_files(written)
    return sorted(files)


def sheet(made: Stages) -> Bytes:
    """The ways of the images below each other, then depth and targets; above them the instruction. (H, W, 3)."""
    rows = [_cells(way) for way in (*made.images, made.others)]
    width = max(sum(cell.shape[1] + GAP for cell in row) for row in rows) + GAP
    record = made.sample.record
    source = f"{record['key']}, {record['kind']}, {task_title(record)}, {record['source']['scene']}"
    parts = [written([f"“{record['instruction']}”"], width, INK, 17, GAP)]
    parts.append(written([source], width, MUTED, indent=GAP))
    for row in rows:
        gap = np.full((max(cell.shape[0] for cell in row), GAP, 3), 255, np.uint8)
        cells = [np.pad(c, ((0, gap.shape[0] - c.shape[0]), (0, 0), (0, 0)), constant_values=255) for c in row]
        strip = np.hstack([gap, *(part for cell in cells for part in (cell, gap))])
        parts.append(np.pad(strip, ((GAP, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255))
    return np.vstack(parts)


def _suffix(data: bytes) -> str:
    return ".jpg" if data.startswith(kinds.JPEG) else ".png"


def _depth_picture(depth: Floats) -> Bytes:
    """Metres as grey levels, the farthest white."""
    return np.rint(depth * (255 / max(float(depth.max()), 1e-6))).astype(np.uint8)


def _cells(way: Sequence[Step]) -> list[Bytes]:
    return [_cell(step) for step in way]


def _cell(step: Step) -> Bytes:
    image = in_colour(step.image)
    side = image.shape[1]
    if side > MOST_PX:
        height = round(image.shape[0] * MOST_PX / side)
        image = np.asarray(Image.fromarray(image).resize((MOST_PX, height), Image.Resampling.BOX))
    elif side < LEAST_PX:
        factor = -(-LEAST_PX // side)
        image = image.repeat(factor, 0).repeat(factor, 1)
    return np.vstack([image, written([step.told], image.shape[1], indent=2)])
