"""What `--prompt auto` says is what `synth` teaches, without a word from one program to the other."""

import itertools

import pytest

from synth import describe
from synth.degradations.base import REGISTRY
from synth.instructions.phrases import PLACES, clauses, under
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.draft import draft
from synth.sample.plan import make_plan
from tests.synth.helpers import drawn_for
from trainer.inference.auto import Found, sentence, standard_clauses

AUTO = standard_clauses()


def known_as(name: str) -> str:
    """A name of the effect head as phrases.yaml has it."""
    effect, _, way = name.partition(".")
    said = REGISTRY[effect].said_as
    return f"{said}.ways.{way}" if way else said


@pytest.mark.parametrize("name", AUTO.effects)
def test_each_clause_is_an_order_for_its_effect_that_training_sees(name: str) -> None:
    known = {text.replace("{s}", "") for text in clauses(f"{known_as(name)}.request", "train").values()}
    assert AUTO.effects[name] in known


@pytest.mark.parametrize("effect", REGISTRY)
def test_every_effect_has_a_clause_for_each_of_its_ways(effect: str) -> None:
    try:
        ways = {known.rsplit(".", 1)[1] for known in under(f"{REGISTRY[effect].said_as}.ways")}
    except KeyError:
        ways = set()
    assert AUTO.effects.keys() >= ({f"{effect}.{way}" for way in ways} or {effect})


@pytest.mark.parametrize("recipe", ["all_in_one", "release"])
def test_the_neutral_sentence_of_a_record_is_what_auto_says_of_its_effects(recipe):
    """The head that guesses right says what `synth.describe` says, but for the order of what it is as sure of."""
    plan = make_plan(load_recipe(find_recipe(recipe)))
    said = set()
    for number in range(400):  # pairs: all of a group show the same effects
        drawn = draft(plan, number * plan.recipe.instructions.per_pair)
        entries = [item.to_record() for item in drawn_for(drawn, plan.recipe.seed)]
        found: dict[str, set[str]] = {}
        for entry in entries:
            way = f"{entry['effect']}.{entry.get('way')}"
            found.setdefault(way if way in AUTO.effects else entry["effect"], set()).add(entry["image"])
        guessed = [Found(name, tuple(sorted(images)), 1.0, 0.5) for name, images in found.items()]
        assert describe({"degradations": entries}) == sentence(guessed, AUTO)
        said.add(describe({"degradations": entries}))
    assert len(said) > 150


def test_what_joins_and_wraps_them_is_known_too() -> None:
    assert AUTO.joined[0] == "{0}"
    for count, joined in itertools.islice(enumerate(AUTO.joined, 1), 1, None):
        assert joined in under(f"join.{count}").values()
    assert AUTO.wrapped in under("wrap").values()
    assert AUTO.clean in clauses("clean", "train").values()
    assert AUTO.where["a"] in PLACES[0]
    assert AUTO.where["b"] in PLACES[1]
