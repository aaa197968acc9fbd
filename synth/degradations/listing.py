"""The effects as `synth effects` lists them: for the eye, and as data."""

import math
import textwrap
from collections.abc import Iterator
from typing import Any

from synth.degradations.base import Degradation, Quantity, effects
from synth.degradations.imgaug_effect import ALLOWED, COLOUR, Imgaug

WIDTH = 110  # characters of a line of names


def as_text() -> Iterator[str]:
    """Line by line."""
    for name, effect in effects().items():
        rig = f" ({effect.in_one_shot} in one shot)" if effect.in_one_shot else ""
        outside = ", outside" if effect.outdoors else ""
        yield f"{name}: {effect.stage.name.lower()}, falls on {effect.images}{rig}{outside}; severity 0 to 1"
        for key, quantity in effect.quantities.items():
            span = ", ".join(map(str, quantity.choices)) or f"{quantity.low:g} to {quantity.high:g}"
            instead = " (in place of the severity)" if quantity.strength else ""
            yield f"    {key}: {span} {quantity.unit}{instead}"
    stage = Imgaug.stage.name.lower()
    yield f"{Imgaug.name}: {stage} unless `stage` says else, falls on {Imgaug.images}; no severity, but arguments"
    yield "    imgaug: {name: Rain, args: {speed: [0.1, 0.3]}, as: rain, stage: scene}"
    yield f"    name: one of {len(ALLOWED)} augmenters that keep every pixel in its place and touch no file"
    yield from textwrap.wrap(
        " ".join(sorted(ALLOWED)), WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8, break_on_hyphens=False
    )


def as_data() -> dict[str, Any]:
    """The same for JSON: `effects` by name, in the order of physics, and the augmenters of `imgaug`."""
    return {
        "effects": {name: _effect(effect) for name, effect in effects().items()},
        "imgaug": {
            "version": Imgaug.version,
            "stage": Imgaug.stage.name.lower(),
            "images": Imgaug.images,
            "augmenters": sorted(ALLOWED),
            "in_colour": sorted(COLOUR),
        },
    }


def _effect(effect: Degradation[Any]) -> dict[str, Any]:
    return {
        "version": effect.version,
        "stage": effect.stage.name.lower(),
        "images": effect.images,
        "in_one_shot": effect.in_one_shot,
        "outdoors": effect.outdoors,
        "said_as": effect.said_as,
        "severity": [0, 1],
        "quantities": {key: _quantity(quantity) for key, quantity in effect.quantities.items()},
    }


def _quantity(quantity: Quantity) -> dict[str, Any]:
    """neutral: of a strength, the value that leaves an image as it is; null where that is infinite."""
    told: dict[str, Any] = {"low": quantity.low, "high": quantity.high, "unit": quantity.unit}
    if quantity.choices:
        told["choices"] = list(quantity.choices)
    if quantity.strength:
        told |= {"strength": True, "neutral": quantity.neutral if math.isfinite(quantity.neutral) else None}
    return told
