"""Object storage: the same bytes as in a folder, whatever fails on the way."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry as registered

from synth.audit.verify import find_faults
from synth.dataset.generate import retry
from synth.dataset.shards import read_facts, read_rows
from synth.errors import UserError
from synth.storage import Folder, open_storage
from synth.storage.bucket import AHEAD, Bucket
from tests.s3 import s3_server
from tests.synth.helpers import DATA, bracket_folder, generate, hashes, plan, run_of


def hashes_at(url: str) -> dict[str, str]:
    """sha256 of every file under a URL."""
    storage = open_storage(url)
    return {name: hashlib.sha256(storage.read(name)).hexdigest() for name in sorted(storage.sizes())}


@pytest.fixture
def url(request) -> str:
    """A place in fsspec's memory, of this test alone."""
    return f"memory://{request.node.name}"


def test_a_dataset_under_a_url_has_the_bytes_of_one_in_a_folder(url, tmp_path):
    generate(plan(), tmp_path / "d")
    generate(plan(samples=13), url)
    generate(plan(), url, extend=True)
    assert hashes_at(url) == hashes(tmp_path / "d")
    side = Bucket(url)
    assert read_facts(side, "000001.parquet") == read_facts(Folder(tmp_path / "d"), "000001.parquet")
    assert read_rows(side, "000001.parquet") == read_rows(Folder(tmp_path / "d"), "000001.parquet")


def test_parts_and_retry_work_on_a_url(url, tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}])
    generate(chosen, tmp_path / "whole", workers=2)  # in other processes, that remember no picture
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    for part in (slice(0, 3), slice(3, 5)):
        assert generate(chosen, url, part=part) is None
    assert generate(chosen, url).failed > 0
    (pairs / "shots-1/b.png").write_bytes(data)
    assert retry(chosen, Bucket(url), run_of()).failed == 0
    assert hashes_at(url) == hashes(tmp_path / "whole")


class Counting(Bucket):
    """Counts how often it is asked for bytes of each file."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked = Counter[str]()

    def read(self, name: str, start: int = 0, size: int | None = None) -> bytes:
        self.asked[name] += 1
        return super().read(name, start, size)


def test_verify_and_retry_ask_for_megabytes_of_a_tar_and_not_for_members(url, tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}])
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    assert generate(chosen, url).failed > 0
    (pairs / "shots-1/b.png").write_bytes(data)
    for look in (find_faults, lambda there: retry(chosen, there, run_of())):
        storage = Counting(url)
        asked_at_most = {name: 1 + size // AHEAD for name, size in storage.sizes().items() if name.endswith(".tar")}
        look(storage)
        asked = {name: count for name, count in storage.asked.items() if name.endswith(".tar")}
        assert asked
        assert all(count <= asked_at_most[name] for name, count in asked.items()), asked


def test_a_file_is_read_from_where_and_as_far_as_asked(url):
    storage = open_storage(url)
    assert storage.sizes() == {}
    storage.write("x", b"0123456789")
    assert storage.sizes() == {"x": 10}
    assert (storage.read("x"), storage.read("x", 3), storage.read("x", 3, 4)) == (b"0123456789", b"3456789", b"3456")
    with storage.open("x") as file:
        assert (file.read(2), file.seek(-3, os.SEEK_END), file.read(), file.read()) == (b"01", 7, b"789", b"")
    with storage.open("x", ahead=True) as file:
        assert (file.read(2), file.seek(-3, os.SEEK_END), file.read(), file.read()) == (b"01", 7, b"789", b"")
    storage.remove("x")
    storage.remove("x")
    for ask in (storage.read, storage.open):
        with pytest.raises(FileNotFoundError):
            ask("x")


def test_an_exception_while_writing_puts_nothing(url):
    storage = open_storage(url)
    with pytest.raises(ZeroDivisionError), storage.create("x") as file:
        file.write(bytes([1 // (file.write(b"half") - 4)]))
    assert storage.sizes() == {}


def test_a_request_that_fails_is_made_again_and_at_last_told(url, monkeypatch):
    monkeypatch.setattr("synth.storage.bucket.FIRST_WAIT_S", 0.0)
    storage = Bucket(url)
    storage.write("x", b"0123456789")
    answers = iter([ConnectionResetError("gone"), b"0123", b"0123456789"])

    def cat(*_, **__):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(storage._fs, "cat_file", cat)
    assert storage.read("x") == b"0123456789", "neither the failure nor the half of it"
    monkeypatch.setattr(storage._fs, "cat_file", lambda *_, **__: b"012")
    with pytest.raises(OSError, match=r"/x: failed 6 times, at last: 3 bytes came of 10"):
        storage.read("x")


def test_a_file_that_arrives_short_is_put_again(url, monkeypatch):
    monkeypatch.setattr("synth.storage.bucket.FIRST_WAIT_S", 0.0)
    storage = Bucket(url)
    whole, tries = storage._fs.put_file, []

    def put(local, remote):
        tries.append(local)
        if len(tries) == 1:
            storage._fs.pipe_file(remote, b"half")
        else:
            whole(local, remote)

    monkeypatch.setattr(storage._fs, "put_file", put)
    storage.write("x", b"0123456789")
    assert len(tries) == 2
    assert storage.read("x") == b"0123456789"
    assert not Path(tries[0]).exists(), "the local file is gone"


def test_what_a_killed_run_left_here_is_swept(url, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"synth-put-{gone.pid}-abc", f"synth-put-{os.getpid()}-abc"):
        (tmp_path / name).mkdir()
    Bucket(url).sweep()
    assert [path.name for path in tmp_path.iterdir()] == [f"synth-put-{os.getpid()}-abc"]


def test_what_is_missing_for_a_url_is_said_in_one_line(monkeypatch):
    with pytest.raises(UserError, match=r"^nonsense://x: .*nonsense"):
        open_storage("nonsense://x")
    monkeypatch.delitem(registered, "s3", raising=False)  # where another test has opened one
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"^s3://data/x: .*pip install 'mmaif\[s3\]'$"):
        open_storage("s3://data/x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UserError, match=r"^gs://data/x: object storage needs fsspec; pip install 'mmaif\[cloud\]'$"):
        open_storage("gs://data/x")


def test_the_memory_of_this_process_is_no_place_for_others(url):
    with pytest.raises(UserError, match="no other process sees this one's memory; give --workers 1"):
        generate(plan(), url, workers=2)


@pytest.fixture(scope="module")
def server():
    with s3_server() as (proxy, environment):
        yield proxy, environment


@pytest.fixture
def proxy(server, monkeypatch):
    for key, value in server[1].items():
        monkeypatch.setenv(key, value)
    yield server[0]
    server[0].refused = server[0].cut = 0


def run(out: str, recipe: Path, verb: str = "generate", **how) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "synth", verb, "--recipe", str(recipe), "--workers", "2", "--out", out]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **how)


@pytest.mark.slow
@pytest.mark.usefixtures("proxy")
def test_a_bucket_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"^s3://nothing/x: The specified bucket does not exist$"):
        Bucket("s3://nothing/x").write("dataset.json", b"{}")


@pytest.mark.slow
@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("key", ["pairs//1//a b%20.png", "pairs/1//what?.png"])
def test_a_key_of_object_storage_is_taken_at_its_word(tmp_path, monkeypatch, key):
    from synth.pairs import remote

    monkeypatch.setenv("MMAIF_CACHE", str(tmp_path / "cache"))
    remote._cache.cache_clear()
    fsspec.filesystem("s3").pipe_file(f"data/{key}", b"data")
    file = remote.Remote(f"s3://data/{key}")
    assert (file.open().read(), file.name) == (b"data", key.rpartition("/")[2])
    remote._cache.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("proxy")
def test_runs_against_s3_that_are_killed_end_with_the_bytes_of_a_folder(tmp_path):
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 150}))
    assert run(str(tmp_path / "d"), recipe).returncode == 0
    rng = random.Random(3)
    command = [sys.executable, "-m", "synth", "generate", "--recipe", str(recipe), "--workers", "2", "--out"]
    for _ in range(3):
        killed = subprocess.Popen([*command, "s3://data/killed"], stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(rng.uniform(2.5, 5))
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    standing = open_storage("s3://data/killed").sizes()
    assert {name.replace("parquet", "tar") for name in standing if name.endswith("parquet")} <= set(standing)
    done = run("s3://data/killed", recipe)
    assert done.returncode == 0, done.stderr
    assert hashes_at("s3://data/killed") == hashes(tmp_path / "d")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refused", "cut"])
def test_a_server_that_fails_costs_nothing(proxy, tmp_path, fault):
    """Every tenth request is refused, or every seventh body, to or from the server, breaks off in the middle."""
    pairs = bracket_folder(tmp_path / "pairs")
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 60, "sources": [{"folder": str(pairs)}]}))
    assert run(str(tmp_path / "d"), recipe).returncode == 0
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    proxy.faults.clear()
    proxy.refused, proxy.cut = (10, 0) if fault == "refused" else (0, 7)
    url = f"s3://data/{fault}"
    made = run(url, recipe)
    assert made.returncode == 0, made.stderr
    assert "failed" in made.stderr
    (pairs / "shots-1/b.png").write_bytes(data)
    again = run(url, recipe, "retry")
    assert again.returncode == 0, again.stderr
    assert hashes_at(url) == hashes(tmp_path / "d")
    if fault == "refused":
        assert proxy.faults["refused"] >= 10
    else:
        assert min(proxy.faults["cut PUT"], proxy.faults["cut GET"]) >= 3, proxy.faults
