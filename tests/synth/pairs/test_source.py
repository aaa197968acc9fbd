"""What holds for every source of pairs: a new one is tested with no new line."""

import json
from typing import ClassVar

import pytest

from synth.dataset.card import as_recipe
from synth.errors import UserError
from synth.pairs.files import FilePair, as_columns
from synth.pairs.folder import FolderSource
from synth.pairs.given import source_at
from synth.pairs.manifest import ManifestSource
from synth.pairs.source import FileSource, parse_source, sources, with_placeholder
from synth.recipe.file import load_recipe
from synth.recipe.schema import Recipe
from tests.synth.helpers import DATA, bracket_folder

PLACES = sorted(kind for kind, source in sources().items() if source.placeholder is not None)


def test_a_source_is_registered_by_its_kind_and_what_several_share_is_none():
    before = sources()
    assert before["folder"] is FolderSource
    assert FileSource not in before.values()
    with pytest.raises(TypeError, match="two sources are called 'folder'"):
        type("Another", (FolderSource,), {"__module__": __name__})
    with pytest.raises(TypeError, match="Elsewhere has no field 'elsewhere', which is its kind"):
        type("Elsewhere", (FolderSource,), {"__module__": __name__, "kind": "elsewhere"})
    assert sources() == before


@pytest.mark.parametrize(("kind", "value"), [*((kind, "here/pairs") for kind in PLACES), ("builtin", "bracketed")])
def test_a_resolved_source_tells_no_place_and_makes_a_source_again(kind, value):
    source = parse_source({kind: value, "split": "test", "weights": {"x": 2}})
    resolved = source.resolved()
    assert (resolved["kind"], resolved["split"], resolved["weights"]) == (kind, "test", {"x": 2})
    assert json.loads(json.dumps(resolved)) == resolved
    assert "here" not in str(resolved)
    again = parse_source(with_placeholder(resolved))
    assert type(again) is type(source)
    assert again.resolved() == resolved


def test_a_source_that_this_installation_lacks_is_a_word_in_the_card():
    data = Recipe.model_validate(DATA).resolved()
    data["tasks"]["mef"]["sources"] = [{"kind": "drawer", "split": "all"}]
    assert as_recipe(data)["tasks"]["mef"]["sources"] == [{"drawer": "drawer", "split": "all"}]


def test_a_mistake_in_one_of_several_tasks_is_located_without_the_kind(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "{name: t, samples: 2, tasks: {mef: {sources: [{builtin: bracketed}, {manifest: x.csv, betta: 1}], "
        "degradations: {always: [haze]}}}}"
    )
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    known = "align, depth_kind, follow_links, held_out, held_out_val, licence, manifest, split, weights"
    assert str(caught.value) == f"{path}: tasks.mef.sources[1].betta: unknown key; known: {known}"


def test_data_keeps_the_weights_of_all_sources_and_the_settings_of_the_first_of_files(tmp_path):
    pairs = bracket_folder(tmp_path / "mef")
    settings = {"split": "test", "held_out": 0.3, "depth_kind": "inverse", "align": True, "licence": "CC0"}
    written = [
        {"builtin": "bracketed", "split": "test", "weights": {"x": 1}},
        {"manifest": "x.csv", "weights": {"y": 2}, **settings},
        {"folder": "z", "licence": "other", "weights": {"z": 3}},
    ]
    replaced = [parse_source(source) for source in written]
    weights = {"x": 1, "y": 2, "z": 3}
    assert source_at(tmp_path, "mef", replaced) == FolderSource(folder=pairs, weights=weights, **settings)
    assert source_at(pairs, "mef", replaced[:1]) == FolderSource(folder=pairs, weights={"x": 1})
    table = source_at("y.csv", "mef", replaced)
    assert table == ManifestSource(manifest="y.csv", weights=weights, **settings)
    with pytest.raises(UserError, match=r"^--data .*nowhere: no such folder$"):
        source_at(tmp_path / "nowhere", "mef", replaced)


def test_a_kind_of_pair_that_builds_on_files_is_not_packed_into_their_columns(tmp_path):
    class Turned(FilePair):
        turned: ClassVar[bool] = True

    plain = FilePair("mef", "d", "s", "CC0", (tmp_path / "a.png", tmp_path / "b.png"))
    turned = Turned("mef", "d", "t", "CC0", (tmp_path / "a.png", tmp_path / "b.png"))
    assert list(as_columns([plain, plain])) == [plain, plain]
    assert as_columns([plain, turned]) == (plain, turned)
