"""Runs that are killed, interrupted, asked to end, or that fill the disk: nothing is lost, and nothing hangs."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.synth.helpers import DATA, hashes

pytestmark = pytest.mark.slow
KILLS = 20
SHARDS = 60


def command(folder: Path, **changes) -> list[str]:
    """A run of two workers on 300 samples, without its folder."""
    recipe = folder / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 5 * SHARDS, "crop": {"size": 96}, **changes}))
    return [sys.executable, "-m", "synth", "generate", "--recipe", str(recipe), "--workers", "2", "--out"]


def started(words: list[str], out: Path, sidecars: int, **how) -> subprocess.Popen:
    """A run in a session of its own, once it has written so many sidecars."""
    run = subprocess.Popen([*words, str(out)], stderr=subprocess.PIPE, start_new_session=True, **how)
    while len(list(out.glob("0*.parquet"))) < sidecars:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    return run


def workers_of(run: subprocess.Popen) -> list[int]:
    """Its processes that render, not the one that watches over shared memory."""
    found = []
    with suppress(FileNotFoundError):  # the run, or one of them, has just ended
        for child in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run([*command(folder), str(folder / "d")], check=True, capture_output=True)
    return folder / "d"


@pytest.fixture(scope="module")
def seconds(tmp_path_factory) -> float:
    """What a run takes here, from its start to its end."""
    folder, begun = tmp_path_factory.mktemp("timed"), time.monotonic()
    subprocess.run([*command(folder), str(folder / "d")], check=True, capture_output=True)
    return time.monotonic() - begun


def test_a_run_killed_at_20_random_moments_ends_with_the_bytes_of_an_unbroken_one(whole, seconds, tmp_path):
    """Parent or worker, with SIGKILL, at any moment of the run: start, rendering, writing, and the end."""
    words, out, rng = command(tmp_path), tmp_path / "d", random.Random(20)
    hit = {"parent": 0, "worker": 0}
    for turn in range(KILLS):
        for file in out.glob("0*.parquet"):
            file.unlink()  # so that every run has work to be killed in
        run = subprocess.Popen([*words, str(out)], stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(rng.uniform(0.1, 1.0) * seconds)
        if run.poll() is not None:
            seconds *= 0.8  # the machine has become faster than when that was measured
        workers, victim = workers_of(run) if run.poll() is None else [], ("parent", "worker")[turn % 2]
        if victim == "worker" and workers:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
            _, said = run.communicate(timeout=60)
            if run.returncode:  # 0: the worker was idle, its work done
                assert run.returncode == 1, said
                assert said.decode().splitlines()[-1].startswith("synth: a worker process died")
                hit["worker"] += 1
        elif run.poll() is None:
            run.kill()
            run.wait()
            until = time.monotonic() + 20
            while any(lives(worker) for worker in workers):
                assert time.monotonic() < until, "workers outlive their parent"
                time.sleep(0.05)
            hit["parent"] += 1
        for side in out.glob("0*.parquet"):
            with tarfile.open(side.with_suffix(".tar")) as tar:
                assert tar.getmembers()
    assert min(hit.values()) >= 3, hit
    subprocess.run([*words, str(out)], check=True, capture_output=True)
    assert hashes(out) == hashes(whole)


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"asked to end")]
)
def test_a_run_that_is_asked_to_stop_does_at_once_and_says_what_is_missing(tmp_path, number, code, said):
    run = started(command(tmp_path, samples=10_000), tmp_path / "d", 3)
    os.killpg(run.pid, number) if number == signal.SIGINT else os.kill(run.pid, number)
    _, told = run.communicate(timeout=20)
    assert run.returncode == code
    line = told.splitlines()[-1]
    assert line.startswith(b"synth: " + said + b"; ")
    assert line.endswith(b"of 2000 shards stand, " + line.split(b"stand, ")[1])
    assert b"are missing: run the same command to go on" in line
    assert b"Traceback" not in told
    assert len(list((tmp_path / "d").glob("0*.parquet"))) < 1000, "of 2000"
    assert not list((tmp_path / "d").glob(".part-*"))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_disk_that_fills_costs_no_finished_shard(whole, tmp_path, workers):
    """In a file system of 2 MB in memory, inside a user namespace of its own; then the rest on a larger one."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system of his own")
    words = command(tmp_path)
    words[words.index("--workers") + 1] = workers
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    script = 'mount -t tmpfs -o size=2m none "$1" && shift && "$@"; code=$?; cp -r "$SMALL/d" "$KEPT"; exit $code'
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", str(small), *words, str(small / "d")],
        capture_output=True,
        timeout=120,
        env={**os.environ, "SMALL": str(small), "KEPT": str(kept)},
    )
    assert run.returncode == 1, run.stderr
    line = run.stderr.decode().splitlines()[-1]
    assert line.startswith("synth: [Errno 28] No space left on device"), run.stderr
    assert line.endswith("are missing: run the same command to go on")
    assert "Traceback" not in run.stderr.decode()
    stood = [side.stem for side in kept.glob("*.parquet")]
    assert 0 < len(stood) < SHARDS
    for stem in stood:
        assert (kept / f"{stem}.tar").read_bytes() == (whole / f"{stem}.tar").read_bytes()
    assert not list(kept.glob(".part-*"))
    subprocess.run([*words, str(kept)], check=True, capture_output=True)
    assert hashes(kept) == hashes(whole)
    shutil.rmtree(small)
