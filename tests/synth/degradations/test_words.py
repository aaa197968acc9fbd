"""Parameters as people read them, for every effect of the registry and for one that is added."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from synth.degradations import Degradation, effects, words
from synth.degradations.base import REGISTRY, Quantity, Stage
from synth.degradations.imgaug_effect import Imgaug
from synth.scene.scene import View
from synth.streams import stream
from tests.synth.helpers import photograph, view

EACH = pytest.mark.parametrize("effect", list(effects().values()), ids=lambda effect: effect.name)


@pytest.mark.parametrize(
    ("effect", "params", "said"),
    [
        ("haze", {"visibility_m": 1093.2, "airlight": [0.7, 0.7, 0.7], "seed": 3}, "haze, visibility 1.1 km"),
        ("haze", {"visibility_m": 212.4}, "haze, visibility 212 m"),
        ("rain", {"rate": 30.2, "veil_gain": 2.0}, "rain, 30 mm/h"),
        ("snow", {"rate": 2.5}, "snow, 2.5 mm/h of water"),
        ("jpeg", {"quality": 35, "subsampling": "420", "times": 1}, "JPEG, quality 35"),
        ("jpeg", {"quality": 35, "subsampling": "420", "times": 2}, "JPEG, quality 35, saved twice"),
        ("noise", {"sigma": 25.0, "correlation": 0.0, "grain": 0.0, "seed": 1}, "noise, sigma 25"),
        ("sensor_noise", {"electrons": 12345.6, "read_noise": 2.0}, "sensor noise, 12,300 electrons at white"),
        ("motion", {"length": 12.04, "shake": 1, "angle": 30.0, "lamps": 4.0}, "motion blur, 12 px, shaken"),
        ("blur", {"sigma": 1.84, "ratio": 1.0, "angle": 0.0, "shape": 1.0, "ringing": 0.0}, "blur, sigma 1.8 px"),
        ("exposure", {"stops": -1.34, "direction": -1}, "under-exposed by 1.3 stops"),
        ("exposure", {"stops": 1.0, "direction": 1}, "over-exposed by 1 stop"),
        ("contrast", {"gain": 0.41, "pivot": None}, "low contrast, at 41%"),
        ("contrast", {"gain": 2.5}, "high contrast, at 250%"),
        ("resolution", {"factor": 3.0, "down": "area"}, "low resolution, 3 times smaller"),
        ("stripes", {"sigma": 12.0, "dark": 0.12}, "stripes, sigma 12, 12% of columns dark"),
        ("defocus", {"radius": 3.25, "lamps": 20.0}, "defocus, radius 3.2 px"),
    ],
)
def test_effects_say_what_people_read(effect, params, said):
    assert REGISTRY[effect].in_words(params) == said


@EACH
def test_every_effect_says_how_strong_it_is_and_nothing_of_seeds(effect):
    seen = view(photograph())
    for severity in (0.3, 0.9):
        params = effect.draw(severity, seen, stream(2, 0, "draw"), {})
        said = effect.in_words(asdict(params))
        assert any(map(str.isdigit, said)), said
        assert len(said) <= 80, said
        assert "seed" not in said
        assert not set("{_") & set(said), said
        assert said == said.strip(" ,")


@EACH
def test_every_effect_says_each_quantity_at_its_ends(effect):
    for key, quantity in effect.quantities.items():
        for value in quantity.choices or (quantity.low, quantity.high):
            said = effect.in_words({key: value})
            assert said
            assert not set("{_") & set(said), said


@EACH
@pytest.mark.parametrize("value", [None, "x", [1], {"a": 1}, math.nan, math.inf, -math.inf, True, 10**400, -3])
def test_parameters_of_a_stranger_never_throw(effect, value):
    assert effect.in_words(dict.fromkeys(effect.quantities, value))
    assert effect.in_words({})


@dataclass(frozen=True)
class FlareParams:
    stops: float
    ghost_px: float
    side: int
    covered: float
    reach_m: float
    turn: float


def test_an_effect_that_is_added_says_its_quantities(monkeypatch):
    monkeypatch.setattr("synth.degradations.base.REGISTRY", dict(REGISTRY))

    class LensFlare(Degradation[FlareParams]):
        name = "lens_flare"
        stage = Stage.OPTICS
        quantities: ClassVar[Mapping[str, Quantity]] = {
            "stops": Quantity(0, 4, "stops", strength=True),
            "ghost_px": Quantity(0, 50, "px"),
            "side": Quantity(-1, 1, "left or right", choices=(-1, 1)),
            "covered": Quantity(0, 1, "share of the picture"),
            "reach_m": Quantity(0, 9000, "m"),
            "turn": Quantity(0, 360, "degrees"),
        }

        def draw(self, severity: float | None, view: View, rng: Generator, fixed: Mapping[str, float]) -> FlareParams:
            return FlareParams(1.2, 8, 1, 0.25, 2500, 30)

        def apply(self, image: NDArray[Any], params: FlareParams, view: View) -> NDArray[Any]:
            return image

    said = LensFlare.in_words(asdict(LensFlare().draw(None, view(photograph()), np.random.default_rng(), {})))
    assert said == "lens flare, 1.2 stops, ghost 8 px, right, covered 25% of the picture, reach 2.5 km, turn 30°"
    assert LensFlare.in_words({"stops": 0.0, "ghost_px": 0.0}) == "lens flare"  # what changes nothing is not said


def test_an_augmenter_says_its_name_and_plain_arguments():
    said = Imgaug.in_words({"name": "MotionBlur", "arguments": {"k": 5, "angle": [0, 90]}, "seed": 4})
    assert said == "MotionBlur (imgaug), k 5"
    assert Imgaug.in_words({"name": 7, "arguments": "?"}) == "7 (imgaug)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.0351, "0.035"),
        (1.0, "1"),
        (9.96, "10"),
        (24.6, "25"),
        (212.4, "212"),
        (12345, "12,300"),
        (-1.34, "-1.3"),
    ],
)
def test_numbers_have_two_or_three_digits_that_count(value, said):
    assert words.number(value) == said
