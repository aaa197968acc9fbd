"""Effects on a pair: what is known of its scene, and its way through them. `degrade` needs no recipe."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from synth.degradations.engine import Applied, Damaged, EffectSpec, damage_into_file, draw, in_order
from synth.degradations.settings import parse_effect
from synth.errors import UnreadableError, UserError, listed
from synth.images import codecs
from synth.images.exposure_fusion import mertens
from synth.images.onnx import depth_of
from synth.images.pixels import Bytes, Floats, shrink
from synth.scene import light
from synth.scene.depth import WORKED_AT, coarse_proxy, distance_share
from synth.scene.scene import (
    MODALITIES,
    DepthKind,
    ImageName,
    Light,
    Scene,
    Task,
    View,
    draw_scene,
    scene_record,
)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What a whole picture tells of its scene before any crop, each thing found out when it is asked for.

    a, b: the clean pair. given: (H, W) float32, the distance as a share of the farthest, where a map stands beside it,
    and given_kind what that map held. network: of the user's own, with what its values stand for.
    """

    task: Task
    a: Bytes
    b: Bytes
    given: Floats | None = None
    given_kind: DepthKind = "distance"
    network: tuple[Path, DepthKind] | None = None

    @property
    def depth_kind(self) -> DepthKind:
        if self.given is not None:
            return self.given_kind
        return "proxy" if self.network is None else "network"

    @cached_property
    def _small(self) -> tuple[Bytes, Bytes]:
        a = shrink(self.a, WORKED_AT)
        return a, shrink(self.b, WORKED_AT) if self.task == "mef" else a

    @cached_property
    def light(self) -> Light:
        return light.measure(self.task, *self._small)

    @cached_property
    def depth(self) -> Floats:
        """The distance as a share of the farthest, float32, over the whole picture in any resolution."""
        if self.given is not None:
            return self.given
        if self.network is None:
            a, b = self._small
            return coarse_proxy(mertens(a, b) if self.task == "mef" else a)
        path, kind = self.network
        return distance_share(depth_of(mertens(self.a, self.b) if self.task == "mef" else self.a, path), kind)

    def whole(self) -> Floats:
        """The depth in the size of the picture, (H, W)."""
        return cv2.resize(self.depth, self.a.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def fall(
    task: Task, a: Bytes, b: Bytes, scene: Scene, specs: Sequence[EffectSpec], seed: int, group: int
) -> tuple[Damaged, Damaged, list[Applied]]:
    """Draw effects for a clean pair and apply them, in the order given. Returns both images and what fell on them."""
    views = views_of(task, a, b, scene)
    applied = draw_all(specs, views, seed, group)
    return *damage_pair(task, a, b, views, applied), applied


def draw_all(specs: Sequence[EffectSpec], views: dict[ImageName, View], seed: int, group: int) -> list[Applied]:
    """Draw a list of effects; one that is listed twice falls twice, with draws of its own."""
    turns: dict[str, int] = {}
    applied: list[Applied] = []
    for spec in specs:
        turns[spec.label] = turn = turns.get(spec.label, -1) + 1
        applied += draw(spec, views, seed, group, turn)
    return applied


def damage_pair(
    task: Task, a: Bytes, b: Bytes, views: dict[ImageName, View], applied: Sequence[Applied]
) -> tuple[Damaged, Damaged]:
    """Both images with what was drawn for them."""
    if task != "mef":
        return damage_into_file(a, applied, views["a"], None), damage_into_file(b, applied, views["b"], None)
    gain_a, gain_b = views["a"].gain, views["b"].gain
    return (
        damage_into_file(a, applied, views["a"], lambda: light.unclip(a, b, gain_a, gain_b)),
        damage_into_file(b, applied, views["b"], lambda: light.unclip(b, a, gain_b, gain_a)),
    )


def views_of(task: Task, a: Bytes, b: Bytes, scene: Scene) -> dict[ImageName, View]:
    """How each image of a clean pair sees the scene."""
    return {"a": _view(task, "a", a, scene), "b": _view(task, "b", b, scene)}


def _view(task: Task, name: ImageName, image: Bytes, scene: Scene) -> View:
    height, width = image.shape[:2]
    return View(scene, name, MODALITIES[task][name], (height, width), image.ndim == 3, image)


@dataclass(frozen=True, eq=False)
class Degraded:
    """A degraded pair, and the part of the record (shards/FORMAT.md) that says how: `degradations` and `scene`."""

    a: Bytes
    b: Bytes
    record: dict[str, Any]


def degrade(
    a: Bytes,
    b: Bytes,
    effects: Mapping[str, float | Mapping[str, Any]],
    *,
    task: Task = "vif",
    seed: int = 0,
    depth: Floats | None = None,
    depth_kind: DepthKind = "distance",
) -> Degraded:
    """Let effects fall on a pair of any size, in the order of physics.

    a, b: (H, W) or (H, W, 3) uint8 sRGB of one size, as the task names them (vif: visible and infrared, mef: under-
    and over-exposed, mff: near and far focus). effects: by name, a severity in [0, 1] or the settings of a recipe,
    `{"haze": 0.6, "noise": {"sigma": 25, "images": "a"}}`. depth: (H, W) in any unit, `distance` or `inverse`; without
    it a proxy stands in. The same arguments give the same bytes. Raises ValueError.
    """
    a, b = np.asarray(a), np.asarray(b)
    for name, image in (("a", a), ("b", b)):
        wrong_shape = image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or image.size == 0
        if image.dtype != np.uint8 or wrong_shape:
            raise ValueError(f"{name}: {image.dtype} of shape {image.shape}; (H, W) or (H, W, 3) of uint8 is needed")
    if a.shape[:2] != b.shape[:2]:
        raise ValueError(f"a is {a.shape[1]}×{a.shape[0]}, b is {b.shape[1]}×{b.shape[0]}; a pair has one size")
    if task not in MODALITIES:
        raise ValueError(f"task: {task!r} must be one of {listed(MODALITIES)}")
    if depth_kind not in ("distance", "inverse"):
        raise ValueError(f"depth_kind: {depth_kind!r} must be distance or inverse")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: {seed!r} must be an integer from 0")
    depth = None if depth is None else np.asarray(depth, np.float32)
    if depth is not None and depth.shape != a.shape[:2]:
        raise ValueError(f"depth has shape {depth.shape}, the images are {a.shape[1]}×{a.shape[0]}")
    specs = in_order(
        [parse_effect({name: dict(value) if isinstance(value, Mapping) else value}) for name, value in effects.items()]
    )
    share = None if depth is None else distance_share(depth, depth_kind)
    backdrop = Backdrop(task, a, b, share, depth_kind)
    scene = draw_scene(task, seed, 0, a.shape[1], backdrop.whole, backdrop.depth_kind, backdrop.light)
    out_a, out_b, applied = fall(task, a, b, scene, specs, seed, 0)
    record = {
        "task": task,
        "degradations": [x.to_record() for x in applied],
        "scene": scene_record(scene),
        "seed": seed,
    }
    return Degraded(out_a.image, out_b.image, record)


def degrade_files(
    a: Path,
    b: Path,
    effects: Sequence[str],
    out: Path,
    *,
    task: Task,
    seed: int,
    depth: Path | None,
    kind: DepthKind,
) -> None:
    """`degrade` from files to files: a.png, b.png and record.json in the folder `out`.

    effects: `haze=0.6`, `rain=rate:30`, `noise=sigma:25,images:a`. Raises UserError.
    """
    try:
        done = degrade(
            codecs.read(a).image,
            codecs.read(b, infrared=task == "vif").image,
            _effect_options(effects),
            task=task,
            seed=seed,
            depth=None if depth is None else codecs.read_depth(depth)[0],
            depth_kind=kind,
        )
    except (UnreadableError, ValueError) as error:
        raise UserError(str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    (out / "a.png").write_bytes(codecs.encode_png(done.a))
    (out / "b.png").write_bytes(codecs.encode_png(done.b))
    (out / "record.json").write_text(json.dumps(done.record, indent=1) + "\n", encoding="utf-8")


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
            return name, {"severity": yaml.safe_load(value)} if value else {}
        pairs = [part.partition(":") for part in re.split(r",(?![^\[]*\])", value)]
        return name, {key.strip(): yaml.safe_load(number) for key, _, number in pairs}
    except (yaml.YAMLError, ValueError):
        raise UserError(f"--effect {text}: a severity, or key:value with commas between, is needed after =") from None
