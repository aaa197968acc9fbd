"""Engines: the same bytes from processes of this machine, from a Ray cluster and from runs of parts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth.engines import engine_of
from synth.engines.local import LocalEngine
from synth.errors import UserError
from tests.synth.helpers import DATA, bracket_folder, hashes


def test_engines_are_known_by_name():
    assert engine_of("local", 3, None) == LocalEngine(3)
    with pytest.raises(UserError, match="--engine rai: no such engine; did you mean 'ray'"):
        engine_of("rai", None, None)
    with pytest.raises(UserError, match="--address is of a Ray cluster; give --engine ray too"):
        engine_of("local", None, "10.0.0.1:6379")


def test_what_ray_needs_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^--engine ray needs Ray; pip install 'mmaif\[ray\]'$"):
        engine_of("ray", None, None)(print, [], 0, set(), print)


def command(recipe: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "synth", "generate", "--recipe", str(recipe), "--out", str(out), *more]


def on_ray(recipe: Path, out: Path, *more: str) -> list[str]:
    return command(recipe, out, "--engine", "ray", "--workers", "2", *more)


def ray_tasks_of(run: subprocess.Popen) -> list[int]:
    """The processes in which shards are rendered, of all that a run began."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::_work") and run.pid in ancestors(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def ancestors(process: int) -> list[int]:
    line = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        line.append(process)
    return line


@pytest.mark.slow
def test_a_ray_cluster_part_runs_and_local_workers_make_the_same_bytes(tmp_path):
    """Two Ray workers, one of which is killed in the middle; two runs of a half each, and `synth finish`."""
    pairs = bracket_folder(tmp_path / "pairs")
    (pairs / "shots-1/b.png").write_bytes(b"")  # its samples fail, in every engine
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 200, "crop": {"size": 96}, "sources": [{"folder": str(pairs)}]}))
    local = subprocess.run(command(recipe, tmp_path / "local", "--workers", "2"), capture_output=True, check=True)
    elsewhere = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}  # of no concern: who gives no --address starts one here
    cluster = subprocess.run(
        on_ray(recipe, tmp_path / "ray"), capture_output=True, check=True, timeout=120, env=elsewhere
    )
    assert cluster.stderr.splitlines()[-2:] == local.stderr.splitlines()[-2:]
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")

    run = subprocess.Popen(on_ray(recipe, tmp_path / "killed"), stderr=subprocess.PIPE)
    while not (tasks := ray_tasks_of(run)) or len(list((tmp_path / "killed").glob("0*.parquet"))) < 2:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    os.kill(tasks[0], signal.SIGKILL)
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "local")

    parts = [
        subprocess.Popen(command(recipe, tmp_path / "parts", "--shard-range", part, "--workers", "1"))
        for part in ("0:20", "20:40")
    ]
    assert [part.wait(timeout=120) for part in parts] == [0, 0]
    finish = [sys.executable, "-m", "synth", "finish", "--recipe", str(recipe), "--out", str(tmp_path / "parts")]
    subprocess.run(finish, check=True, capture_output=True)
    assert hashes(tmp_path / "parts") == hashes(tmp_path / "local")


@pytest.mark.slow
def test_a_ray_run_stops_at_the_failure_limit_and_when_asked_to(tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    (pairs / "shots-1/b.png").write_bytes(b"")
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 2000, "crop": {"size": 96}, "sources": [{"folder": str(pairs)}]}))
    limited = subprocess.run(
        on_ray(recipe, tmp_path / "d", "--max-failed-pairs", "1"), capture_output=True, timeout=120
    )
    assert limited.returncode == 1
    assert b"synth: 1 of 3 pairs cannot be read, over the limit of 1 pairs and 5%" in limited.stderr.splitlines()[-1]
    run = subprocess.Popen(on_ray(recipe, tmp_path / "d"), stderr=subprocess.PIPE)
    before = len(list((tmp_path / "d").glob("0*.parquet")))
    while len(list((tmp_path / "d").glob("0*.parquet"))) < before + 3:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    run.terminate()
    _, said = run.communicate(timeout=30)
    assert run.returncode == 143, said
    assert said.splitlines()[-1].startswith(b"synth: asked to end; ")
    assert not ray_tasks_of(run)


def test_a_cluster_that_is_not_there_is_said_in_one_line(tmp_path):
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps(DATA))
    words = command(recipe, tmp_path / "d", "--engine", "ray", "--address", "127.0.0.1:1")
    run = subprocess.run(words, capture_output=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(b"synth: --address 127.0.0.1:1: no Ray cluster could be joined: ")
