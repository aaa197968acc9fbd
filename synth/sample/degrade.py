"""Effects on one pair without a recipe: `synth.degrade`, and `synth degrade` from files to files."""

import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from synth.degradations.engine import EffectSpec, in_order
from synth.degradations.settings import parse_effect
from synth.degradations.trial import is_without_strength
from synth.errors import UnreadableError, UserError
from synth.images import codecs
from synth.images.pixels import Bytes, Floats
from synth.pairs.roles import as_roles, depth_values
from synth.paths import keep_inputs
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.scene.capture import ImageName
from synth.scene.depth import distance_share
from synth.scene.scene import DepthKind, scene_record
from synth.storage.whole import write_files
from synth.streams import Streams
from synth.tasks import DEFAULT, task_named
from synth.text import yaml_value

RECORD = "record.json"


@dataclass(frozen=True, eq=False)
class Degraded:
    """A degraded pair, and the part of the record (shards/FORMAT.md) that says how: `degradations` and `scene`."""

    images: Mapping[ImageName, Bytes]
    record: dict[str, Any]

    @property
    def a(self) -> Bytes:
        return self.images["a"]

    @property
    def b(self) -> Bytes:
        return self.images["b"]


Effects: TypeAlias = Mapping[str, Any] | Sequence[Any]


def degrade(  # noqa: PLR0913
    a: Bytes,
    b: Bytes,
    effects: Effects,
    *,
    task: str = DEFAULT,
    seed: int = 0,
    depth: Floats | None = None,
    depth_kind: DepthKind = "distance",
) -> Degraded:
    """Let effects fall on a pair of any size, in the order of physics.

    a, b: (H, W) or (H, W, 3) uint8 sRGB of one size, as the task names them (vif: visible and infrared, mef: under-
    and over-exposed, mff: near and far focus), in any order of memory; they are left as they are, and what comes back
    shares no memory with them. effects: by name, a severity in [0, 1] or the settings of a recipe,
    `{"haze": 0.6, "noise": {"sigma": 25, "images": "a"}}`, or a list, as in a recipe, `["haze", {"noise": 0.3}]`;
    numbers may be NumPy's, ranges tuples or arrays. depth: (H, W) in any unit, `distance` or `inverse`; without it a
    proxy stands in. The same arguments give the same bytes. The record holds what fell: an effect without strength
    (severity 0, exposure by 0 stops), which leaves any picture as it is, is not there. Raises ValueError. (Seven
    arguments, as it is the one call of people who want nothing else.)
    """
    a, b = _picture("a", a), _picture("b", b)
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(f"a is {a.shape[1]}×{a.shape[0]}, b is {b.shape[1]}×{b.shape[0]}; a pair has one size")
    capture = task_named(task).capture
    if depth_kind not in ("distance", "inverse"):
        raise ValueError(f"depth_kind: {depth_kind!r} must be distance or inverse")
    seed = _seed(seed)
    depth = None if depth is None else np.array(depth, np.float32, order="C")
    if depth is not None and depth.shape != a.shape[:2]:
        raise ValueError(f"depth has shape {depth.shape}, the images are {a.shape[1]}×{a.shape[0]}")
    specs = in_order(_specs(effects))
    share = None if depth is None else distance_share(depth, depth_kind)
    shot = Shot.of_whole(Backdrop(capture, {"a": a, "b": b}, share, depth_kind), Streams(seed, 0))
    applied = [item for item in shot.draw(specs) if not is_without_strength(item)]
    record = {
        "task": task,
        "degradations": [x.to_record() for x in applied],
        "scene": scene_record(shot.scene),
        "seed": seed,
    }
    return Degraded({name: _own(damaged.image) for name, damaged in shot.damage(applied).items()}, record)


def _picture(name: ImageName, image: Any) -> Bytes:
    """A copy of an image, which nobody else writes to. Raises ValueError where it is none."""
    array = np.asarray(image)
    wrong_shape = array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or array.size == 0
    if array.dtype != np.uint8 or wrong_shape:
        of_floats = array.dtype.kind == "f" and not wrong_shape
        way_out = "; of floats in [0, 1]: np.rint(255 * image).astype(np.uint8)" if of_floats else ""
        raise ValueError(
            f"{name}: {array.dtype} of shape {array.shape}; (H, W) or (H, W, 3) of uint8 is needed{way_out}"
        )
    return np.array(array, order="C", subok=False)


def _own(image: Bytes) -> Bytes:
    """An image that whoever gets it may write to."""
    return image if image.flags.owndata and image.flags.writeable else image.copy()


def _seed(seed: Any) -> int:
    try:
        number = -1 if isinstance(seed, bool | np.bool_) else operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed: {seed!r} must be an integer from 0")
    return number


def _specs(effects: Any) -> list[EffectSpec]:
    """What is to fall, each once. Raises ValueError."""
    effects = _plain([effects] if isinstance(effects, str) else effects)
    if not isinstance(effects, dict | list):
        raise ValueError(f"effects: {effects!r} must be `name: severity or settings`, or a list as in a recipe")
    listed = [{name: value} for name, value in effects.items()] if isinstance(effects, dict) else effects
    specs = [parse_effect({item[0]: item[1]} if _is_item(item) else item) for item in listed]
    labels = [spec.label for spec in specs]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is listed twice; an effect falls on a pair once")
    return specs


def _is_item(value: Any) -> bool:
    """Whether it is (name, settings)."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _plain(value: Any) -> Any:
    """Settings as YAML would give them: numbers of NumPy as Python's, tuples and arrays as lists."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def degrade_files(
    files: Mapping[ImageName, Path],
    effects: Sequence[str],
    out: Path,
    *,
    task: str,
    seed: int,
    depth: tuple[Path, DepthKind] | None,
) -> tuple[str, ...]:
    """`degrade` from files to files: a.png, b.png and record.json in the folder `out`.

    effects: `haze=0.6`, `rain=rate:30`, `noise=sigma:25,images:a`. depth: a map, and what its values are. Returns what
    a user should hear of the files, which stands in the record as `notes`. Raises UserError, also where `out` holds
    the pair itself; StoppedError where the disk is full.
    """
    given = [*files.values(), *([] if depth is None else [depth[0]])]
    for file in given:
        if file.is_dir():
            raise UserError(f"{file}: is a folder; an image file is needed")
    keep_inputs([out / name for name in ("a.png", "b.png", RECORD)], given)
    try:
        capture = task_named(task).capture
    except ValueError as error:
        raise UserError(f"--task {task}: {error}") from None
    try:
        pictures = codecs.read_together(files, [name for name in files if capture.is_infrared(name)])
        images = {name: picture.image for name, picture in pictures.items()}
        roles = as_roles(images, {name: file.name for name, file in files.items()}, capture)
        notes = [f"{files[name].name}: {note}" for name, picture in pictures.items() for note in _told(picture)]
        doubts, distances = (*notes, *roles.doubts), None
        if depth is not None:
            distances, doubt = depth_values(codecs.read_depth(depth[0])[0], depth[1], depth[0].name)
            doubts += () if doubt is None else (doubt,)
        done = degrade(
            roles.pictures["a"],
            roles.pictures["b"],
            _effect_options(effects),
            task=task,
            seed=seed,
            depth=distances,
            depth_kind="distance" if depth is None else depth[1],
        )
    except (UnreadableError, ValueError) as error:
        raise UserError(str(error)) from None
    record = done.record | ({"notes": list(doubts)} if doubts else {})
    written = {out / f"{name}.png": codecs.encode_png(image) for name, image in done.images.items()}
    write_files(written | {out / RECORD: (json.dumps(record, indent=1) + "\n").encode()})
    return doubts


def _told(picture: codecs.Picture) -> Iterator[str]:
    """What was done to a file, or ignored of it (shards/FILES.md)."""
    yield from picture.notes
    if picture.stretch is not None:
        yield "infrared: {:g} to {:g} became black to white".format(*picture.stretch)


def _effect_options(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    options = [_effect_option(text) for text in texts]
    names = [name for name, _ in options]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"--effect {twice[0]}: given twice")
    return dict(options)


def _effect_option(text: str) -> tuple[str, dict[str, Any]]:
    """`haze=0.6` or `noise=sigma:25,images:a` as the settings of a recipe; values are read as YAML reads them."""
    name, _, value = text.partition("=")
    try:
        if ":" not in value:
            return name, {"severity": yaml_value(value)} if value else {}
        pairs = [part.partition(":") for part in re.split(r",(?![^\[]*\])", value)]
        return name, {key.strip(): yaml_value(number) for key, _, number in pairs}
    except (yaml.YAMLError, ValueError):
        raise UserError(f"--effect {text}: a severity, or key:value with commas between, is needed after =") from None
