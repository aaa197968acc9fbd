"""Recipes: what is accepted, and one line for what is not."""

from pathlib import Path

import pytest
import yaml

from synth.errors import UserError
from synth.pairs.source import sources
from synth.recipe.file import find_recipe, load_recipe
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.plan import make_plan
from synth.sample.render import render

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

SHIPPED = sorted((Path(__file__).parents[3] / "recipes").glob("*.yaml"))


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return load_recipe(path)


ONE_OF = f"a source is one of {', '.join(sources())}: name just one of them"
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
    ("task: mef", "task: mfe", "task: no task 'mfe'; did you mean 'mff'?"),
    (
        "{size: 64}",
        "{size: 64, scale: [0.5, 2]}",
        "crop: scale: [0.5, 2.0] must be [low, high] with 0 < low <= high <= 1",
    ),
    ("{size: 64}", "{size: 64, flop: true}", "crop.flop: unknown key; did you mean 'flip'?"),
    ("task: mef", "task: mef\ndata: {splt: train}", "data.splt: unknown key; did you mean 'split'?"),
    (
        "task: mef",
        "task: mef\ninstructions: {emphasis: {weight: 1}}",
        "instructions.emphasis.weight: unknown key; known: amount, share",
    ),
    ("{builtin: bracketed}", "{builtin: refocused}", "builtin refocused makes mff pairs, not mef"),
    (
        "{builtin: bracketed}",
        "{builtin: braketed}",
        "sources[0].builtin: no built-in source 'braketed'; did you mean 'bracketed'?",
    ),
    ("{builtin: bracketed}", "{}", f"sources[0]: {ONE_OF}"),
    (
        "{builtin: bracketed}",
        "{builtin: bracketed, folder: x}",
        ONE_OF,
    ),
    ("{builtin: bracketed}", "5", f"sources[0]: {ONE_OF}"),
    ("bracketed", "bracketed, splt: test", "sources[0].splt: unknown key; did you mean 'split'?"),
    ("bracketed", "bracketed, held_out: 0.2", "sources[0].held_out: unknown key; known: builtin, split, weights"),
    ("builtin: bracketed", "folder: x, lisence: CC0", "sources[0].lisence: unknown key; did you mean 'licence'?"),
    ("builtin: bracketed", "folder: x, held_out: 2", "sources[0].held_out: Input should be less than 1 (it is 2)"),
    ("builtin: bracketed", "folder: x, weights: {y: 0}", "sources[0]: weights must be above 0 and 1e+06 at most"),
    ("builtin: bracketed", "folder: null", "sources[0].folder: None must be a path or a URL"),
    ("builtin: bracketed", "folder: [x]", "sources[0].folder: ['x'] must be a path or a URL"),
    ("builtin: bracketed", "manifest: 3", "sources[0].manifest: Input should be a valid string (it is 3)"),
    ("name: test", "name: ../test", "name: String should match pattern"),
    ("crop:", "target: mertens\ncrop:", "target"),
    ("crop:", "instructions: {kinds: {full: 0.5}}\ncrop:", "kinds: shares from 0 that sum to 1, not to 0.5"),
    ("always: [haze: {severity: [0.2, 0.9]}]", "always: []", "degradations of mef may leave a sample with none"),
    ("name: test", "name: [", "not YAML"),
    ("seed: 1", "seed: 1\nseed: 2", "seed stands twice"),
    ("samples: 10", "samples: 2024-13-45", "not YAML"),
    ("samples: 10", "samples: true", "samples: Input should be a valid integer"),
    ("task: mef", "task: [mef]", "task: ['mef'] must be one of mef, mff, vif"),
    ("task: mef", "task: mef\ntasks: {}", "give task, or tasks, not both"),
    ("[haze: {severity: [0.2, 0.9]}]", "[{1: 2}]", "unknown effect 1"),
    ("{0: 0.5, 1: 0.5}", "{0: 0.5, 1: 1.0e308}", "each with its weight, from 0 to 1e+06"),
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
    "name", ["mef_haze", "mef_haze.yaml", str(Path(__file__).parents[3] / "recipes/mef_haze.yaml")]
)
def test_a_recipe_is_found_by_path_and_by_name(name):
    assert load_recipe(find_recipe(name)).name == "mef_haze"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_recipe_that_ships_is_valid_and_named_after_its_file(path):
    assert load_recipe(path).name == path.stem


def laughs(levels: int) -> str:
    """Ten aliases of ten aliases of …: a few lines that would fill any memory."""
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


MERGES = "x0: &x0 {k0: 1}\n" + "".join(f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}]}}\n" for n in range(1, 12))
HOSTILE = {
    "billion laughs": (laughs(12), "more than 20000 values, its aliases written out"),
    "a billion merges": (MERGES, "more than 20000 values, its aliases written out"),
    "an alias of itself": ("x: &x [*x]\n", "an alias stands inside of what it names"),
    "deep lists": ("x: " + "[" * 60 + "]" * 60 + "\n", "more than 24 deep"),
    "deeper lists": ("x: " + "[" * 30_000 + "\n", "not YAML"),
    "many values": ("x: [" + "1, " * 21_000 + "1]\n", "more than 20000 values"),
    "a large file": ("# " + "x" * 70_000 + "\n", "over 64 KB; a recipe is a page or two"),
    "an object of Python": ("x: !!python/object/apply:os.system ['true']\n", "not YAML"),
    "a module of Python": ("x: !!python/module:os\n", "not YAML"),
    "a huge number": ("samples: 1" + "0" * 5000 + "\n", "not YAML"),
    "many keys": ("x: {" + ", ".join(f"k{n}: 1" for n in range(4000)) + "}\n", "x: unknown key"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once_in_one_line(tmp_path, name):
    text, message = HOSTILE[name]
    with pytest.raises(UserError) as caught:
        load(tmp_path, text + BASE.replace("samples: 10\n", "" if text.startswith("samples") else "samples: 10\n"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_aliases_of_a_sane_size_are_fine(tmp_path):
    text = BASE.replace("always: [haze: {severity: [0.2, 0.9]}]", "always: &some [haze: {severity: [0.2, 0.9]}]")
    assert load(tmp_path, text) == load(tmp_path, BASE)


def test_a_recipe_that_never_ends_is_not_read_to_its_end():
    with pytest.raises(UserError, match="over 64 KB"):
        load_recipe(Path("/dev/zero"))


def test_sizes_are_bounded(tmp_path):
    for old, new in (
        ("samples: 10", "samples: 100000000000"),
        ("samples: 10", "samples: 10\nsamples_per_shard: 10000000"),
        ("{size: 64}", "{size: 100000}"),
        ("sources:", "instructions: {kinds: {full: 1.0}, per_pair: 100000}\nsources:"),
    ):
        with pytest.raises(UserError, match="less than or equal"):
            load(tmp_path, BASE.replace(old, new))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_one_sample_of_every_task_of_every_recipe_renders(path):
    plan = make_plan(load_recipe(path, {"samples": 1000}))
    wanted = set(plan.recipe.tasks)
    for index in range(1000):
        if not wanted:
            break
        task = draft(plan, index).task
        if task in wanted:
            size = plan.recipe.crop.size
            assert render(plan, index).target.shape[:2] == (size, size)
            wanted.remove(task)
    assert not wanted


def test_a_merge_of_a_merge_is_no_key_twice(tmp_path):
    haze = "{x: &b {<<: &a {severity: 0.5, images: both}, severity: 0.2}}"
    text = BASE.replace("haze: {severity: [0.2, 0.9]}", f"haze: {haze}")
    with pytest.raises(UserError, match=r"haze\.x: unknown key"):  # and not: severity stands twice
        load(tmp_path, text + "\nseed2: {<<: *b, images: any}\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_recipes_of_other_editors_are_read(tmp_path, encoding):
    path = tmp_path / "r.yaml"
    path.write_bytes(BASE.replace("\n", "\r\n").encode(encoding))
    assert load_recipe(path) == load(tmp_path, BASE)
