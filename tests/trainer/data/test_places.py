"""Bytes from files, web servers and object storage, whatever fails on the way."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
import numpy as np
import pytest
from torch.utils.data import DataLoader

from tests.s3 import Proxy, s3_server
from tests.trainer.data.helpers import GOOD, NoHead, RangeHandler, keys, serving
from tests.trainer.helpers import write_shard
from trainer.data import places
from trainer.data.places import Ranges
from trainer.data.samples import Samples
from trainer.data.shards import open_shards
from trainer.data.stream import StreamedShards
from trainer.errors import UserError


def test_ranges_are_bytes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(100)))
    assert Ranges().read(str(tmp_path / "x"), 7, 3) == bytes([7, 8, 9])


def test_http_gives_the_same_samples_as_the_disk(dataset: Path, served: tuple[str, type[RangeHandler]]) -> None:
    url, handler = served
    remote = open_shards([url + "/{000000..000001}.tar"], seed=0, workers=4)
    local = open_shards([str(dataset)], seed=0)
    assert remote.fingerprint == local.fingerprint
    for ours, theirs in zip(remote.load(range(9)), local.load(range(9)), strict=True):
        assert ours.key == theirs.key
        np.testing.assert_array_equal(ours.a, theirs.a)
    remote.load(range(9))
    size = sum(path.stat().st_size for path in dataset.glob("*.tar"))
    assert handler.sent <= 2 * size, "each range once a reading, or each shard once in all"


def test_forked_processes_read_from_a_server_that_was_read_before(served: tuple[str, type[RangeHandler]]) -> None:
    samples = Samples([f"{served[0]}/00000{number}.tar" for number in (0, 1)])
    assert int(samples[8].key) == 9
    for _ in range(2):
        loader = DataLoader(samples, batch_size=2, num_workers=2, collate_fn=list)  # type: ignore[arg-type]
        assert [int(sample.key) for batch in loader for sample in batch] == GOOD
    assert int(samples[8].key) == 9, "what is kept is still there"


def test_a_shard_that_the_server_does_not_have_is_one_line(served: tuple[str, type[RangeHandler]]) -> None:
    with pytest.raises(UserError, match=r"000002\.tar: not there"):
        open_shards([served[0] + "/{000000..000002}.tar"], seed=0)


def test_a_server_without_head_serves_and_tells_streams_apart(dataset: Path) -> None:
    local = open_shards([f"{dataset}/{{000000..000001}}.tar"], seed=0)
    with serving(dataset, NoHead) as url:
        remote = open_shards([url + "/{000000..000001}.tar"], seed=0)
        assert remote.fingerprint == local.fingerprint
        for path in dataset.glob("*.parquet"):
            path.unlink()
        streamed = open_shards([url + "/000001.tar"], seed=0)
        assert isinstance(streamed, StreamedShards)
        assert keys(streamed, range(5)) == [5, 6, 7, 8, 9]
        again = open_shards([f"{dataset}/000001.tar"], seed=0).fingerprint
        write_shard(dataset / "000001.tar", range(20, 25), sidecar=False)
        assert open_shards([url + "/000001.tar"], seed=0).fingerprint not in (again, streamed.fingerprint)
        with pytest.raises(UserError, match="not there"):
            open_shards([url + "/000009.tar"], seed=0)


def test_what_is_kept_of_a_server_without_ranges_goes_with_the_reader(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    with serving(dataset, type("Whole", (RangeHandler,), {"ranges": False})) as url:
        ranges, whole = Ranges(), (dataset / "000000.tar").read_bytes()
        assert ranges.read(f"{url}/000000.tar", 512, 100) == whole[512:612]
    assert ranges.read(f"{url}/000000.tar", 1000, 10) == whole[1000:1010], "the server is gone"
    assert list((tmp_path / "kept").glob("*/*.tar"))
    del ranges
    gc.collect()  # the traceback of the answer without ranges held it
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("fault", ["refused", "cut"])
def test_a_web_server_that_fails_costs_nothing(dataset: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Every tenth request is refused, or every seventh body breaks off in the middle."""
    monkeypatch.setattr(places, "PAUSES_S", (0.0,) * len(places.PAUSES_S))
    local = open_shards([str(dataset)], seed=0)
    with serving(dataset, RangeHandler) as url:
        behind = urlsplit(url)
        with Proxy((str(behind.hostname), int(behind.port or 0))) as proxy:
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            proxy.refused, proxy.cut = (10, 0) if fault == "refused" else (0, 7)
            remote = open_shards([proxy.url + "/{000000..000001}.tar"], seed=0, workers=4)
            assert remote.fingerprint == local.fingerprint
            for ours, theirs in zip(remote.load([*range(9)] * 3), local.load([*range(9)] * 3), strict=True):
                np.testing.assert_array_equal(ours.a, theirs.a)
            assert proxy.faults.total() > 1
            proxy.shutdown()


@pytest.mark.parametrize(("status", "asked"), [(403, 1), (500, len(places.PAUSES_S)), (410, 1)])
def test_a_server_that_refuses_is_asked_again_only_where_that_may_help(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, status: int, asked: int
) -> None:
    monkeypatch.setattr(places, "PAUSES_S", (0.0,) * len(places.PAUSES_S))
    gets = []

    class Refusing(RangeHandler):
        def do_GET(self) -> None:
            gets.append(self.path)
            self.send_error(status)

    with serving(dataset, Refusing) as url:
        wanted: Any = FileNotFoundError if status == 410 else UserError
        with pytest.raises(wanted, match=None if status == 410 else f"x: cannot be read .HTTP {status}."):
            places.read(f"{url}/x")
    assert len(gets) == asked


def test_what_is_missing_for_a_url_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^nonsense://x: .*nonsense.*; give a path, or an http"):
        open_shards(["nonsense://x/0.tar"], seed=0)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"^s3://nowhere: .*pip install 'mmaif\[s3\]'$"):
        open_shards(["s3://nowhere/0.tar"], seed=0)


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Proxy, dict[str, str]]]:
    with s3_server() as (proxy, environment):
        yield proxy, environment


@pytest.fixture
def bucket(store: tuple[Proxy, dict[str, str]], dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The dataset in s3://data/d."""
    for key, value in store[1].items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(places, "PAUSES_S", (0.0,) * len(places.PAUSES_S))
    fsspec.filesystem("s3").put(f"{dataset}/", "data/d/", recursive=True)
    store[0].faults.clear()
    yield store[0]
    store[0].refused = store[0].cut = 0


@pytest.mark.parametrize("fault", ["none", "refused", "cut"])
def test_s3_gives_the_same_samples_as_the_disk(bucket: Proxy, dataset: Path, fault: str) -> None:
    local = open_shards([str(dataset)], seed=0)
    bucket.refused, bucket.cut = {"none": (0, 0), "refused": (10, 0), "cut": (0, 7)}[fault]
    remote = open_shards(["s3://data/d"], seed=0, workers=4)
    assert remote.fingerprint == local.fingerprint
    for ours, theirs in zip(remote.load(range(9)), local.load(range(9)), strict=True):
        assert ours.key == theirs.key
        np.testing.assert_array_equal(ours.a, theirs.a)
    assert bool(bucket.faults.total()) == (fault != "none")


@pytest.mark.usefixtures("bucket")
def test_a_bare_tar_in_s3_is_streamed_and_one_that_is_not_there_is_one_line(dataset: Path) -> None:
    write_shard(dataset / "bare.tar", range(7), sidecar=False)
    fsspec.filesystem("s3").put(f"{dataset}/bare.tar", "data/bare/000000.tar")
    shards = open_shards(["s3://data/bare/000000.tar"], seed=0)
    assert isinstance(shards, StreamedShards)
    assert keys(shards, range(7)) == list(range(7))
    with pytest.raises(UserError, match=r"s3://data/bare/000001\.tar: not there"):
        open_shards(["s3://data/bare/{000000..000001}.tar"], seed=0)
    with pytest.raises(UserError, match=r"no dataset\.json in it"):
        open_shards(["s3://data/nothing"], seed=0)
