"""Targets that keep effects: they show what the instruction does not want removed, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from synth.degradations.engine import Applied, damage
from synth.images.pixels import Bytes
from synth.pairs.base import CleanPair
from synth.sample.degrade import damage_pair, draw_all, views_of
from synth.sample.draft import Draft
from synth.scene.light import measure
from synth.scene.scene import Scene, draw_scene
from synth.targets import gradient


def keep(
    drawn: Draft, clean: CleanPair, target: Bytes, kind: str, scene: Scene, applied: Sequence[Applied], seed: int
) -> Bytes:
    """The target of a sample that keeps some of its effects.

    target: the fusion of the clean pair. For vif the kept effects fall on both clean images, with the draws of the
    inputs, and these are fused by the clean pair's choices. The two shots of mef and mff, and a given truth, have
    streaks of their own: there the kept effects fall on the clean fusion, with a's draws, or b's where b alone has
    the effect, and with the fusion's own light and gain 1.
    """
    kept = [item for item in applied if item.asked == "keep"]
    if drawn.task == "vif" and kind == "gradient":
        a, b = damage_pair("vif", clean.a, clean.b, views_of("vif", clean.a, clean.b, scene), kept)
        return gradient.fuse("vif", a.image, b.image, gradient.choose(clean.a, clean.b))
    own_light = measure("mff", target, target)
    own = draw_scene(
        *(drawn.task, seed, drawn.group, target.shape[1]),
        *(lambda: scene.depth / np.float32(scene.depth_range_m), scene.depth_kind, own_light),
    )
    views = views_of("mff", target, target, own)
    again = draw_all(drawn.effects, views, seed, drawn.group)
    names = {(item.effect, item.image) for item in kept}
    fall = [
        replace(item, image="a")
        for item in again
        if (item.effect, item.image) in names and (item.image == "a" or (item.effect, "a") not in names)
    ]
    return damage(target, fall, views["a"], None)
