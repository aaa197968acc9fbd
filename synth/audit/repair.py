"""`synth verify --repair`: the broken shards of a dataset, and its description, made again."""

from collections.abc import Collection
from typing import Any

from synth import console
from synth.audit.verify import Verdict
from synth.dataset.description import Standing, another, difference, metadata, read_dataset, survey, write_dataset
from synth.dataset.generate import FailureLimit, Run, generate
from synth.engines.local import LocalEngine
from synth.errors import UserError
from synth.recipe.file import find_recipe, load_recipe
from synth.sample.plan import Plan, make_plan
from synth.storage import Storage


def repair(
    storage: Storage, verdict: Verdict, recipe: str, data: str | None, workers: int, follow_links: bool | None = None
) -> None:
    """Take away the commit marks of the broken shards and generate what is missing; what is sound stays as it is.

    Raises UserError where the recipe and its pairs are not those of the dataset, before anything is touched.
    """
    described = _described(storage)
    plan = _plan(recipe, data, follow_links, described)
    with storage.claimed():
        _check(plan, storage, described is not None, verdict.broken)
        if described is None:
            write_dataset(plan, storage, [], complete=False)
        for stem in sorted(verdict.broken):
            storage.remove(f"{stem}.parquet")
        with console.run(plan, storage) as progress:
            generate(plan, storage, Run(LocalEngine(workers), progress, FailureLimit()))


def _described(storage: Storage) -> dict[str, Any] | None:
    """`dataset.json`, where it tells which dataset this is."""
    try:
        described = read_dataset(storage)
    except UserError:
        return None
    return described if described is not None and isinstance(described.get("recipe"), dict) else None


def _plan(recipe: str, data: str | None, follow_links: bool | None, described: dict[str, Any] | None) -> Plan:
    """The recipe with as many samples as the dataset has."""
    there = {} if described is None else described["recipe"]
    sizes = {key: there[key] for key in ("samples", "samples_per_shard") if isinstance(there.get(key), int)}
    return make_plan(load_recipe(find_recipe(recipe), sizes), data, follow_links)


def _check(plan: Plan, storage: Storage, described: bool, broken: Collection[str]) -> None:
    standing = survey(storage, plan.shards)
    sound = {stem: facts for stem, facts in standing.facts.items() if stem not in broken}
    if described:
        other = another(plan, storage, Standing(standing.sizes, sound), extend=False)
    elif not sound:
        other = f"{storage.url} has no sound shard that says what it was made from; generate it anew with --overwrite"
    else:
        found = (difference(facts.metadata, metadata(plan)) for facts in sound.values())
        other = next((f"{storage.url} holds another dataset: {what}" for what in found if what is not None), None)
    if other is not None:
        raise UserError(f"{other}; nothing was repaired")
