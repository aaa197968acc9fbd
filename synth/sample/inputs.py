"""The degraded pair of a sample: the first half of its way, without target and sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache, cached

from synth.degradations.engine import SEEN, Applied, Damaged
from synth.errors import UnreadableError
from synth.images.borders import Mask
from synth.images.crop import Window, cut, draw_window, too_small
from synth.images.curves import SRGB
from synth.images.pixels import Floats
from synth.instructions.intent import Intent
from synth.pairs.base import CleanPair, PairRef
from synth.sample.draft import Draft, intent_of_seen
from synth.sample.loading import load
from synth.sample.plan import Plan
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.scene.capture import ImageName
from synth.scene.depth import window_of
from synth.scene.scene import Distances, Light, draw_scene
from synth.streams import Streams, drawn_of
from synth.tasks import TASKS

DEPTHS_BYTES = 64 << 20  # of depths that a process keeps: one is a sixth of its pair and takes half as long
CONTENTS_BYTES = 32 << 20  # and of where pairs have padding, of which most have none
FLAT_AT = 0.5  # distance of a flat scene as a share of the farthest: nearer than what counts as the sky
FLAT_HORIZON = -100.0  # its horizon in heights of the crop, far above it: all rays cross a layer of mist alike
LIGHTS = 20_000  # and of how many pairs the light


@dataclass(frozen=True, eq=False)
class Inputs:
    """A degraded pair, and all that its target, its sentence and its record follow from.

    drawn: with what its instruction asks of what is seen. clean: the pair's window. shot: that before its scene.
    applied: what fell on it and is seen (engine.py), in order. images: what it became. unseen: what was drawn besides
    and left no trace.
    """

    drawn: Draft
    clean: CleanPair
    window: Window
    shot: Shot
    applied: list[Applied]
    images: Mapping[ImageName, Damaged]
    unseen: Sequence[Applied] = ()


def make_inputs(plan: Plan, drawn: Draft) -> Inputs:
    """The degraded pair of a sample. Raises UnreadableError."""
    recipe, network = plan.recipe, plan.recipe.depth_network
    size, streams, ref = recipe.crop.size, Streams(recipe.seed, drawn.group), drawn.pair
    whole, onnx = load(ref), None if network is None else (network.onnx, network.kind)
    capture = TASKS[drawn.task].capture
    width = recipe.tasks[drawn.task].degradations
    curve = drawn_of(width.curves, streams("scene.curve")) if width.curves else SRGB
    backdrop = Backdrop(capture, whole.pictures, whole.depth, whole.depth_kind, onnx, curve)
    flat = streams("scene.flat").random() < width.flat
    if (reason := too_small(backdrop.size, size)) is not None:
        raise UnreadableError(reason)  # of a pair whose size was not known when it was planned
    window = draw_window(*backdrop.size, size, recipe.crop.scale, recipe.crop.flip, streams("crop"))
    clean = _cropped(whole, window, size)

    def depth() -> Floats:
        if flat:
            return np.full((size, size), FLAT_AT, np.float32)
        return window_of(_depth_of(ref, backdrop), backdrop.size, window, size)

    horizon = (_horizon_of(ref, backdrop) * backdrop.size[0] - window.y) / window.w  # windows are square
    distances = Distances(depth, "flat", FLAT_HORIZON) if flat else Distances(depth, backdrop.depth_kind, horizon)
    scene = draw_scene(capture, streams, size, distances, _light_of(ref, backdrop))
    shot = Shot(capture, clean.pictures, scene, streams, _cut_contents(_contents_of(ref, backdrop), window, size))
    everything = shot.draw(drawn.effects)
    images, seen = shot.damage_with(everything, SEEN)
    if len(seen) < len(everything):
        drawn = replace(drawn, intent=intent_of_seen(plan, drawn, seen))
    kept = {id(item) for item in seen}
    unseen = [item for item in everything if id(item) not in kept]
    return Inputs(drawn, clean, window, shot, asked_of(seen, drawn.intent), images, unseen)


def asked_of(drawn: Sequence[Applied], intent: Intent) -> list[Applied]:
    """What was drawn, with what an instruction wants of it."""
    factors = dict(intent.lessened)
    applied = []
    for item in drawn:
        name = item.degradation.said_as
        if name in factors:
            applied.append(replace(item, asked="lessen", factor=factors[name]))
        else:
            applied.append(replace(item, asked="keep") if name in intent.kept else item)
    return applied


def _cropped(pair: CleanPair, window: Window, size: int) -> CleanPair:
    gt = None if pair.gt is None else cut(pair.gt, window, size)
    pictures = {name: cut(picture, window, size) for name, picture in pair.pictures.items()}
    return replace(pair, pictures=pictures, gt=gt, depth=None)


def _cut_contents(contents: Mapping[ImageName, Mask], window: Window, size: int) -> dict[ImageName, Mask]:
    """Of the window, where it has any padding; a pixel that is padding in part counts as padding."""
    parts = {name: cut(seen.astype(np.uint8) * 255, window, size) == 255 for name, seen in contents.items()}
    return {name: seen for name, seen in parts.items() if not seen.all()}


def _contents_weight(contents: Mapping[ImageName, Mask]) -> int:
    return 1024 + sum(seen.nbytes for seen in contents.values())


@cached(LRUCache(CONTENTS_BYTES, _contents_weight), key=lambda ref, _: ref)
def _contents_of(_ref: PairRef, backdrop: Backdrop) -> Mapping[ImageName, Mask]:
    return backdrop.contents


@cached(LRUCache(DEPTHS_BYTES, lambda depth: depth.nbytes), key=lambda ref, backdrop: (ref, backdrop.network))
def _depth_of(_ref: PairRef, backdrop: Backdrop) -> Floats:
    return backdrop.depth


@cached(LRUCache(LIGHTS), key=lambda ref, backdrop: (ref, backdrop.curve))
def _light_of(_ref: PairRef, backdrop: Backdrop) -> Light:
    return backdrop.light


@cached(LRUCache(LIGHTS), key=lambda ref, _: ref)
def _horizon_of(_ref: PairRef, backdrop: Backdrop) -> float:
    return backdrop.horizon
