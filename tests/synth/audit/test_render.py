"""`synth render`: the stages of one sample, which end in the very bytes of the shard."""

import json
import tarfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from synth.audit.stages import render_files, stages
from synth.audit.told import fates
from synth.cli import app
from synth.errors import UserError
from synth.images.headers import read_header
from synth.recipe.schema import Recipe
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from tests.synth.helpers import generate, photograph, write_pair

ALL = ["haze", "motion", {"noise": {"images": "any"}}, {"contrast": {"images": "shared"}}]
DATA: dict[str, Any] = {
    "name": "stages",
    "seed": 4,
    "samples": 12,
    "samples_per_shard": 12,
    "tasks": {
        "vif": {
            "sources": [{"builtin": "synthetic_thermal"}],
            "degradations": {"always": ["haze"], "some": {"count": {1: 1}, "of": ["noise", "jpeg"]}},
        },
        "mef": {"sources": [{"builtin": "bracketed"}], "degradations": {"some": {"count": {3: 1}, "of": ALL}}},
        "mff": {"sources": [{"builtin": "refocused"}], "degradations": {"always": ["jpeg", "rain"]}},
    },
    "crop": {"size": 48},
    "instructions": {"kinds": {"full": 0.4, "partial": 0.3, "keep": 0.2, "clean": 0.1}},
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


@pytest.mark.parametrize("encoding", ["png", "jpeg95", "mixed"])
def test_the_last_stages_are_the_bytes_of_the_shard(tmp_path, encoding):
    chosen = plan(encoding=encoding)
    generate(chosen, tmp_path / "d")
    with tarfile.open(tmp_path / "d/000000.tar") as tar:
        stored = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    for index in range(12):
        out = tmp_path / f"{index}"
        files = render_files(chosen, index, out)
        assert sorted(path.name for path in out.iterdir()) == files
        mine = {name.partition(".")[2]: data for name, data in stored.items() if name.startswith(f"{index:09d}.")}
        for name, data in mine.items():
            if name == "json":
                assert json.loads((out / "record.json").read_text(encoding="utf-8")) == json.loads(data)
            else:
                assert (out / name).read_bytes() == data


def test_each_effect_has_its_stage_in_order():
    seen = set()
    for index in range(12):
        made, sample = stages(plan(), index), render(plan(), index)
        for name, way, image in (("a", made.images[0], sample.a), ("b", made.images[1], sample.b)):
            fell = [entry["effect"] for entry in sample.record["degradations"] if entry["image"] == name]
            assert [stage.name for stage in way] == [f"clean_{name}", *(f"{name}_{effect}" for effect in fell)]
            assert np.array_equal(way[-1].image, image)
            for before, after in pairwise(way):
                assert not np.array_equal(before.image, after.image)
            seen |= set(fell)
        last = {stage.name: stage.image for stage in made.others}
        assert np.array_equal(last["target"], sample.target)
        kept = any(entry["asked"] == "keep" for entry in sample.record["degradations"])
        assert np.array_equal(last["target"], last["target_clean"]) == (not kept)
    assert seen >= {"haze", "noise", "jpeg", "rain", "contrast"}


def test_stages_are_told_in_the_words_of_previews():
    seen = set()
    for index in range(12):
        made = stages(plan(), index)
        told = [step.told for way in made.images for step in way[1:]]
        said = [f"{fate.fate}: {fate.what}" for fate in fates(made.sample.record)]
        assert all(any(line.startswith(one) for one in said) for line in told)
        assert len(told) == len(made.sample.record["degradations"])
        seen |= {way[0].told for way in made.images}
        assert made.others[-1].told == "target"
    assert {"a: visible, clean", "b: infrared, clean", "a: under-exposed, clean", "b: far focus, clean"} <= seen


def test_the_clean_stage_is_the_clean_pair():
    made, sample = stages(plan(store=["clean"]), 3), render(plan(store=["clean"]), 3)
    assert np.array_equal(made.images[0][0].image, sample.clean["a"])
    assert np.array_equal(made.images[1][0].image, sample.clean["b"])


def test_the_command_says_where_the_sheet_is(tmp_path):
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(DATA))
    words = ["render", "--recipe", str(tmp_path / "t.yaml"), "--index", "5", "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "o/sheet.png") in done.output
    height, width = read_header(tmp_path / "o/sheet.png").size
    assert height > 3 * 200
    assert width > 3 * 200


def test_an_index_beyond_the_recipe_and_a_pair_that_cannot_be_read_are_mistakes(tmp_path):
    with pytest.raises(UserError, match="--index 12: stages has samples 0 to 11"):
        render_files(plan(), 12, tmp_path / "o")
    write_pair(tmp_path / "pairs/x-1", photograph(80, 80), photograph(80, 80))
    (tmp_path / "pairs/x-1/b.png").write_bytes(b"")
    tasks = {"mef": {"sources": [{"folder": str(tmp_path / "pairs")}], "degradations": {"always": ["haze", "rain"]}}}
    with pytest.raises(UserError, match=r"sample 3 cannot be made: b\.png: the file is empty"):
        render_files(plan(tasks=tasks), 3, tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_large_and_small_pictures_fit_the_sheet(tmp_path):
    for size in (16, 700):
        folder = tmp_path / str(size)
        render_files(plan(crop={"size": size}) if size == 16 else _large(tmp_path), 0, folder)
        height, width = read_header(folder / "sheet.png").size
        assert 600 < width < 3000
        assert 600 < height < 3000


def _large(root: Path) -> Plan:
    picture = np.tile(photograph(256, 256), (3, 3, 1))
    write_pair(root / "pairs/x-1", picture // 2, picture)
    tasks = {"mef": {"sources": [{"folder": str(root / "pairs")}], "degradations": {"always": ["haze", "rain"]}}}
    return plan(tasks=tasks, crop={"size": 700, "scale": [1, 1]})
