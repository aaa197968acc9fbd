"""Whether an effect with the settings of a recipe can be seen at all, tried on one picture."""

from functools import lru_cache

import cv2
import numpy as np

from synth.degradations.engine import ANY, SEEN, Applied, EffectSpec, damage_with, draw
from synth.images.pixels import Bytes
from synth.scene.capture import IMAGES
from synth.scene.scene import Scene, View
from synth.streams import Streams

SIZE = (96, 128)  # height and width in pixels
SEEDS = 8  # draws that are tried of an effect that is all chance
DEPTH_M = (20.0, 2000.0)  # of the trial's scene, from the lower edge to the upper one


def is_neutral(spec: EffectSpec) -> bool:
    """Whether an effect leaves a picture as it is at both ends of its range: nothing of it would ever be seen."""
    ends = [spec] if spec.variant is not None else [_at(spec, end) for end in (-1, 0)]  # the stronger first, of most
    return not any(_is_seen(end, seed) for end in ends for seed in range(SEEDS))


def is_without_strength(applied: Applied) -> bool:
    """Whether an effect, as it was drawn, leaves any picture as it is: at severity 0, or moving no byte of this one."""
    if applied.severity is not None:
        return applied.severity == 0
    picture, scene = _trial()
    view = View(scene, applied.image, "visible", SIZE, True, picture)
    return not damage_with(picture, [applied], view, None, ANY)[1]


def _at(spec: EffectSpec, end: int) -> EffectSpec:
    """The effect with its strength at one end of its range."""
    known = spec.degradation.quantities
    severity = None if spec.severity is None else (spec.severity[end],) * 2
    quantities = tuple((key, (values[end],) * 2 if known[key].strength else values) for key, values in spec.quantities)
    return EffectSpec(spec.effect, severity, quantities, "a")


def _is_seen(spec: EffectSpec, seed: int) -> bool:
    picture, scene = _trial()
    view = View(scene, "a", "visible", SIZE, True, picture)
    applied = draw(spec, {"a": view}, Streams(seed, 0))
    return bool(damage_with(picture, applied, view, None, SEEN)[1])


@lru_cache(maxsize=1)
def _trial() -> tuple[Bytes, Scene]:
    """Edges and flat parts, from dark to bright and in all colours, none clipped, and a plain scene that goes far."""
    height, width = SIZE
    blobs = np.random.default_rng(0).normal(size=(height // 8, width // 8, 3)).astype(np.float32)
    coarse = cv2.resize(blobs, (width, height), interpolation=cv2.INTER_NEAREST)
    ramp = np.linspace(50, 200, width, dtype=np.float32)[None, :, None]
    picture = (ramp + 40 * np.tanh(coarse)).astype(np.uint8)
    depth = np.geomspace(*DEPTH_M[::-1], height, dtype=np.float32)[:, None].repeat(width, 1)
    airlight, wind, gain = (0.71, 0.70, 0.69), (1.0, 0.5), dict.fromkeys(IMAGES, 1.0)
    return picture, Scene(depth, "proxy", 2100.0, airlight, wind, 1.1 * width, 0.01, True, gain, "equal")
