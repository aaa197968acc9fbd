"""Shards of elsewhere on a disk of this machine."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest

from tests.trainer.data.helpers import RangeHandler, keys
from tests.trainer.helpers import Command, log_of
from trainer.data.cache import ShardCache
from trainer.data.shards import Reading, open_either
from trainer.errors import UserError

TARS = "/{000000..000001}.tar"


def test_a_shard_is_sent_once_however_many_samples_are_read(
    dataset: Path, served: tuple[str, type[RangeHandler]], tmp_path: Path
) -> None:
    url, handler = served
    size = sum(path.stat().st_size for path in dataset.glob("*.tar"))
    for _ in range(2):  # the second time, nothing at all
        cached = open_either([url + TARS], 0, Reading(workers=4, cache=ShardCache(tmp_path / "cache", 2**30)))
        assert keys(cached, range(27)) == keys(open_either([str(dataset)], 0, Reading()), range(27))  # type: ignore[arg-type]
        assert handler.sent == size
        cached.close()
    copy = pickle.loads(pickle.dumps(cached.samples))  # type: ignore[union-attr]
    assert copy[0].key == cached.samples[0].key  # type: ignore[union-attr]
    assert handler.sent == size
    assert not list((tmp_path / "cache").glob(".*"))


class Files:
    """Files of `length` bytes, and how often each was fetched."""

    def __init__(self, folder: Path, limit: int, length: int = 100) -> None:
        self.cache, self.length, self.fetched = ShardCache(folder, limit), length, list[str]()

    def read(self, name: str) -> bytes:
        def fetch(path: Path) -> None:
            self.fetched.append(name)
            path.write_bytes(name.encode() * self.length)

        return bytes(self.cache.read(name, 1, 3, lambda: self.length, fetch))


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    files = Files(tmp_path, 300)
    for number, name in enumerate("abc"):
        assert files.read(name) == 3 * name.encode()
        for path in tmp_path.glob("*.tar"):  # clocks of file systems are coarse
            told = path.stat()
            os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns - 10**9))
        assert len(files.fetched) == number + 1
    files.read("a")
    files.read("d")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.tar")) == 300
    for name in "acd":
        files.read(name)
    assert files.fetched == list("abcd"), "b went"
    files.read("b")
    assert files.fetched == list("abcdb")
    with pytest.raises(UserError, match=r"has 0.00 GiB, and the cache of shards holds 0.00; raise run.shard_cache_gib"):
        Files(tmp_path, 300, 301).read("e")


def test_threads_that_push_each_other_out_read_what_they_asked_for(tmp_path: Path) -> None:
    files, wrong = Files(tmp_path, 200), list[str]()

    def work(start: int) -> None:
        for turn in range(40):
            name = "abcde"[(start + turn) % 5]
            if files.read(name) != 3 * name.encode():
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(path.stat().st_size for path in tmp_path.glob("*.tar")) <= 200


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 300)

    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise UserError("gone")

    with pytest.raises(UserError, match="gone"):
        cache.read("x", 0, 1, lambda: 100, fails)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"run.shard_cache .*file/x: cannot be made"):
        ShardCache(tmp_path / "file/x", 1)


def test_training_from_a_cache_in_windows_is_the_run_from_here(
    dataset: Path, served: tuple[str, type[RangeHandler]], tmp_path: Path, config_file, trainer_main: Command
) -> None:
    same = ("--config", config_file(), "--set", "order.kind=window", "--set", "order.window=3", "--samples", 40)
    cache = ("--set", f"run.shard_cache={tmp_path / 'cache'}")
    assert trainer_main("train", "--shards", dataset, *same, "--out", tmp_path / "here")[0] == 0
    assert trainer_main("train", "--shards", served[0] + TARS, *same, *cache, "--out", tmp_path / "there")[0] == 0
    assert log_of(tmp_path / "here")[-1]["loss"] == log_of(tmp_path / "there")[-1]["loss"]
    assert trainer_main("train", "--shards", dataset, *same[:2], "--samples", 40, "--out", tmp_path / "global")[0] == 0
    assert log_of(tmp_path / "here")[-1]["loss"] != log_of(tmp_path / "global")[-1]["loss"]
