"""The neutral sentence names what a record holds, whatever its own instruction asks."""

from typing import Any

import pytest

from synth import describe
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.draft import draft
from synth.sample.inputs import asked_of
from synth.sample.plan import make_plan
from tests.synth.helpers import drawn_for
from tests.synth.instructions.reading import read


def entry(effect: str, image: str, severity: float | None = 0.5, **more: Any) -> dict[str, Any]:
    return {"effect": effect, "image": image, "severity": severity, "asked": "remove", "params": {}, **more}


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([], "fuse the two images"),
        ([entry("haze", "a"), entry("haze", "b")], "remove the haze and fuse the images"),
        ([entry("noise", "a", 0.0)], "fuse the two images"),
        ([entry("stripes", "b", None)], "remove the stripes in the second image and fuse the images"),
        ([entry("noise", "a"), entry("sensor_noise", "b")], "remove the noise and fuse the images"),
        (
            [entry("exposure", "a", way="dark"), entry("snow", "b")],
            "remove the darkness in the first image and remove the snow in the second image and fuse the images",
        ),
    ],
)
def test_the_sentence_of_a_record(entries, wanted):
    assert describe({"degradations": entries}) == wanted


def test_it_names_all_effects_and_does_not_depend_on_what_is_asked():
    plan = make_plan(load_recipe(find_recipe("all_in_one")))
    for index in range(300):
        drawn = draft(plan, index)
        plain = drawn_for(drawn, plan.recipe.seed)
        asked = asked_of(plain, drawn.intent)
        said = describe({"degradations": [item.to_record() for item in asked]})
        assert said == describe({"degradations": [item.to_record() for item in plain]})
        assert read(said) == {item.degradation.said_as for item in plain}
