"""The command `synth verify`, and what it mends."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import UserError
from synth.storage import Folder
from tests.synth.helpers import hashes
from tests.synth.sound import DATA, verdict_of


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_the_exit_code_says_whether_a_dataset_is_sound(dataset, tmp_path):
    done = run(dataset, "--workers", 1, "--sample", 5)
    assert done.exit_code == 0
    assert "22 samples in 3 shards" in done.output
    assert "pictures of 5 decoded: sound" in done.output
    (dataset / "000001.tar").write_bytes(b"")
    done = run(dataset, "--workers", 1, "--all")
    assert done.exit_code == 1
    assert "000001: the tar is cut at byte 0" in done.output
    assert "broken shards: 1" in done.output
    (tmp_path / "t.yaml").write_text(json.dumps(DATA))
    done = run(dataset, "--workers", 1, "--repair", "--recipe", tmp_path / "t.yaml")
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith("sound")
    assert run(dataset, "--workers", 1).exit_code == 0


@pytest.mark.parametrize("words", [["--repair"], ["--recipe", "t.yaml"]])
def test_repair_needs_a_recipe_and_nothing_else_does(dataset, words):
    assert "--repair and --recipe go together" in str(run(dataset, *words).exception)


def test_repair_makes_what_is_broken_again_to_the_byte(sound, dataset, tmp_path):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 999}))
    (dataset / "000002.tar").unlink()
    data = bytearray((dataset / "000000.tar").read_bytes())
    data[3000] ^= 1
    (dataset / "000000.tar").write_bytes(data)
    untouched = (dataset / "000001.tar").stat().st_mtime_ns
    repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == hashes(sound)
    assert (dataset / "000001.tar").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_repair_describes_a_dataset_again(sound, dataset, tmp_path, content):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps(DATA))
    (dataset / "dataset.json").unlink()
    if content is not None:
        (dataset / "dataset.json").write_text(content)
    (dataset / "000001.parquet").unlink()
    repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == hashes(sound)


@pytest.mark.parametrize("described", [True, False])
def test_repair_with_another_recipe_is_refused_before_anything_is_touched(dataset, tmp_path, described):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "seed": 6}))
    (dataset / "000001.tar").unlink()
    if not described:
        (dataset / "dataset.json").unlink()
    before = hashes(dataset)
    with pytest.raises(UserError, match="nothing was repaired"):
        repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == before
