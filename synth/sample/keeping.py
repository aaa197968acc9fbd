"""Targets that keep effects: they show what the instruction does not want removed, as strong as it wants it."""

from collections.abc import Sequence
from dataclasses import replace

from synth.degradations.engine import Applied, EffectSpec, damage
from synth.images.pixels import Bytes
from synth.sample.shot import Shot
from synth.targets import gradient


def keep_on_inputs(
    shot: Shot,
    specs: Sequence[EffectSpec],
    applied: Sequence[Applied],
    rules: gradient.Rules,
    choices: gradient.Choices,
) -> Bytes:
    """The target of one shot (vif) that keeps some of its effects, in closed form.

    The kept effects fall on all clean images, with the draws of the inputs, and these are fused by the clean pair's
    choices.
    """
    images = {name: damaged.image for name, damaged in shot.damage(_shown(shot, specs, applied)).items()}
    return gradient.fuse(rules, images, choices)


def keep_on_fusion(shot: Shot, specs: Sequence[EffectSpec], applied: Sequence[Applied], fused: Bytes) -> Bytes:
    """The target of several shots, or of a given truth, that keeps some of its effects.

    Shots that follow each other have streaks of their own, so the kept effects fall on the fusion of the clean pair:
    with the first image's draws, or another's where that alone has the effect, and with the fusion's own light.
    """
    shown = {(item.label, item.image) for item in applied if item.asked != "remove"}
    first_with = {label: min(image for name, image in shown if name == label) for label, _ in shown}
    of_fusion = shot.of_fusion(fused)
    first, view = next(iter(of_fusion.views.items()))
    drawn = of_fusion.draw(specs, _factors(applied))
    fall = [replace(item, image=first) for item in drawn if first_with.get(item.label) == item.image]
    return damage(fused, fall, view, None)


def _shown(shot: Shot, specs: Sequence[EffectSpec], applied: Sequence[Applied]) -> list[Applied]:
    """What falls on the target's images: the draws of the inputs, those of lessened effects with less strength."""
    factors = _factors(applied)
    shown = {(item.label, item.image) for item in applied if item.asked != "remove"}
    drawn = shot.draw(specs, factors) if factors else applied
    return [item for item in drawn if (item.label, item.image) in shown]


def _factors(applied: Sequence[Applied]) -> dict[str, float]:
    return {item.degradation.said_as: item.factor for item in applied if item.factor is not None}
