"""What editors check a recipe and a config by: it takes what the programs take, and refuses what they refuse."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from synth.degradations import effects
from synth.pairs.source import sources
from synth.recipe.json_schema import recipe_schema
from synth.tasks import TASKS
from tests.conftest import ROOT
from tests.synth.recipe.test_recipe import BASE, MISTAKES
from trainer.config import Config

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
PRESETS = sorted((ROOT / "trainer/configs").glob("*.yaml"))
ACROSS = (
    "listed twice",
    "are listed",
    "kinds: shares",
    "may leave a sample with none",
    "not YAML",
    "stands twice",
    "low first",
)
"""What no schema can tell, by the message of the program: what must fit together, and what is no YAML."""


def as_json(text: str) -> Any:
    """YAML as an editor sees it: keys are texts."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.fixture(scope="module")
def recipe() -> Draft7Validator:
    Draft7Validator.check_schema(recipe_schema())
    return Draft7Validator(recipe_schema())


@pytest.fixture(scope="module")
def config() -> Draft202012Validator:
    schema = Config.model_json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_that_ship_are_accepted(recipe, path):
    assert [error.message for error in recipe.iter_errors(as_json(path.read_text(encoding="utf-8")))] == []


TOLD = [mistake for mistake in MISTAKES if not any(part in mistake[2] for part in ACROSS)]


def test_what_a_schema_cannot_tell_is_little():
    assert len(TOLD) > 2 * len(MISTAKES) // 3


@pytest.mark.parametrize(("old", "new"), [mistake[:2] for mistake in TOLD], ids=[mistake[2] for mistake in TOLD])
def test_mistakes_of_a_recipe_are_refused(recipe, old, new):
    assert recipe.is_valid(as_json(BASE))
    assert not recipe.is_valid(as_json(BASE.replace(old, new, 1)))


@pytest.mark.parametrize(
    "text",
    [
        "always: [haze, rain: 0.5, noise: {sigma: 25}, snow: [0.1, 0.4], jpeg: {quality: [20, 60], images: a}, blur: ]",
        "always: [imgaug: {name: Rain, args: {speed: [0.1, 0.3]}, as: rain, stage: scene, images: both}]",
        "{always: [haze], order: {stage: 0.8, shuffled: 0.2}, curves: {srgb: 1, hdrps: 1}, indoor: flagged}",
    ],
)
def test_an_effect_may_be_written_in_every_way_that_the_tool_takes(recipe, text):
    from synth.recipe.schema import Degradations

    written = yaml.safe_load(text)
    Degradations.model_validate(written)
    assert recipe.is_valid(as_json(BASE) | {"degradations": as_json(text)})


def test_a_target_is_one_that_the_task_knows(recipe):
    several = {"name": "x", "samples": 1, "tasks": {"vif": {"sources": [{"folder": "x"}], "target": "exposure"}}}
    assert recipe.is_valid(as_json(BASE) | {"target": ["given", "exposure"]})
    assert not recipe.is_valid(several)
    assert not recipe.is_valid(as_json(BASE) | {"task": "vif", "target": "exposure"})
    assert not recipe.is_valid(several | {"sources": [{"folder": "x"}]})


def test_every_key_is_told_and_every_name_is_offered():
    schema = recipe_schema()
    untold = [
        f"{part}.{key}"
        for part, inner in {"": schema, **schema["$defs"]}.items()
        for key, value in inner.get("properties", {}).items()
        if "$ref" not in value and not value.get("description")
    ]
    assert untold == []
    text = json.dumps(schema)
    assert "{}" not in text, "something is left open"
    assert "prefixItems" not in text, "a word that not all editors read"
    for names, kind in ((effects(), "effect"), (sources(), "source"), (TASKS, "task")):
        assert {f"{kind}-{name}" for name in names} <= set(schema["$defs"])
    assert set(effects()) <= set(schema["$defs"]["effect"]["anyOf"][0]["enum"])


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_accepted(config, path):
    written = {"name": path.stem} | as_json(path.read_text(encoding="utf-8"))
    assert [error.message for error in config.iter_errors(written)] == []


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("optimiser", "adamw"),
        ("training", {"samples": 10, "batch_size": 4, "lr": 0, "ema_half_life": 5}),
        ("training", {"samples": 10, "batch_size": 4, "lr": 1e-3, "ema_half_life": 5, "schedule": "linear"}),
        ("objective", {"kind": "diffusion"}),
        ("model", {"width": 64, "depht": 2}),
    ],
)
def test_mistakes_of_a_config_are_refused(config, key, wrong):
    written = {"name": "x"} | as_json((ROOT / "trainer/configs/tiny.yaml").read_text(encoding="utf-8"))
    assert config.is_valid(written)
    assert not config.is_valid(written | {key: wrong})


def test_the_commands_print_them(capsys):
    from synth.cli import schema as of_recipes
    from trainer.cli import schema as of_configs

    for command, schema in ((of_recipes, recipe_schema()), (of_configs, Config.model_json_schema())):
        command()
        printed = capsys.readouterr().out
        assert json.loads(printed) == schema
        assert str(ROOT) not in printed, "a path of this machine"
