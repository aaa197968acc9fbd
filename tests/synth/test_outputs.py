"""What commands write: never over what it is made of, and whole or not there."""

import io
import json
import os
import resource
import signal
from pathlib import Path

import pytest
import yaml

from synth.audit.stages import render_files
from synth.cli import main
from synth.errors import StoppedError, UserError
from synth.pairs.writing import write_manifest
from synth.paths import home
from synth.recipe.file import load_recipe
from synth.sample.degrade import degrade_files
from synth.sample.plan import make_plan
from synth.storage.whole import write_files
from tests.synth.helpers import DATA, generate, hashes, photograph, plan, write_pair


def run(monkeypatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["synth", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    code = left.value.code
    assert isinstance(code, int)
    return code


def degrade(pair: Path, out: Path, depth: str | None = None) -> None:
    files = {"a": pair / "a.png", "b": pair / "b.png"}
    given = None if depth is None else (pair / depth, "distance")
    degrade_files(files, ["noise=0.4"], out, task="mef", seed=0, depth=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["same", "link", "hard link"])
def test_degrade_keeps_its_inputs(tmp_path, way):
    pair = write_pair(tmp_path / "p", photograph(40, 40), photograph(40, 40))
    out = pair if way == "same" else tmp_path / "o"
    out.mkdir(exist_ok=True)
    if way == "link":
        (out / "b.png").symlink_to(pair / "a.png")
    if way == "hard link":
        os.link(pair / "b.png", out / "a.png")
    before = hashes(pair)
    with pytest.raises(UserError, match="would be written over; name another place"):
        degrade(pair, out)
    assert hashes(pair) == before
    degrade(pair, tmp_path / "other")
    degrade(pair, tmp_path / "other")  # results of before are no inputs
    assert sorted(hashes(tmp_path / "other")) == ["a.png", "b.png", "record.json"]


def test_render_keeps_the_pairs_of_its_recipe_all_of_them(tmp_path):
    for number in range(2):
        write_pair(tmp_path / f"pairs/x-{number}", photograph(60, 60) // 4, photograph(60, 60))
    sources = [{"folder": str(tmp_path / "pairs")}]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**DATA, "sources": sources, "store": []}))
    chosen = make_plan(load_recipe(tmp_path / "r.yaml"))
    for folder in sorted((tmp_path / "pairs").iterdir()):
        before = hashes(folder)
        with pytest.raises(UserError, match="would be written over"):
            render_files(chosen, 0, folder)
        assert hashes(folder) == before
    assert "sheet.png" in render_files(chosen, 0, tmp_path / "o")


def test_preview_of_a_recipe_keeps_its_photographs(tmp_path, monkeypatch, capsys):
    write_pair(tmp_path / "photos", photograph(60, 60), photograph(60, 60))
    sources = [{"photos": str(tmp_path / "photos")}]
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**DATA, "sources": sources}))
    before = hashes(tmp_path / "photos")
    assert run(monkeypatch, "preview", "--recipe", tmp_path / "r.yaml", "-o", tmp_path / "photos/a.png") == 2
    assert "would be written over" in capsys.readouterr().err
    assert hashes(tmp_path / "photos") == before


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_that_says_something_else_is_kept(tmp_path, suffix):
    out = tmp_path / f"t.{suffix}"
    write_pair(tmp_path / "mef/x-0", photograph(40, 40), photograph(40, 40))
    write_manifest(tmp_path / "mef", out)
    before = out.read_bytes()
    write_manifest(tmp_path / "mef", out)
    write_pair(tmp_path / "mef/x-1", photograph(40, 40), photograph(40, 40))
    with pytest.raises(UserError, match="another table stands there"):
        write_manifest(tmp_path / "mef", out)
    assert out.read_bytes() == before
    assert write_manifest(tmp_path / "mef", out, overwrite=True) == 2
    assert out.read_bytes() != before


def test_stats_keeps_the_dataset(tmp_path, monkeypatch, capsys):
    generate(plan(samples=2), tmp_path / "d")
    before = hashes(tmp_path / "d")
    for name in ("dataset.json", "000000.tar", "README.md"):
        assert run(monkeypatch, "stats", tmp_path / "d", "--json", tmp_path / "d" / name) == 2
        assert name in capsys.readouterr().err
    assert hashes(tmp_path / "d") == before
    for _ in range(2):
        assert run(monkeypatch, "stats", tmp_path / "d", "--json", tmp_path / "d/stats.json") == 0
    assert run(monkeypatch, "stats", tmp_path / "d", "--json", tmp_path / "x.png", "--picture", tmp_path / "x.png") == 2


def test_files_are_whole_or_not_there(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StoppedError, match=r"b: cannot be written: File too large") as stopped:
            write_files({tmp_path / "a": b"new", tmp_path / "b": bytes(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert stopped.value.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "link"]
    assert (tmp_path / "a").read_bytes() == b"old"
    write_files({tmp_path / "link": b"new", Path("/dev/null"): b"x"})
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert not Path("/dev/null").is_file()
    with pytest.raises(UserError, match="a/b: cannot be written"):
        write_files({tmp_path / "a/b": b"x"})


def test_home_is_written_out_in_commands_and_recipes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    pair = write_pair(tmp_path / "home/pairs/x-0", photograph(60, 60) // 4, photograph(60, 60))
    (tmp_path / "home/r.yaml").write_text(yaml.safe_dump({**DATA, "samples": 1, "sources": [{"folder": "~/pairs"}]}))
    assert run(monkeypatch, "manifest", "~/pairs", "--out=~/t.csv", "--task", "mef") == 0
    for given in ([], ["--data=~/pairs"], ["--data=~/t.csv"]):
        assert run(monkeypatch, "generate", "--recipe=~/r.yaml", "--out=~/d", "--workers=1", "--dry-run", *given) == 0
    assert run(monkeypatch, "degrade", pair / "a.png", "~/pairs/x-0/b.png", "--effect=noise=.3", "--out=~/o") == 0
    assert run(monkeypatch, "generate", "--recipe=~/r.yaml", "--out=~/d", "--workers=1") == 0
    assert run(monkeypatch, "verify", "~/d") == 0
    places = [{"photos": "~/pairs/x-0"}, {"manifest": "~/t.csv"}, {"layout": "~/pairs"}]
    (tmp_path / "home/r.yaml").write_text(yaml.safe_dump({**DATA, "sources": places}))
    photos, table, layout = load_recipe(tmp_path / "home/r.yaml").tasks["mef"].sources
    assert list(photos.pairs("mef"))
    assert list(table.pairs("mef"))
    assert layout.layout == tmp_path / "home/pairs"  # type: ignore[attr-defined]
    assert list((tmp_path / "cwd").iterdir()) == []
    assert str(home("a/~/b")) == "a/~/b"
    assert home("~other") == "~other"


def test_what_an_encoding_lacks_is_a_question_mark(tmp_path, monkeypatch):
    generate(plan(samples=1), tmp_path / "d")
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", printed)
    assert run(monkeypatch, "stats", tmp_path / "d") == 0
    assert run(monkeypatch, "stats", tmp_path / "d", "--json", tmp_path / "x.json") == 0
    printed.flush()
    assert b"? " in printed.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", ["1e1", "1E+1", "1.e1", "+.1e2", "10", "1.0e+1"])
def test_numbers_are_those_of_yaml_1_2(tmp_path, number):
    pair = write_pair(tmp_path / "p", photograph(40, 40), photograph(40, 40))
    files = {"a": pair / "a.png", "b": pair / "b.png"}
    degrade_files(files, [f"noise=sigma:{number},images:a"], tmp_path, task="mef", seed=0, depth=None)  # type: ignore[arg-type]
    [fell] = json.loads((tmp_path / "record.json").read_text())["degradations"]
    assert fell["params"]["sigma"] == 10
    text = yaml.safe_dump({**DATA, "degradations": {"always": [{"noise": {"sigma": "SIGMA"}}]}})
    (tmp_path / "r.yaml").write_text(text.replace("SIGMA", number))
    [spec] = load_recipe(tmp_path / "r.yaml").tasks["mef"].degradations.always
    assert dict(spec.quantities)["sigma"] == (10, 10)


def test_folders_and_numbers_that_cannot_be(tmp_path, monkeypatch, capsys):
    pair = write_pair(tmp_path / "p", photograph(40, 40), photograph(40, 40))
    (tmp_path / "x.tar").write_bytes(b"")
    effect = ["--effect", "noise", "--out", tmp_path / "o"]
    for words, said in (
        (["generate", "--recipe", "mef_haze", "--limit", -3], "'--limit'"),
        (["generate", "--recipe", "mef_haze", "--samples-per-shard", 0], "'--samples-per-shard'"),
        (["generate", "--recipe", pair], f"{pair}: is a folder; a recipe is a YAML file"),
        (["degrade", pair / "a.png", pair, *effect], f"{pair}: is a folder; an image file is needed"),
        (["degrade", pair / "a.png", pair / "b.png", "--depth", pair, *effect], f"{pair}: is a folder"),
        *(([command, tmp_path / "x.tar"], "x.tar: is a file; a dataset is a folder") for command in READERS),
    ):
        assert run(monkeypatch, *words) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert len(told) == 1
        assert said in told[0]


READERS = ("verify", "stats", "preview")
