"""What `trainer fuse` is asked to do: which files become which picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from trainer.data.folders import SUFFIXES, is_image
from trainer.errors import UserError

SETTINGS = "fuse.json"
"""In a folder of fused pictures: what they were made by."""
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
    What lies below OUT was made before, and is no input.

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
    _keep_apart(inputs, out)
    found = _of_scenes(inputs[0], out, suffix) if len(inputs) == 1 else _of_names(inputs, out, suffix)
    if not found.jobs:
        where = " and ".join(str(path) for path in inputs)
        looked = "folders with a.png and b.png" if len(inputs) == 1 else "images of one name in each"
        hint = f" ({found.left_out[0]})" if found.left_out else ""
        raise UserError(f"{where}: no pair found; {looked} are looked for{hint}")
    return found


def _keep_apart(inputs: Sequence[Path], out: Path) -> None:
    """Raises UserError where pictures would come to lie among the inputs, and be read as such the next time."""
    for folder in inputs:
        if out.resolve() == folder.resolve():
            raise UserError(
                f"--out {out}: is a folder of inputs: a picture there would overwrite an input, or be taken for one "
                f"later; name another, such as {out / 'fused'}"
            )
        within = folder.resolve() in out.resolve().parents and not (out / SETTINGS).is_file()
        if within and (image := next((path for path in sorted(out.rglob("*")) if is_image(path)), None)):
            raise UserError(f"--out {out}: {image} is there already, an input; name a folder without inputs")


def _images_in(folder: Path, out: Path) -> list[Path]:
    """The image files below a folder, sorted, but for those below `out`."""
    above = out.resolve()
    made = folder / above.relative_to(folder.resolve()) if folder.resolve() in above.parents else None
    return sorted(path for path in folder.rglob("*") if is_image(path) and made not in path.parents)


def _of_scenes(folder: Path, out: Path, suffix: str) -> Jobs:
    jobs, left = [], []
    scenes: dict[Path, dict[str, list[Path]]] = {}
    for path in _images_in(folder, out):
        if NAMED.fullmatch(path.stem):
            scenes.setdefault(path.parent, {}).setdefault(path.stem, []).append(path)
    for scene, images in sorted(scenes.items()):
        name = scene.relative_to(folder).as_posix() if scene != folder else scene.resolve().name
        if not {"a", "b"} <= images.keys():
            left.append(f"{name}: no image {'b' if 'a' in images else 'a'}")
        elif twice := next((of_stem for of_stem in images.values() if len(of_stem) > 1), None):
            left.append(f"{name}: {_several(twice)}")
        else:
            jobs.append(Job(name, tuple(images[stem][0] for stem in sorted(images)), out / f"{name}{suffix}"))
    return Jobs(jobs, left)


def _of_names(folders: Sequence[Path], out: Path, suffix: str) -> Jobs:
    found: list[dict[str, list[Path]]] = []
    for folder in folders:
        found.append({})
        for path in _images_in(folder, out):
            found[-1].setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    jobs, left = [], []
    for name in sorted(set().union(*found)):
        of_name = [images.get(name, []) for images in found]
        if [] in of_name:
            left.append(f"{name}: none in {folders[of_name.index([])]}")
        elif twice := next((paths for paths in of_name if len(paths) > 1), None):
            left.append(f"{name}: {_several(twice)}")
        else:
            jobs.append(Job(name, tuple(paths[0] for paths in of_name), out / f"{name}{suffix}"))
    return Jobs(jobs, left)


def _several(paths: Sequence[Path]) -> str:
    return f"{len(paths)} files of one name in {paths[0].parent}: {', '.join(path.name for path in paths)}"
