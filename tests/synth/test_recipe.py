"""Recipes: what is accepted, and one line for what is not."""

from pathlib import Path

import pytest
import yaml

from synth.errors import UserError
from synth.recipe import Recipe
from synth.recipe_file import find_recipe, load_recipe

BASE = """
name: test
task: mef
seed: 1
samples: 10
sources: [{builtin: bracketed}]
crop: {size: 64}
degradations:
  always: [haze: {severity: [0.2, 0.9]}]
  some: {count: {0: 0.5, 1: 0.5}, of: [noise: {sigma: [5, 25], images: any}, jpeg]}
"""


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return load_recipe(path)


MISTAKES = [
    ("haze: {severity", "haze: {betta", "degradations.always[0].haze.betta: unknown key; known: images, severity"),
    ("haze: {severity: [0.2, 0.9]", "haze: {severty: 0.2", "haze.severty: unknown key; did you mean 'severity'?"),
    ("severity: [0.2, 0.9]", "severity: [0.9, 0.2]", "haze.severity: [0.9, 0.2] must lie in [0, 1], low first"),
    ("severity: [0.2, 0.9]", "severity: [0.2, 1.9]", "haze.severity: [0.2, 1.9] must lie in [0, 1]"),
    ("severity: [0.2, 0.9]", "severity: thick", "haze.severity: 'thick' must be a number or [low, high]"),
    ("haze: {severity: [0.2, 0.9]}", "haxe", "unknown effect 'haxe'; did you mean 'haze'?"),
    ("sigma: [5, 25]", "sigma: [5, 2500]", "noise.sigma: [5, 2500] must lie in [0.1, 100] grey levels"),
    ("sigma: [5, 25]", "sigma: 5, severity: 0.3", "noise: severity and sigma both set the strength; give one of them"),
    ("images: any", "images: c", "noise.images: 'c' must be one of a, b, any, both, shared"),
    ("of: [noise", "of: [haze, noise", "haze is listed twice"),
    ("{0: 0.5, 1: 0.5}", "{3: 1}", "count: 3 effects asked for, of 2 that are listed"),
    ("seed: 1", "sede: 1", "sede: unknown key; did you mean 'seed'?"),
    ("samples: 10", "samples: 0", "samples: Input should be greater than or equal to 1 (it is 0)"),
    ("samples: 10", "", "samples: missing; every recipe needs it"),
    ("task: mef", "task: mfe", "task: Input should be 'vif', 'mef' or 'mff' (it is 'mfe')"),
    (
        "{size: 64}",
        "{size: 64, scale: [0.5, 2]}",
        "crop: scale: [0.5, 2.0] must be [low, high] with 0 < low <= high <= 1",
    ),
    ("{size: 64}", "{size: 64, flop: true}", "crop.flop: unknown key; did you mean 'flip'?"),
    ("{builtin: bracketed}", "{builtin: refocused}", "builtin refocused makes mff pairs, not mef"),
    ("{builtin: bracketed}", "{builtin: braketed}", "no built-in source 'braketed'; did you mean 'bracketed'?"),
    ("{builtin: bracketed}", "{}", "a source is one of folder, builtin"),
    ("name: test", "name: ../test", "name: String should match pattern"),
    ("crop:", "target: mertens\ncrop:", "target"),
    ("crop:", "instructions: {kinds: {full: 0.5}}\ncrop:", "kinds: shares from 0 that sum to 1, not to 0.5"),
    ("always: [haze: {severity: [0.2, 0.9]}]", "always: []", "degradations of mef may leave a sample with none"),
    ("name: test", "name: [", "not YAML"),
    ("seed: 1", "seed: 1\nseed: 2", "seed stands twice"),
    ("samples: 10", "samples: 2024-13-45", "not YAML"),
    ("samples: 10", "samples: true", "samples: Input should be a valid integer"),
    ("task: mef", "task: [mef]", "task: ['mef'] must be vif, mef or mff"),
    ("task: mef", "task: mef\ntasks: {}", "give task, or tasks, not both"),
    ("[haze: {severity: [0.2, 0.9]}]", "[{1: 2}]", "unknown effect 1"),
    ("{0: 0.5, 1: 0.5}", "{0: 0.5, 1: 1.0e308}", "each with its share, 1e+06 at most"),
    ("crop:", "target: []\ncrop:", "target: Value should have at least 1 item"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[f"{old} becomes {new}" for old, new, _ in MISTAKES])
def test_a_mistake_is_one_line_that_says_where_and_what(tmp_path, old, new, message):
    assert old in BASE
    with pytest.raises(UserError) as caught:
        load(tmp_path, BASE.replace(old, new, 1))
    text = str(caught.value)
    assert message in text
    assert "r.yaml" in text
    assert "\n" not in text


def test_a_wrong_target_names_those_that_fit(tmp_path):
    with pytest.raises(UserError, match="target exposure is not for vif; it takes given, gradient"):
        load(
            tmp_path, BASE.replace("task: mef", "task: vif\ntarget: exposure").replace("bracketed", "synthetic_thermal")
        )


def test_the_resolved_recipe_is_a_recipe(tmp_path):
    recipe = load(tmp_path, BASE)
    data = recipe.resolved()
    for part in data["tasks"].values():
        for source in part["sources"]:
            del source["kind"]
    assert Recipe.model_validate(data) == recipe
    assert Recipe.model_validate(yaml.safe_load(yaml.safe_dump(data))).hash() == recipe.hash()


def test_one_task_at_the_top_is_short_for_tasks(tmp_path):
    long = yaml.safe_load(BASE)
    inner = {key: long.pop(key) for key in ("sources", "degradations")}
    long["tasks"] = {long.pop("task"): inner}
    assert load(tmp_path, yaml.safe_dump(long)) == load(tmp_path, BASE)


def test_the_hash_does_not_know_the_number_of_samples_or_a_path(tmp_path):
    here, there = (BASE.replace("{builtin: bracketed}", f"{{folder: {name}}}") for name in ("x", "y"))
    assert load(tmp_path, here).hash() == load(tmp_path, there.replace("samples: 10", "samples: 99")).hash()
    assert load(tmp_path, here).hash() != load(tmp_path, here.replace("seed: 1", "seed: 2")).hash()
    assert "folder" not in str(load(tmp_path, here).resolved()["tasks"]["mef"]["sources"][0].keys())


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UserError, match=r"mef_hase: no such recipe; did you mean 'mef_haze'\?"):
        find_recipe("mef_hase")


@pytest.mark.parametrize(
    "name", ["mef_haze", "mef_haze.yaml", str(Path(__file__).parents[2] / "recipes/mef_haze.yaml")]
)
def test_a_recipe_is_found_by_path_and_by_name(name):
    assert load_recipe(find_recipe(name)).name == "mef_haze"


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_that_ships_is_valid_and_named_after_its_file(path):
    assert load_recipe(path).name == path.stem
