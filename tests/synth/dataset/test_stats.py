"""`synth stats`: counts against a plain count over the rows, and a picture that can be read."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from synth.audit.chart import WIDTH, draw
from synth.cli import app
from synth.dataset.shards import read_rows, sidecar
from synth.dataset.stats import Histogram, Stats, gather
from synth.errors import UserError
from synth.images.headers import read_header
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.synth.forging import Forger
from tests.synth.helpers import bracket_folder, generate

FALLING = {"some": {"count": {1: 0.5, 2: 0.5}, "of": ["haze", {"noise": {"sigma": [5, 30], "images": "any"}}, "jpeg"]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two tasks, one source of which a pair is broken."""
    root = tmp_path_factory.mktemp("stats")
    bracket_folder(root / "pairs")
    (root / "pairs/shots-1/a.png").write_bytes(b"")
    data = {
        "name": "counted",
        "seed": 1,
        "samples": 40,
        "samples_per_shard": 16,
        "tasks": {
            "mef": {"sources": [{"folder": str(root / "pairs"), "licence": "CC0"}], "degradations": FALLING},
            "mff": {"sources": [{"builtin": "refocused"}], "degradations": FALLING},
        },
        "crop": {"size": 48},
        "encoding": "mixed",
        "instructions": {"kinds": {"full": 0.6, "partial": 0.1, "keep": 0.2, "clean": 0.1}},
    }
    generate(make_plan(Recipe.model_validate(data)), root / "d")
    return root / "d"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    sides = sorted(path.name for path in folder.glob("*.parquet"))
    return [row for side in sides for row in read_rows(Folder(folder), side)]


def test_counts_are_those_of_the_rows(made):
    rows = rows_of(made)
    ok = [row for row in rows if row["status"] == "ok"]
    records = [json.loads(row["record"]) for row in ok]
    found = gather(Folder(made))
    assert (found.name, found.shards, found.samples, found.failed) == ("counted", 3, len(ok), len(rows) - len(ok))
    assert found.failed > 0
    assert found.reasons == {"a.png: the file is empty": found.failed}
    assert found.bytes == sum(path.stat().st_size for path in made.glob("0*"))
    assert found.tasks == Counter(record["task"] for record in records)
    assert found.kinds == Counter(record["kind"] for record in records)
    names = [{entry["effect"] for entry in record["degradations"]} for record in records]
    assert found.effects == Counter(name for each in names for name in each)
    assert found.numbers == Counter(len(each) for each in names)
    assert found.alone == Counter(name for each in names for name in each if len(each) == 1)
    assert found.sizes == {(48, 48): len(ok)}
    for effect in ("haze", "noise", "jpeg"):
        on = Counter(
            "both" if len(images) > 1 else min(images)
            for record in records
            if (images := {entry["image"] for entry in record["degradations"] if entry["effect"] == effect})
        )
        assert {image: n for (name, image), n in found.by_image.items() if name == effect} == on
    entries = [entry for record in records for entry in record["degradations"]]
    haze = [entry["severity"] for entry in entries if entry["effect"] == "haze"]
    assert found.strengths["haze: severity"].counts == np.histogram(haze, 20, (0, 1))[0].tolist()
    sigmas = [entry["params"]["sigma"] for entry in entries if entry["effect"] == "noise"]
    drawn = found.strengths["noise: sigma"].drawn()
    assert sum(drawn.counts) == len(sigmas)
    assert drawn.low <= min(sigmas) <= max(sigmas) <= drawn.high
    assert drawn.high - drawn.low < 40
    assert found.member_bytes["target.png"] == sum(row["target_size"] for row in ok)
    jpegs = sum(row["a_name"].endswith(".jpg") for row in ok)
    assert found.members["a.jpg"] == jpegs > 0
    source = {(t, d): n for (t, d, _), n in found.sources.items()}
    assert source == Counter((row["task"], row["dataset"]) for row in ok)
    assert {licence for (_, dataset, licence) in found.sources if dataset == "shots"} == {"CC0"}
    assert len(found.scenes["shots"]) == 2


def test_without_records_the_rest_is_the_same(made):
    light, heavy = gather(Folder(made), records=False), gather(Folder(made))
    assert light.effects == heavy.effects
    assert light.sources == heavy.sources
    assert not light.strengths
    assert not light.members


def test_the_command_prints_writes_and_draws(made, tmp_path):
    out, picture = tmp_path / "s/stats.json", tmp_path / "s/stats.png"
    done = CliRunner().invoke(app, ["stats", str(made), "--json", str(out), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    for word in ("counted", "haze", "noise", "shots", "refocused", "the file is empty", "sigma, grey levels", "48x48"):
        assert word in done.output
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(gather(Folder(made)).as_json()))
    assert written["effects"]["haze"]["samples"] == gather(Folder(made)).effects["haze"]
    height, width = read_header(picture).size
    assert width == WIDTH
    assert height > 600


def test_the_picture_must_be_a_png(made, tmp_path):
    done = CliRunner().invoke(app, ["stats", str(made), "--picture", str(tmp_path / "s.pdf")])
    assert isinstance(done.exception, UserError)


def test_no_shard_is_a_mistake(made, tmp_path):
    with pytest.raises(UserError, match=r"no finished shard$"):
        gather(Folder(tmp_path))
    shutil.copy(made / "000001.tar", tmp_path)
    with pytest.raises(UserError, match=r"a tar without its sidecar, .*: copy 000001\.parquet too$"):
        gather(Folder(tmp_path))
    (tmp_path / "000001.tar").rename(tmp_path / "copy.tar")
    with pytest.raises(UserError, match=r"copy copy\.parquet too, both under the names .*\(six digits\)$"):
        gather(Folder(tmp_path))


def test_what_is_not_as_in_a_finished_dataset_is_said(made, tmp_path):
    assert gather(Folder(made)).notes == []
    out = Path(shutil.copytree(made, tmp_path / "d"))
    described = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    for text, told in (
        (json.dumps({**described, "complete": False}), "complete is false"),
        ("{", "dataset.json is not JSON"),
        ("[1]", "dataset.json describes no dataset"),
        (None, "dataset.json is missing"),
    ):
        (out / "dataset.json").unlink() if text is None else (out / "dataset.json").write_text(text)
        [note] = gather(Folder(out)).notes
        assert told in note
    found = gather(Folder(out))
    assert found.name == "d"
    assert found.as_json()["notes"] == found.notes
    done = CliRunner().invoke(app, ["stats", str(out), "--picture", str(tmp_path / "s.png")])
    assert "note: dataset.json is missing" in done.output
    assert draw(found).shape[0] > draw(dataclasses.replace(found, notes=[])).shape[0]


def test_files_that_are_not_there_are_said(made, tmp_path):
    out = Path(shutil.copytree(made, tmp_path / "d"))
    (out / "000000.parquet").unlink()
    (out / "000001.parquet").unlink()
    (out / "000001.tar").unlink()
    (out / "000002.tar").unlink()
    found = gather(Folder(out))
    assert found.notes == [
        "000000.parquet and 1 more are missing: not counted in what follows",
        "000002.tar is missing: counted in what follows",
    ]
    assert found.shards == 1


@pytest.mark.parametrize("record", ["{", "3", "{}", '{"target": {"kind": "x"}, "degradations": [{}]}'])
def test_a_record_that_is_none_is_a_mistake(made, tmp_path, record):
    forger = Forger(made)
    forger.rows[-1] = {**next(row for row in forger.rows if row["status"] == "ok"), "record": record}
    (tmp_path / "000000.parquet").write_bytes(sidecar(forger.rows, forger.metadata))
    with pytest.raises(UserError, match=r"000000\.parquet: rows as no sidecar has them .*; run synth verify"):
        gather(Folder(tmp_path))


def test_a_picture_of_little_and_of_much():
    """Nothing at all, and more effects, sources and words than fit."""
    assert draw(Stats()).shape[1] == WIDTH
    much = Stats(name="much " * 100, samples=10**9, failed=3)
    for number in range(80):
        name = f"{'very' * (number % 9)} long {number}"
        much.effects[name] = much.by_task[name, "vif"] = 10**9 // (number + 1)
        much.tasks["vif"] = 10**9
        much.sources["vif", name, "x"] = 10**8
        much.strengths[f"{name}: x"] = Histogram(0, 1, "unit " * 30, [number, 3])
        much.reasons[name * 9] = 1
    page = draw(much)
    assert page.shape[1] == WIDTH
    assert (page[:, -20:] == 255).all(), "nothing runs over the margin"
    assert (page[:, :20] == 255).all()


def test_a_histogram_keeps_what_lies_outside_at_its_ends():
    histogram = Histogram(0, 10, "m", [0] * 5)
    for value in (-3, 0, 1.9, 2, 9.99, 10, 11):
        histogram.add(value)
    assert histogram.counts == [3, 1, 0, 0, 3]
    fine = Histogram(0, 100, "m", [0] * 30 + [1] * 15 + [0] * 55)
    drawn = fine.drawn(10)
    assert (drawn.low, drawn.high, sum(drawn.counts)) == (30, 46, 15)
