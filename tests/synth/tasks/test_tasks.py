"""A task is an object: what others may say of their pairs, and what of it a sample follows."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from synth.degradations.settings import parse_effect
from synth.images.pixels import Floats
from synth.instructions.intent import places
from synth.instructions.phrases import EVERYWHERE, PLACES, WHO
from synth.sample.render import render
from synth.scene.backdrop import Backdrop
from synth.scene.capture import INFRARED, Capture
from synth.targets.gradient import Choices, Lumas, Pictures
from synth.tasks import TASKS, Task
from tests.synth.helpers import bracket_folder, photograph, plan, shot


class Rules:
    """How its pairs are fused: half of each gradient, the light of the second."""

    name, title, screening = "odd", "odd", 0.05

    def choose(self, pictures: Pictures) -> Choices:
        half = np.full(pictures["a"].shape[:2], 0.5, np.float32)
        return Choices({"a": half, "b": half}, half)

    def intensity(self, pictures: Pictures, lumas: Lumas, lean: Floats) -> tuple[Floats, Floats]:
        return pictures["b"].astype(np.float32) / np.float32(255), lumas["b"]


def task(capture: Capture, words: Mapping[str, tuple[str, ...]] | None = None) -> Task:
    """A task of a stranger's, called `odd`; it may have no words."""
    type("Odd", (Rules, Task), {"capture": capture} | ({} if words is None else {"words": words}))
    return TASKS["odd"]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """The registry as it was."""
    before = dict(TASKS)
    yield
    TASKS.clear()
    TASKS.update(before)


CAPTURES = {
    "two infrared images": Capture({"a": INFRARED, "b": INFRARED}, simultaneous=True),
    "infrared first": Capture({"a": INFRARED, "b": "visible"}, simultaneous=True),
    "a bracket at once": Capture({"a": "under", "b": "over"}, simultaneous=True, bracketed=True),
}


@pytest.mark.parametrize("capture", CAPTURES.values(), ids=CAPTURES)
@pytest.mark.parametrize("words", [None, {"b": ("in the odd one",)}])
def test_a_task_of_two_images_of_any_kind_gives_samples(tmp_path, capture, words):
    task(capture, words)
    recipe = {
        "task": "odd",
        "sources": [{"folder": str(bracket_folder(tmp_path))}],
        "degradations": {"always": [{"haze": {"images": "a"}}, {"noise": {"images": "b"}}, "stripes"]},
        "instructions": {"kinds": {"full": 0.4, "partial": 0.4, "keep": 0.2}},
    }
    chosen = plan(**recipe)
    for index in range(6):
        record = render(chosen, index).record
        assert {name: image["modality"] for name, image in record["images"].items()} == capture.modalities


def test_a_place_without_words_of_the_task_is_the_first_or_the_second_image():
    odd = task(CAPTURES["two infrared images"], {"b": ("in the odd one",)})
    assert places({"a"}, odd, ()) == (PLACES[0], ("the first image", "the first picture", *WHO[0]), False)
    where, subjects, everywhere = places({"b"}, odd, ())
    assert (where, everywhere) == (("in the odd one", *PLACES[1]), False)
    assert subjects[0] == "the odd one"
    assert places({"a", "b"}, odd, ()) == (EVERYWHERE, (), True)


@pytest.mark.parametrize(("colour", "said"), [(["a"], True), ([], False)])
def test_an_image_is_called_a_colour_photo_where_it_has_colour(colour, said):
    where, subjects, _ = places({"a"}, TASKS["vif"], colour)
    for words in (where, subjects):
        assert any("colour" in word or "RGB" in word for word in words) == said
        assert any("visible" in word for word in words)


@pytest.mark.parametrize(
    ("of", "on"), [("two infrared images", ["a", "b"]), ("infrared first", ["a"]), ("a bracket at once", ["a", "b"])]
)
def test_stripes_fall_on_every_infrared_image_and_on_all_where_there_is_none(of, on):
    task(CAPTURES[of])
    grey = photograph(48, 48, False)
    assert [item.image for item in shot("odd", grey, grey).draw([parse_effect("stripes")])] == on


def test_an_infrared_image_does_not_tell_of_the_light_where_another_can():
    dark, bright = np.full((40, 40), 20, np.uint8), np.full((40, 40, 3), 200, np.uint8)
    first = Backdrop(CAPTURES["infrared first"], {"a": dark, "b": bright}).light
    assert first.white == Backdrop(TASKS["vif"].capture, {"a": bright, "b": dark}).light.white
    assert Backdrop(CAPTURES["two infrared images"], {"a": dark, "b": dark}).light.white < first.white


@pytest.mark.parametrize("names", [("a",), ("b", "a"), ("a", "c")])
def test_a_task_whose_images_a_shard_cannot_hold_is_refused(names):
    with pytest.raises(TypeError, match=f"task 'odd' has the images {', '.join(names)}; shards hold a, b"):
        task(Capture(dict.fromkeys(names, "grey"), simultaneous=True))
    assert "odd" not in TASKS
