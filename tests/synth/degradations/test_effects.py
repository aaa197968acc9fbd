"""The contract of an effect, for every one in the registry; a new effect is tested without a new line here."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from synth.degradations import Degradation, effects
from synth.degradations.base import Domain
from synth.degradations.engine import Applied, EffectSpec, damage, draw, in_order
from synth.images.pixels import Bytes
from synth.scene.scene import View
from synth.streams import Streams, stream
from tests.synth.displacement import displacement, texture
from tests.synth.helpers import photograph, view

EFFECTS = list(effects().values())
EACH = pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.name)
SIZES = [(96, 130, True), (96, 130, False), (17, 16, True), (33, 51, False)]


def applied(effect: Degradation[Any], image: Bytes, seen: View, severity: float, seed: int = 5) -> Bytes:
    params = effect.draw(severity, seen, stream(seed, 0, "draw"), {})
    return damage(image, [Applied(effect.name, seen.name, severity, params)], seen, None)


@EACH
@pytest.mark.parametrize(("height", "width", "colour"), SIZES)
def test_keeps_shape_and_type_and_leaves_its_input(effect, height, width, colour):
    image = photograph(height, width, colour)
    seen = view(image)
    before = image.copy()
    for severity in (0.3, 1.0):
        out = applied(effect, image, seen, severity)
        assert out.shape == image.shape
        assert out.dtype == np.uint8
    assert np.array_equal(image, before)


@EACH
def test_apply_does_not_write_to_its_array(effect):
    image = photograph()
    array = (
        image if effect.domain is Domain.BYTES else np.linspace(0, 1, image.size, dtype=np.float32).reshape(image.shape)
    )
    array.setflags(write=False)
    out = effect.apply(array, effect.draw(0.7, view(image), stream(1, 0, "draw"), {}), view(image))
    assert out.dtype == array.dtype
    assert not np.shares_memory(out, array)
    assert np.isfinite(out).all()


@EACH
@pytest.mark.parametrize("colour", [True, False])
def test_severity_0_leaves_every_byte(effect, colour):
    image = photograph(colour=colour)
    params = effect.draw(0.0, view(image), stream(1, 0, "draw"), {})
    step = Applied(effect.name, "a", None, params)  # without a severity the engine cannot know that nothing happens
    assert np.array_equal(damage(image, [step], view(image), None), image)


@EACH
def test_damage_grows_with_severity(effect):
    image = photograph(192, 256)
    errors = [
        float(np.mean((applied(effect, image, view(image), s).astype(float) - image) ** 2))
        for s in np.linspace(0.1, 1.0, 10)
    ]
    assert all(later > earlier for earlier, later in pairwise(errors)), errors


@EACH
def test_the_picture_stays_in_its_place(effect):
    """Of a shaken path the brightest place is not the middle: its centre of gravity is held in test_optics.py."""
    fixed = {"shake": 0.0} if effect.name == "motion" else {}
    for height, width, colour in ((96, 129, True), (127, 96, False)):
        image = texture(height, width, colour)
        seen = view(image)
        for severity in (0.3, 0.6):
            for seed in range(3):
                params = effect.draw(severity, seen, stream(seed, 0, "draw"), fixed)
                after = damage(image, [Applied(effect.name, "a", severity, params)], seen, None)
                assert displacement(image, after) < 0.25, (severity, seed)


@EACH
def test_same_draw_gives_the_same_bytes(effect):
    image = photograph()
    first, second = (applied(effect, image, view(image), 0.6) for _ in range(2))
    assert np.array_equal(first, second)


@EACH
@pytest.mark.parametrize("level", [0, 255])
def test_survives_black_and_white(effect, level):
    image = np.full((40, 41, 3), level, np.uint8)
    assert applied(effect, image, view(image), 1.0).shape == image.shape


@EACH
def test_only_the_strength_varies_with_severity(effect):
    seen = view(photograph())
    weak, strong = (effect.draw(s, seen, stream(3, 0, "draw"), {}) for s in (0.2, 0.9))
    same = [name for name in vars(weak) if getattr(weak, name) == getattr(strong, name)]
    assert len(vars(weak)) - len(same) == 1, (weak, strong)


@EACH
def test_quantities_reach_the_parameters(effect):
    image = photograph()
    for name, quantity in effect.quantities.items():
        value = quantity.choices[0] if quantity.choices else (quantity.low + quantity.high) / 2
        params = effect.draw(None if quantity.strength else 0.5, view(image), stream(1, 0, "draw"), {name: value})
        assert float(getattr(params, name)) == pytest.approx(value, abs=0.5)


def test_effects_come_in_the_order_of_physics():
    specs = [EffectSpec(name, (0.5, 0.5)) for name in ("jpeg", "noise", "haze", "blur")]
    assert [spec.effect for spec in in_order(specs)] == ["haze", "blur", "noise", "jpeg"]


def test_images_says_where_an_effect_falls():
    image = photograph()
    views = {"a": view(image), "b": view(image, "b")}
    fall = {
        images: draw(EffectSpec("noise", (0.1, 0.9), (), images), views, Streams(7, 0))  # type: ignore[arg-type]
        for images in ("a", "b", "any", "both", "shared")
    }
    assert {name: "".join(item.image for item in items) for name, items in fall.items() if name != "any"} == {
        "a": "a",
        "b": "b",
        "both": "ab",
        "shared": "ab",
    }
    assert len(fall["any"]) == 1
    assert fall["both"][0].params != fall["both"][1].params
    assert fall["shared"][0].params == fall["shared"][1].params
    assert fall["a"][0] == fall["both"][0], "what falls on b as well does not move a's draw"
    where = {draw(EffectSpec("noise", (0.5, 0.5), (), "any"), views, Streams(7, group))[0].image for group in range(20)}
    assert where == {"a", "b"}


def test_light_is_rounded_once():
    """Two effects in linear light differ from the same two with a rounding to bytes between them."""
    image = photograph()
    seen = view(image)
    haze, blur = (
        Applied(name, "a", 0.4, effects()[name].draw(0.4, seen, stream(1, 0, name), {})) for name in ("haze", "blur")
    )
    together = damage(image, [haze, blur], seen, None)
    apart = damage(damage(image, [haze], seen, None), [blur], seen, None)
    assert np.abs(together.astype(int) - apart).max() in (1, 2)
