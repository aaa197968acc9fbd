"""Targets that keep effects: they show what the instruction does not want removed, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from synth.degradations.engine import Applied, EffectSpec, damage
from synth.images.pixels import Bytes
from synth.sample.shot import Shot
from synth.targets import gradient


def keep_on_inputs(shot: Shot, applied: Sequence[Applied], rules: gradient.Rules) -> Bytes:
    """The target of one shot (vif) that keeps some of its effects, in closed form.

    The kept effects fall on all clean images, with the draws of the inputs, and these are fused by the clean pair's
    choices.
    """
    kept = [item for item in applied if item.asked == "keep"]
    images = {name: damaged.image for name, damaged in shot.damage(kept).items()}
    return gradient.fuse(rules, images, rules.choose(shot.pictures))


def keep_on_fusion(shot: Shot, specs: Sequence[EffectSpec], applied: Sequence[Applied], fused: Bytes) -> Bytes:
    """The target of several shots, or of a given truth, that keeps some of its effects.

    Shots that follow each other have streaks of their own, so the kept effects fall on the fusion of the clean pair:
    with the first image's draws, or another's where that alone has the effect, and with the fusion's own light.
    """
    kept = {(item.effect, item.image) for item in applied if item.asked == "keep"}
    first_with = {effect: min(image for name, image in kept if name == effect) for effect, _ in kept}
    of_fusion = shot.of_fusion(fused)
    first, view = next(iter(of_fusion.views.items()))
    fall = [replace(item, image=first) for item in of_fusion.draw(specs) if first_with.get(item.effect) == item.image]
    return damage(fused, fall, view, None)
