"""`trainer fuse`: one picture, or a folder of them that goes on after a bad pair and after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, field_validator

from trainer.console import progress, say
from trainer.data.false_colours import map_of
from trainer.data.images import Image, Infrared, check_writable, read_pair, read_together, write_image
from trainer.errors import UserError
from trainer.files import atomically, read_json
from trainer.inference.alignment import How, aligned
from trainer.inference.auto import AUTO, asked_of
from trainer.inference.captions import labelled_row
from trainer.inference.jobs import SETTINGS, Job, Jobs
from trainer.inference.pictures import is_deep, metadata_of, write_picture
from trainer.inference.stacks import By
from trainer.schema import Section
from trainer.stopping import go_on

if TYPE_CHECKING:
    from trainer.inference.fuser import Fuser

SHEET = ".compare.png"


class Asked(Section):
    """What decides a fused picture besides the images."""

    prompt: str
    weights: str = ""
    """The hash of the network that fuses; of a single picture nothing asks for it."""
    seed: int = Field(default=0, ge=0, lt=1 << 64)
    steps: int | None = None
    strength: float = 1.0
    passes: Literal[1, 2, 4] = 1
    order: By = "auto"
    align: How | None = None
    infrared: Infrared = "auto"
    """Of a pair."""

    _asked = field_validator("prompt")(asked_of)


def fuse_one(fuser: Fuser, job: Job, asked: Asked, compare: bool = False, tell: Callable[[str], None] = say) -> str:
    """Writes the picture of a job, and beside it, where asked for, a sheet of the inputs and the picture, labelled.

    tell: gets a line for each image of which there is something to tell. Returns the prompt, which of `auto` is what
    was seen. Raises UserError, and Stopped where the work is to end (stopping.unless).
    """
    check_job(job)
    images = _read(job, asked.infrared, tell)
    shapes = {image.shape: path for image, path in zip(reversed(images), reversed(job.images), strict=True)}
    if len(shapes) > 1:
        sizes = ", ".join(f"{path.name} is {shape[1]}x{shape[0]}" for shape, path in reversed(shapes.items()))
        raise UserError(f"{job.name}: images of different sizes: {sizes}; register them and bring them to one size")
    if asked.align is not None:
        images[1:] = [
            _laid(images[0], image, asked.align, path, tell)
            for image, path in zip(images[1:], job.images[1:], strict=True)
        ]
    prompt = asked.prompt
    if prompt == AUTO:
        prompt = fuser.describe(*images[:2])
    options = {"seed": asked.seed, "steps": asked.steps, "strength": asked.strength, "passes": asked.passes}
    picture = fuser.stack(images, prompt, by=asked.order, **options)
    go_on()
    write_picture(job.out, picture, any(map(is_deep, job.images)), metadata_of(job.images[0]))
    if compare:
        fused = np.rint(picture * 255).astype(np.uint8)
        pictures = [*((path.name, image) for path, image in zip(job.images, images, strict=True)), ("fused", fused)]
        write_image(job.out.with_suffix(SHEET), labelled_row(pictures, prompt))
    return prompt


def fuse_folder(fuser: Fuser, jobs: Jobs, out: Path, asked: Asked, *, compare: bool, overwrite: bool) -> int:
    """Does all jobs, says what was left out and what went wrong, and returns how many could not be done.

    What is there already stays, so that the same command goes on; what was made by other settings is refused, unless it
    may be overwritten. Raises UserError.
    """
    _keep_inputs(jobs)
    _settle(out, asked, overwrite)
    for line in jobs.left_out:
        say(f"left out: {line}")
    waiting = [job for job in jobs.jobs if overwrite or not job.out.exists()]
    if len(waiting) < len(jobs.jobs):
        say(f"{out}: {len(jobs.jobs) - len(waiting)} of {len(jobs.jobs)} pictures are there already")
    failed, tell = 0, progress(len(waiting))
    for number, job in enumerate(waiting, 1):
        try:
            said = fuse_one(fuser, job, asked, compare)
            if asked.prompt == AUTO:
                say(f"{job.name}: {said}")
        except UserError as error:
            failed += 1
            say(f"passed over: {error}")
        tell(number, job.name)
    return failed


def _read(job: Job, infrared: Infrared, tell: Callable[[str], None]) -> list[Image]:
    """The images of a job, with a line for each of which there is something to tell."""
    if len(job.images) == 2:
        first, second, told = read_pair(*job.images, infrared)
        images = [first, second]
        for line in told:
            tell(line)
    elif infrared not in ("auto", "none"):
        raise UserError(f"{job.name}: --infrared {infrared}: of two images, and here are {len(job.images)}")
    else:
        images = list(read_together({str(number): path for number, path in enumerate(job.images)}).values())
    for path, image in zip(job.images, images, strict=True):
        if (name := map_of(image)) is not None:
            tell(f"{path}: in false colours (map {name}), which are fused as colours; give the grey file")
    return images


def check_job(job: Job) -> None:
    """Raises UserError where its picture cannot be written there, or would overwrite one of its images."""
    check_writable(job.out)
    for path in job.images:
        if job.out.exists() and path.exists() and job.out.samefile(path):
            raise UserError(f"--out {job.out}: this is an input, which it would overwrite; name another file")


def _keep_inputs(jobs: Jobs) -> None:
    """Raises UserError where the picture of a job would stand in the place of an image of one."""
    inputs = {path.resolve() for job in jobs.jobs for path in job.images}
    for job in jobs.jobs:
        if job.out.resolve() in inputs:
            raise UserError(f"--out: {job.out} would overwrite an input; name another folder")


def _settle(out: Path, asked: Asked, overwrite: bool) -> None:
    """Notes the settings in the folder; refuses others than those that stand there."""
    path = out / SETTINGS
    ours = json.loads(asked.model_dump_json())
    try:
        there = read_json(path, str(path), "remove it, or take another folder")
    except FileNotFoundError:
        there = ours
    other = [key for key in ours if there.get(key) != ours[key]]
    if other and not overwrite:
        raise UserError(
            f"{out}: its pictures were made with other settings ({', '.join(other)}); "
            "take another folder, or --overwrite"
        )
    out.mkdir(parents=True, exist_ok=True)
    atomically(path, lambda part: part.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8"))


def _laid(first: Image, other: Image, how: How, path: Path, tell: Callable[[str], None]) -> Image:
    found = aligned(first, other, how, path.name)
    if found.moved:
        tell(f"{path.name}: moved by {found.moved:.1f} px")
    return found.image
