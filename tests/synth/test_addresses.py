"""URLs where a path of this machine is needed: refused as they were written, and never taken for a folder `s3:`."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import UserError
from synth.paths import of_this_machine
from synth.recipe.file import find_recipe, load_recipe
from tests.synth.helpers import DATA, photograph, write_pair

URL = "s3://bucket/one/two.png"
NEEDED = "a URL, and here a file or a folder of this machine is needed"
COMMANDS = {
    "--out": [
        ("sign", "d", "--out", URL),
        ("sign", "d", "-o", URL),
        ("sign", "d", f"--out={URL}"),
        ("preview", "d", "--out", URL),
        ("render", "--recipe", "mef_haze", "--index", "0", "--out", URL),
        ("manifest", "d", "--out", URL),
        ("degrade", "a.png", "b.png", "--effect", "noise", "--out", URL),
    ],
    "--json": [("stats", "d", "--json", URL)],
    "--picture": [("stats", "d", "--picture", URL)],
    "--depth": [("degrade", "a.png", "b.png", "--effect", "noise", "--out", "o", "--depth", URL)],
    "": [("degrade", URL, "b.png", "--effect", "noise", "--out", "o"), ("manifest", URL, "--out", "t.csv")],
}


@pytest.mark.parametrize(("option", "words"), [(option, words) for option, all_ in COMMANDS.items() for words in all_])
def test_a_url_is_refused_as_it_was_written_and_nothing_is_made(option, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{option} {URL}: {NEEDED}; copy it yourself".lstrip()
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_this_machine_is_a_path(tmp_path):
    pair = write_pair(tmp_path / "p", photograph(40, 40), photograph(40, 40))
    words = ["degrade", f"file://{pair}/a.png", str(pair / "b.png"), "--effect", "noise=0.4", "--task", "mef"]
    done = CliRunner().invoke(app, [*words, f"--out=file://{tmp_path}/o"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "o/a.png").is_file()
    assert of_this_machine(Path("file:///x/y")) == Path("/x/y")
    assert of_this_machine(Path("a:/x")) == Path("a:/x")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"sources": [{"photos": URL}]}, "sources[0].photos"),
        ({"sources": [{"layout": URL}]}, "sources[0].layout"),
        ({"instructions": {"file": URL}}, "instructions.file"),
        ({"depth_network": {"onnx": URL}}, "depth_network.onnx"),
    ],
)
def test_a_url_in_a_recipe_where_a_path_is_needed(change, where, tmp_path):
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**DATA, **change}))
    with pytest.raises(UserError) as caught:
        load_recipe(tmp_path / "r.yaml")
    assert f"{where}: {URL}: {NEEDED}" in str(caught.value)


def test_a_recipe_is_no_url():
    with pytest.raises(UserError, match=r"^s3://b/r\.yaml: a URL, and a recipe is a file of this machine"):
        find_recipe("s3://b/r.yaml")
