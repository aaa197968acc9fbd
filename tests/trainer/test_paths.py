"""URLs where a path of this machine is needed: refused as they were written, and never taken for a folder `s3:`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainer.addresses import of_this_machine
from trainer.cli import app
from trainer.config import load_config, settings_of
from trainer.errors import UserError

URL = "s3://bucket/one/two.png"
NEEDED = "a URL, and here a file or a folder of this machine is needed"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--out", ("train", "--shards", "d", "--out", URL)),
        ("--out", ("encode", "--shards", "d", f"--out={URL}")),
        ("--out", ("fuse", "a.png", "b.png", "--prompt", "x", "-o", URL)),
        ("--out", ("evaluate", "--shards", "d", "--out", URL)),
        ("--out", ("plot", "run", "--out", URL)),
        ("--weights", ("evaluate", "--shards", "d", "--out", "o", "--weights", "w", URL)),
        ("--pairs", ("evaluate", "--pairs", URL, "--out", "o")),
        ("--onnx", ("export", "--onnx", URL)),
        ("--photos", ("autoencoder", "pack", "--photos", "p", "--photos", URL, "--out", "o")),
        ("", ("fuse", "a.png", URL, "--prompt", "x", "-o", "o.png")),
    ],
)
def test_a_url_is_refused_as_it_was_written_and_nothing_is_made(option, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == f"{option} {URL}: {NEEDED}; copy it yourself".lstrip()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["init", "autoencoder.path", "run.shard_cache"])
def test_a_url_in_a_config_where_a_path_is_needed(key):
    with pytest.raises(UserError, match=f"{key}: a URL, and a file or a folder of this machine is needed.*'{URL}'$"):
        load_config("tiny", {}, settings_of([f"{key}={URL}"]))


def test_what_is_signed_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["fuse", "a.png", f"{URL}?X-Signature=secret", "--prompt", "x", "-o", "o.png"])
    assert "secret" not in str(done.exception)
    assert "s3://bucket/one/two.png?…" in str(done.exception)


def test_an_address_of_this_machine_is_a_path():
    assert of_this_machine("file:///x/y") == "/x/y"
    assert of_this_machine(str(Path("file:///x/y"))) == "/x/y"
    assert of_this_machine("a:/x") == "a:/x"
