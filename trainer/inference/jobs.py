"""What `trainer fuse` is asked to do: which files become which picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trainer.data.folders import SUFFIXES, is_image
from trainer.errors import UserError

NAMED = re.compile(r"[a-z]")
"""Of images of a scene's folder: a.png, b.png, c.png, … ; others there, such as gt or depth, are passed over."""


class Job(NamedTuple):
    """Two or more images of one scene, and the picture that they become."""

    name: str
    images: tuple[Path, ...]
    out: Path


class Jobs(NamedTuple):
    """All of them, and what could not become one, in words."""

    jobs: list[Job]
    left_out: list[str]


def jobs_of(inputs: Sequence[Path], out: Path, suffix: str = ".png") -> Jobs:
    """Two or more files: one picture, at `out`. Two or more folders: images of one name in each (their suffixes may
    differ), OUT/<name><suffix>. One folder: each folder in it with a.*, b.* and perhaps c.* and on, OUT/<path><suffix>.

    Raises UserError where it is none of these, or where nothing is found.
    """
    folders = [path.is_dir() for path in inputs]
    if not any(folders):
        if len(inputs) < 2:
            raise UserError(f"{inputs[0]}: one image; give two or more of one scene, or a folder of pairs")
        return Jobs([Job(out.stem, tuple(inputs), out)], [])
    if not all(folders):
        raise UserError(f"{inputs[folders.index(False)]}: a file beside folders; give files alone, or folders alone")
    if out.suffix.lower() in SUFFIXES:
        raise UserError(f"--out {out}: the name of a picture, and of folders comes a folder; name one")
    found = _of_scenes(inputs[0], out, suffix) if len(inputs) == 1 else _of_names(inputs, out, suffix)
    if not found.jobs:
        where = " and ".join(str(path) for path in inputs)
        looked = "folders with a.png and b.png" if len(inputs) == 1 else "images of one name in each"
        hint = f" ({found.left_out[0]})" if found.left_out else ""
        raise UserError(f"{where}: no pair found; {looked} are looked for{hint}")
    return found


def _of_scenes(folder: Path, out: Path, suffix: str) -> Jobs:
    jobs, left = [], []
    scenes = sorted({path.parent for path in folder.rglob("*") if is_image(path) and NAMED.fullmatch(path.stem)})
    for scene in scenes:
        images = _by_stem(scene.iterdir())
        name = scene.relative_to(folder).as_posix() if scene != folder else scene.resolve().name
        if not {"a", "b"} <= images.keys():
            left.append(f"{name}: no image {'b' if 'a' in images else 'a'}")
            continue
        named = tuple(images[stem] for stem in sorted(images) if NAMED.fullmatch(stem))
        jobs.append(Job(name, named, out / f"{name}{suffix}"))
    return Jobs(jobs, left)


def _of_names(folders: Sequence[Path], out: Path, suffix: str) -> Jobs:
    found = [
        {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in sorted(folder.rglob("*"))
            if is_image(path)
        }
        for folder in folders
    ]
    names = sorted(set().union(*found))
    jobs = [
        Job(name, tuple(images[name] for images in found), out / f"{name}{suffix}")
        for name in names
        if all(name in images for images in found)
    ]
    left = [_missing(name, folders, found) for name in names if any(name not in images for images in found)]
    return Jobs(jobs, left)


def _missing(name: str, folders: Sequence[Path], found: Sequence[Mapping[str, Path]]) -> str:
    where = next(folder for folder, images in zip(folders, found, strict=True) if name not in images)
    return f"{name}: none in {where}"


def _by_stem(paths: Iterable[Path]) -> dict[str, Path]:
    return {path.stem: path for path in sorted(paths) if is_image(path)}
