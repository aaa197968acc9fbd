"""The dataset card: what hubs and people read beside the shards."""

import json
import re
import tarfile
from pathlib import Path

import pytest
import yaml

from synth.dataset.card import card, write_card
from synth.dataset.stats import Stats, gather
from synth.errors import UserError
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.synth.helpers import bracket_folder, generate

DATA = {
    "name": "carded",
    "task": "mef",
    "seed": 3,
    "samples": 12,
    "samples_per_shard": 5,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 48},
    "degradations": {"always": ["haze"], "some": {"count": {0: 0.5, 1: 0.5}, "of": ["noise", "jpeg"]}},
    "instructions": {"kinds": {"full": 0.9, "clean": 0.1}},
    "store": ["clean"],
}


def recipe(**changes) -> Recipe:
    return Recipe.model_validate({**DATA, **changes})


def card_of(folder: Path) -> str:
    return card(
        json.loads((folder / "dataset.json").read_text(encoding="utf-8")), gather(Folder(folder), records=False)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("carded") / "d"
    generate(make_plan(recipe()), out)
    return out


def front_matter(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_front_matter_is_what_hubs_expect(made):
    facts = front_matter(card_of(made))
    assert facts["license"] == "other"
    assert facts["task_categories"] == ["image-to-image"]
    assert facts["size_categories"] == ["n<1K"]
    assert {"image-fusion", "webdataset", "fusion-mef"} <= set(facts["tags"])
    assert facts["configs"] == [{"config_name": "default", "data_files": "*.tar"}]


@pytest.mark.parametrize("encoding", ["png", "jpeg95", "mixed"])
def test_its_features_are_the_members_of_the_tars(encoding, tmp_path):
    """Hugging Face datasets would else guess the record's fields from five samples, and lose or refuse the others'."""
    generate(make_plan(recipe(encoding=encoding, samples=4)), tmp_path / "d")
    with tarfile.open(tmp_path / "d/000000.tar") as tar:
        names = {name.partition(".")[2] for name in tar.getnames()}
    features = front_matter(card_of(tmp_path / "d"))["dataset_info"]["features"]
    kinds = {feature["name"]: feature["dtype"] for feature in features}
    images = {name for name, kind in kinds.items() if kind == "image"}
    assert images | {"json"} >= names
    assert images == {"target.png", "clean_a.png", "clean_b.png"} | {
        f"{image}.{ending}"
        for image in "ab"
        for ending in {"png": ["png"], "jpeg95": ["jpg"]}.get(encoding, ["png", "jpg"])
    }
    assert {name: kind for name, kind in kinds.items() if kind != "image"} == {
        "json": "json",
        "__key__": "string",
        "__url__": "string",
    }


def test_it_says_how_many_of_what(made):
    text, stats = card_of(made), gather(Folder(made))
    assert "**12 samples** of 48×48 px in 3 shards" in text
    for effect, count in stats.effects.items():
        assert re.search(rf"^\| {effect} \| {count} \|.*█", text, re.MULTILINE), effect
    for kind, count in stats.kinds.items():
        assert re.search(rf"^\| {kind} \| {count} \|", text, re.MULTILINE), kind
    assert re.search(r"^\| mef \| bracketed \| 5 \| 2\.24 \| 12 \| as listed in scikit-image", text, re.MULTILINE)
    assert "opencv-python" in text
    assert "`clean_a.png`" in text


def test_the_recipe_in_it_is_the_recipe(made):
    """Saved as the card says, it loads, and is the same to the last default."""
    text = re.search(r"```yaml\n(.*?)```", card_of(made), re.DOTALL)
    assert text is not None
    assert Recipe.model_validate(yaml.safe_load(text.group(1))).hash() == recipe().hash()


def test_a_recipe_with_folders_loads_once_they_are_named(tmp_path):
    bracket_folder(tmp_path / "pairs")
    chosen = recipe(sources=[{"folder": str(tmp_path / "pairs"), "licence": "CC0"}])
    generate(make_plan(chosen), tmp_path / "d")
    text = card_of(tmp_path / "d")
    assert str(tmp_path) not in text
    assert "folder: pairs" in text
    assert re.search(r"^\| mef \| shots \| 3 \|.*\| CC0 \|$", text, re.MULTILINE)
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert Recipe.model_validate(yaml.safe_load(found.group(1))).hash() == chosen.hash()


def test_the_code_in_it_reads_the_dataset(made, tmp_path, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", card_of(made), re.DOTALL)
    assert code is not None
    (tmp_path / "carded").symlink_to(made)
    monkeypatch.chdir(tmp_path)
    exec(code.group(1), {})
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("000000000")
    assert lines[0].endswith("(48, 48, 3)") or lines[0].endswith("(48, 48)")


def test_it_depends_on_the_dataset_alone(made, tmp_path):
    generate(make_plan(recipe()), tmp_path / "elsewhere", workers=2)
    assert card_of(tmp_path / "elsewhere") == card_of(made)


def test_it_is_written_beside_a_finished_dataset(made, tmp_path):
    with pytest.raises(UserError, match="no finished dataset"):
        write_card(Folder(tmp_path))
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_card(Folder(tmp_path))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card_of(made)


def test_what_strangers_wrote_is_text_and_no_markup(made):
    described = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    described["sources"][0]["dataset"] = "x | <script>alert(1)</script>\n# heading"
    stats = gather(Folder(made), records=False)
    stats.reasons["a.png: [link](http://x) `code`"] = stats.failed = 1
    text = card(described, stats)
    assert "<script>" not in text
    assert "\n# heading" not in text
    assert r"\[link\](http://x)" in text
    assert "### Failed samples" in text


def test_long_tables_end(made):
    described = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    stats = gather(Folder(made), records=False)
    stats.reasons.update({f"reason {number}": 1 for number in range(5000)})
    stats.failed = 5000
    assert "… and 4,940 more." in card(described, stats)


def test_a_dataset_of_failures_has_a_card_too(made):
    described = json.loads((made / "dataset.json").read_text(encoding="utf-8"))
    assert "**0 samples** (12 more failed)" in card(described, Stats(failed=12))
