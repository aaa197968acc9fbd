"""What commands write: never over what it is made of, and whole or not there."""

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
