"""imgaug under this numpy, and the list of its augmenters that a recipe may name."""

import numpy as np
import pytest

from synth.degradations.imgaug_effect import ALLOWED, ImgaugParams, augment, check_augmenter
from synth.degradations.imgaug_shim import load_imgaug
from synth.images.pixels import luma
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from tests.synth.displacement import bump, centre, displacement, texture
from tests.synth.helpers import photograph

MOVING = "Affine Fliplr Crop Resize PadToSquare ElasticTransformation PerspectiveTransform Rot90 Jigsaw"
OTHERS = "Lambda AssertLambda SaveDebugImageEveryNBatches JpegCompression Sequential Sometimes WithChannels RandAugment"


def alike(x, y):
    """How far the edges of one picture tell those of the other."""
    x, y = (np.hypot(*np.gradient(luma(picture).astype(float))) for picture in (x, y))
    return np.corrcoef(x.ravel(), y.ravel())[0, 1]


def test_it_loads_and_leaves_numpy_alone():
    before = set(dir(np))
    imgaug = load_imgaug()
    assert set(dir(np)) == before
    assert imgaug.parameters.SimplexNoise().draw_samples((8, 8)).shape == (8, 8)


def test_every_allowed_augmenter_keeps_size_and_place_and_is_a_function_of_its_seed():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    image = photograph(64, 80)
    before = image.copy()
    for name in sorted(ALLOWED):
        for picture in (image, image[:, :, 1]):
            once, again = (augment(picture, ImgaugParams(name, {}, 7)) for _ in range(2))
            assert np.array_equal(once, again), name
            assert once.shape == picture.shape, name
            assert once.dtype == np.uint8, name
            assert not np.shares_memory(once, picture), name
        out = augment(image, ImgaugParams(name, {}, 7))
        turned = [image[:, ::-1], image[::-1]]
        assert alike(out, image) > 2 * max(alike(out, np.ascontiguousarray(other)) for other in turned), name
    assert np.array_equal(image, before)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


STRENGTHS: dict[str, list[dict]] = {
    "AverageBlur": [{"k": k} for k in (2, 3, 8, 15, 24)] + [{"k": (2, 9)}],
    "AveragePooling": [{"kernel_size": k} for k in (2, 5, 7, 12)] + [{"kernel_size": (2, 12)}],
    "BilateralBlur": [{"d": d} for d in (3, 8, 15)],
    "GaussianBlur": [{"sigma": 3.0}],
    "MedianBlur": [{"k": 3}, {"k": 11}, {"k": (3, 9)}],
    "MotionBlur": [{"k": k} for k in (3, 8, 15, 25)] + [{"k": (3, 20)}, {"k": 15, "angle": 30.0}],
    "Sharpen": [{"alpha": 1.0, "lightness": 1.0}],
}  # of those that mix a pixel with its neighbours


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_no_augmenter_on_the_list_moves_the_picture(name):
    """By the peak of the correlation of a texture of two levels, and for what blurs by the centre of gravity."""
    for colour, (height, width) in ((True, (96, 129)), (False, (127, 96))):
        before = texture(height, width, colour)
        for seed in range(3):
            after = augment(before, ImgaugParams(name, {}, seed))
            assert displacement(before, after) < 0.3, (name, seed)  # drops and clouds lie on it: up to 0.2
    for arguments in STRENGTHS.get(name, []):
        for height, width in ((127, 127), (128, 129)):
            for seed in range(3):
                before = bump(height, width)
                after = augment(before, ImgaugParams(name, arguments, seed))
                assert np.hypot(*(centre(after) - centre(before))) < 0.15, (name, arguments, seed)


@pytest.mark.parametrize(("name", "arguments"), [("Emboss", {}), ("AverageBlur", {"k": 8}), ("MotionBlur", {"k": 15})])
def test_imgaugs_own_move_it(name, arguments):
    """So the test above can fail: without what stands around them these are off by half a pixel and more."""
    augmenter, before = getattr(load_imgaug().augmenters, name)(**arguments), bump(128, 129)
    moved = []
    for seed in range(6):
        augmenter.seed_(seed)
        moved.append(np.hypot(*(centre(augmenter(image=before)) - centre(before))))
    assert max(moved) > 0.4


def test_an_argument_that_would_move_the_picture_is_refused():
    with pytest.raises(ValueError, match="stays in its place; leave it out"):
        check_augmenter("MotionBlur", {"direction": 1.0})


def test_another_seed_gives_another_picture():
    image = photograph(64, 80)
    for name in ("Rain", "AdditiveGaussianNoise", "Fog"):
        arguments = {"scale": 20.0} if name == "AdditiveGaussianNoise" else {}
        first, second = (augment(image, ImgaugParams(name, arguments, seed)) for seed in (1, 2))
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", [*MOVING.split(), *OTHERS.split(), "imread", "__init__"])
def test_what_moves_pixels_touches_files_or_calls_code_is_refused(name):
    with pytest.raises(ValueError, match="not on the list") as caught:
        check_augmenter(name, {})
    assert "\n" not in str(caught.value)


def test_a_near_miss_is_told():
    with pytest.raises(ValueError, match="did you mean 'Rain'"):
        check_augmenter("rain", {})
    with pytest.raises(ValueError, match=r"imgaug.args.sped: Rain has no such argument; did you mean 'speed'"):
        check_augmenter("Rain", {"sped": 0.1})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Rain", {"speed": "fast"}),
        ("Rain", {"speed": [0.3, 0.1]}),
        ("Rain", {"speed": [0.1, 0.2, 0.3]}),
        ("Rain", {"speed": float("nan")}),
        ("Rain", {"nb_iterations": 1000}),
        ("Rain", {"seed": 3}),
        ("MotionBlur", {"k": 100_000}),
        ("AveragePooling", {"keep_size": False}),
        ("GaussianBlur", {"sigma": -3.0}),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_one_line(name, arguments):
    with pytest.raises(ValueError, match="imgaug") as caught:
        check_augmenter(name, arguments)
    assert "\n" not in str(caught.value)


def test_a_list_of_two_is_a_range_from_which_imgaug_draws():
    assert check_augmenter("Rain", {"speed": [0.1, 0.3]}) == {"speed": (0.1, 0.3)}
    image = np.full((32, 32, 3), 100, np.uint8)
    arguments = check_augmenter("Add", {"value": [-50, 50]})
    levels = {int(augment(image, ImgaugParams("Add", arguments, seed))[0, 0, 0]) for seed in range(12)}
    assert len(levels) > 6
    assert 50 <= min(levels) <= max(levels) <= 150


def recipe(*imgaug: dict, **kinds: float) -> Recipe:
    data = {
        "name": "t",
        "task": "mef",
        "samples": 6,
        "sources": [{"builtin": "bracketed"}],
        "crop": {"size": 48},
        "degradations": {"always": ["haze", *({"imgaug": entry} for entry in imgaug)]},
        "instructions": {"kinds": kinds or {"general": 1}},
    }
    return Recipe.model_validate(data)


RAIN = {"name": "Rain", "args": {"speed": [0.1, 0.3]}, "as": "rain", "stage": "scene"}


def test_a_recipe_names_augmenters_and_the_record_says_what_they_were_given():
    plan = make_plan(recipe(RAIN, {"name": "Add", "args": {"value": [-20, 20]}, "images": "a"}))
    record = render(plan, 0).record
    fell = [(entry["effect"], entry["image"], entry["params"].get("name")) for entry in record["degradations"]]
    both = [("haze", "a", None), ("haze", "b", None), ("imgaug", "a", "Rain"), ("imgaug", "b", "Rain")]
    assert fell == [*both, ("imgaug", "a", "Add")]
    seeds = [entry["params"]["seed"] for entry in record["degradations"] if entry["params"].get("name") == "Rain"]
    assert seeds[0] != seeds[1], "a draw each"
    assert render(plan, 0).record == record


def test_as_names_an_augmenter_for_the_instructions():
    from tests.synth.instructions.test_instructions import read

    plan = make_plan(recipe(RAIN, full=1))
    assert all(read(render(plan, index).record["instruction"]) == {"haze", "rain"} for index in range(6))
    with pytest.raises(ValueError, match=r"no phrase names imgaug.Rain"):
        recipe({"name": "Rain"}, full=1)


def test_the_resolved_recipe_holds_the_augmenter():
    data = recipe(RAIN).resolved()
    for part in data["tasks"].values():
        for source in part["sources"]:
            del source["kind"]
    assert Recipe.model_validate(data) == recipe(RAIN)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "imgaug.name: missing"),
        ({"name": "Rain", "arguments": {}}, "imgaug.arguments: unknown key; did you mean 'args'"),
        ({"name": "Rain", "stage": "sky"}, "imgaug.stage: 'sky' must be one of codec, optics"),
        ({"name": "Rain", "args": [1]}, "imgaug.args: \\[1\\] must be"),
        ({"name": "Affine"}, "imgaug.name: 'Affine' is not on the list"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(entry, message):
    with pytest.raises(ValueError, match=message):
        recipe(entry)
