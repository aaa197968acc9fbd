"""shards/FORMAT.md holds both programs: what synth writes, what the trainer reads, what plain webdataset sees."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from synth.images import codecs
from synth.images.pixels import in_colour
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.record import CropRecord, Entry, ImageRecord, Record, SceneRecord, SourceRecord
from synth.sample.render import render
from synth.targets.target import GradientTarget
from tests.conftest import ROOT
from tests.synth.helpers import generate
from trainer.data.shards import open_shards
from trainer.errors import UserError

FORMAT = (ROOT / "shards/FORMAT.md").read_text(encoding="utf-8")
EXAMPLE: dict[str, Any] = json.loads(re.search(r"```json\n(.*?)```", FORMAT, re.DOTALL).group(1))  # type: ignore[union-attr]

PLAN = make_plan(
    Recipe.model_validate(
        {
            "name": "contract",
            "task": "mef",
            "samples": 10,
            "samples_per_shard": 4,
            "sources": [{"builtin": "bracketed"}],
            "crop": {"size": 64},
            "degradations": {"always": ["haze"], "some": {"count": {1: 1}, "of": ["noise", "jpeg"]}},
            "store": ["clean"],
        }
    )
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("contract") / "d"
    generate(PLAN, out)
    return out


def keys(data: Any) -> Any:
    """The keys of nested mappings, without what differs from sample to sample (parameters, targets)."""
    if not isinstance(data, dict):
        return None
    return {key: None if key in ("params", "target") else keys(value) for key, value in data.items()}


def test_plain_webdataset_reads_the_tars(dataset):
    tars = [str(path) for path in sorted(dataset.glob("*.tar"))]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [f"{index:09d}" for index in range(10)]
    for index, sample in enumerate(samples):
        names = [name for name in sample if not name.startswith("__")]
        made = render(PLAN, index)
        suffix = {name: "png" if image["encoding"] == "png" else "jpg" for name, image in made.record["images"].items()}
        images = {name: f"{name}.{suffix.get(name, 'png')}" for name in ("a", "b", "clean_a", "clean_b", "target")}
        assert set(suffix.values()) == {"png"}  # also where JPEG was the last effect
        assert names == sorted([*images.values(), "json"])
        for name, member in images.items():
            clean = made.clean[name.removeprefix("clean_")] if name.startswith("clean_") else None
            assert np.array_equal(codecs.decode(sample[member]), getattr(made, name) if clean is None else clean)
        assert json.loads(sample["json"]) == made.record


def test_the_record_has_the_keys_of_the_document(dataset):
    rows = pq.read_table(dataset / "000000.parquet").to_pylist()
    record = json.loads(rows[0]["record"])
    assert list(record) == list(EXAMPLE)
    assert keys(record) == keys(EXAMPLE)
    for entry in record["degradations"]:
        assert list(entry) == list(EXAMPLE["degradations"][0])


def test_the_types_of_the_record_have_the_keys_of_the_document():
    parts: dict[Any, dict[str, Any]] = {
        Record: EXAMPLE,
        Entry: EXAMPLE["degradations"][0],
        SceneRecord: EXAMPLE["scene"],
        ImageRecord: EXAMPLE["images"]["a"],
        CropRecord: EXAMPLE["crop"],
        GradientTarget: EXAMPLE["target"],
        SourceRecord: EXAMPLE["source"],
    }
    for kind, example in parts.items():
        assert kind.__required_keys__ == set(example)
    assert SourceRecord.__optional_keys__ == set(re.findall(r"`source\.(\w+)` \(optional\)", FORMAT))


def test_the_sidecar_has_the_columns_and_metadata_of_the_document(dataset):
    schema = pq.read_schema(dataset / "000000.parquet")
    section = FORMAT.split("## The sidecar")[1].split("\n## ")[0]
    named = re.search(r"in key order: `(.*?)effects`", section, re.DOTALL)
    assert named is not None
    wanted = [*re.findall(r"\w+", named.group(1)), "effects", "record"]
    assert [name for name in schema.names if not re.search(r"_(name|offset|size|sha256)$", name)] == wanted
    for member in ("a", "b", "clean_a", "clean_b", "json", "target"):
        for part in ("name", "offset", "size", "sha256"):
            assert f"{member}_{part}" in schema.names
    metadata = {key.decode() for key in schema.metadata if key.startswith(b"mmaif.")}
    assert metadata == set(re.findall(r"mmaif\.\w+", section))


def test_dataset_json_has_the_keys_of_the_document(dataset):
    data = json.loads((dataset / "dataset.json").read_text())
    paragraph = re.search(r"`dataset\.json` holds (.*?)A dataset card", FORMAT, re.DOTALL).group(1)  # type: ignore[union-attr]
    named = set(re.findall(r"`(\w+)`", paragraph))
    assert set(data) | set(data["shards"][0]) | set(data["counts"]) == named
    assert data["complete"] is True
    assert data["counts"] == {"samples": 10, "failed": 0}


@pytest.mark.parametrize("sidecars", [True, False], ids=["by sidecar", "tar alone"])
def test_the_trainer_reads_what_synth_writes(dataset, tmp_path, sidecars):
    folder: Path = dataset
    if not sidecars:
        folder = tmp_path
        for tar in dataset.glob("*.tar"):
            (folder / tar.name).write_bytes(tar.read_bytes())
    reader = open_shards([f"{folder}/{{000000..000002}}.tar"], seed=0, clean=True)
    samples = {s.key: s for s in reader.load([reader.at(position) for position in range(10)])}
    reader.close()
    assert sorted(samples) == [f"{index:09d}" for index in range(10)]
    for key, sample in samples.items():
        made = render(PLAN, int(key))
        assert sample.instruction == made.record["instruction"]
        pictures = {name: getattr(made, name) for name in ("a", "b", "target")}
        pictures |= {f"clean_{name}": image for name, image in (made.clean or {}).items()}
        assert len(pictures) == 5
        for name, picture in pictures.items():
            assert np.array_equal(getattr(sample, name), in_colour(picture))


def small(**instructions: Any) -> Any:
    recipe = {
        "name": "versions",
        "task": "mef",
        "samples": 6,
        "sources": [{"builtin": "bracketed"}],
        "crop": {"size": 48},
        "degradations": {"always": ["haze"]},
        "instructions": instructions,
    }
    return make_plan(Recipe.model_validate(recipe))


NEWER = [{"kinds": {"lessen": 1}}, {"kinds": {"full": 1}, "emphasis": {"share": 1}}]
OLDER = [{"kinds": {"full": 1}}, {"kinds": {"keep": 1}, "emphasis": {"share": 0}}]


def refused_by_a_reader_of_version_1(version: Any) -> bool:
    """The rule that readers of version 1 have had since there is a version: a newer one is refused."""
    return int(version) > 1


@pytest.mark.parametrize("instructions", NEWER, ids=["lessen", "emphasis"])
def test_a_reader_of_version_1_refuses_what_it_would_misread_wherever_it_looks(instructions, tmp_path, monkeypatch):
    generate(small(**instructions), tmp_path / "d")
    tar = tmp_path / "d/000000.tar"
    records = [json.loads(sample["json"]) for sample in webdataset.WebDataset(str(tar), shardshuffle=False)]
    versions = {
        json.loads((tmp_path / "d/dataset.json").read_text())["version"],
        pq.read_schema(tmp_path / "d/000000.parquet").metadata[b"mmaif.version"].decode(),
        *(record["version"] for record in records),
    }
    assert all(refused_by_a_reader_of_version_1(version) for version in versions)
    marks = {entry["asked"] for record in records for entry in record["degradations"]}
    assert "lessen" in marks or all("emphasis" in record["target"] for record in records)
    open_shards([str(tar)], seed=0).close()
    monkeypatch.setattr("trainer.data.format.VERSION", 1)
    with pytest.raises(UserError, match="format version 2"):
        open_shards([str(tar)], seed=0)


@pytest.mark.parametrize("instructions", OLDER, ids=["full", "keep"])
def test_what_version_1_can_hold_is_written_as_version_1(instructions, tmp_path, monkeypatch):
    generate(small(**instructions), tmp_path / "d")
    monkeypatch.setattr("trainer.data.format.VERSION", 1)
    reader = open_shards([str(tmp_path / "d/000000.tar")], seed=0)
    assert {sample.record["version"] for sample in reader.load(range(6))} == {1}
    reader.close()


def test_factors_stand_with_what_is_lessened_and_nowhere_else():
    named = re.search(r"`degradations\[\]\.factor`.*?: ([\d., or]+)\.", FORMAT)
    assert named is not None
    known = {float(number) for number in re.findall(r"0\.\d+", named.group(1))}
    found = set()
    for index in range(12):
        for entry in render(small(kinds={"lessen": 1}), index).record["degradations"]:
            assert (entry["asked"] == "lessen") == ("factor" in entry)
            found.add(entry.get("factor"))
    assert found <= known | {None}
    assert len(found & known) == 3
