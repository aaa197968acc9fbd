"""The reader against shards/FORMAT.md: what it yields, in which order, and what it refuses."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tests.trainer.helpers import INSTRUCTIONS, picture, write_shard
from trainer.data.images import as_rgb, decode_member, read_image
from trainer.data.shards import IndexedShards, StreamedShards, open_shards
from trainer.data.urls import Ranges, expand
from trainer.errors import UserError

GOOD = [0, 1, 2, 4, 5, 6, 7, 8, 9]  # of the fixture: 3 failed


def keys(shards: IndexedShards | StreamedShards, positions: range) -> list[int]:
    return [int(sample.key) for sample in shards.load([shards.at(position) for position in positions])]


def test_braces_and_folders_become_tars(dataset: Path) -> None:
    tars = [f"{dataset}/000000.tar", f"{dataset}/000001.tar"]
    assert expand([f"{dataset}/{{000000..000001}}.tar"]) == tars
    assert expand([str(dataset)]) == tars
    assert expand(["http://host/{a,b}/00.tar"]) == ["http://host/a/00.tar", "http://host/b/00.tar"]
    with pytest.raises(UserError, match="named twice"):
        expand([str(dataset), tars[0]])


def test_a_sample_is_what_was_written(dataset: Path) -> None:
    shards = open_shards([str(dataset)], seed=0)
    for sample in shards.load(range(9)):
        index = int(sample.key)
        np.testing.assert_array_equal(sample.target, picture(index))
        np.testing.assert_array_equal(sample.a, picture(index) // 2)
        assert sample.instruction == INSTRUCTIONS[index % 3] == sample.record["instruction"]


def test_a_cycle_holds_each_good_sample_once_and_cycles_differ(dataset: Path) -> None:
    shards = open_shards([str(dataset)], seed=0)
    first, second = keys(shards, range(9)), keys(shards, range(9, 18))
    assert sorted(first) == sorted(second) == GOOD
    assert first != second
    assert keys(open_shards([str(dataset)], seed=1), range(9)) != first


def test_the_order_is_a_pure_function_of_seed_and_position(dataset: Path) -> None:
    whole = keys(open_shards([str(dataset)], seed=5), range(40))
    assert keys(open_shards([str(dataset)], seed=5), range(23, 40)) == whole[23:]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_is_the_same_for_any_number_of_workers(dataset: Path, workers: int) -> None:
    shards = open_shards([str(dataset)], seed=0, workers=workers)
    assert keys(shards, range(30)) == keys(open_shards([str(dataset)], seed=0), range(30))
    shards.close()


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    write_shard(tmp_path / "grey.tar", range(1), grey_b=True)
    b = open_shards([str(tmp_path / "grey.tar")], seed=0).load([0])[0].b
    assert b.shape == (32, 32, 3)
    assert (b == b[:, :, :1]).all()
    grey = simplejpeg.encode_jpeg(picture(0, channels=1)[:, :, None], colorspace="GRAY", colorsubsampling="Gray")
    assert decode_member(grey, "a.jpg").shape == (32, 32, 3)
    assert as_rgb(picture(0, channels=1), "a").shape == (32, 32, 3)


def test_bytes_that_differ_from_the_sidecar_are_refused(dataset: Path) -> None:
    tar = dataset / "000001.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"000001\.tar.*not the bytes"):
        open_shards([str(dataset)], seed=0).load(range(9))


def test_a_tar_without_sidecar_is_streamed_cycle_after_cycle(tmp_path: Path) -> None:
    for number in range(3):
        write_shard(tmp_path / f"{number}.tar", range(4 * number, 4 * number + 4), sidecar=False)
    shards = open_shards([f"{tmp_path}/{{0..2}}.tar"], seed=2)
    assert isinstance(shards, StreamedShards)
    whole = keys(shards, range(24))
    assert sorted(whole[:12]) == sorted(whole[12:]) == list(range(12))
    assert keys(open_shards([f"{tmp_path}/{{0..2}}.tar"], seed=2), range(17, 24)) == whole[17:], "resumed"
    assert keys(shards, range(5)) == whole[:5], "read again from the start"
    np.testing.assert_array_equal(shards.load([0])[0].target, picture(whole[0]))


def test_a_stream_passes_over_incomplete_samples_and_refuses_a_tar_of_them(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("000000000.json"), io.BytesIO())
    with pytest.raises(UserError, match="no complete sample"):
        open_shards([str(tmp_path / "0.tar")], seed=0).load([0])


def test_a_truncated_stream_is_one_line(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(4), sidecar=False)
    whole = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="not a whole tar"):
        open_shards([str(tmp_path / "0.tar")], seed=0).load(range(4))


class RangeHandler(SimpleHTTPRequestHandler):
    """Answers ranges, which Python's own server does not, and counts the bytes that it sends of tars."""

    ranges = True
    sent = 0

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        asked = self.headers.get("Range")
        if path.suffix == ".tar":
            data = path.read_bytes()
            if self.ranges and asked:
                start, end = (int(number) for number in asked.removeprefix("bytes=").split("-"))
                data = data[start : end + 1]
            type(self).sent += len(data)
            self.send_response(206 if self.ranges and asked else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def served(request: pytest.FixtureRequest, dataset: Path) -> Iterator[tuple[str, type[RangeHandler]]]:
    handler = type("Handler", (RangeHandler,), {"ranges": request.param, "sent": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(dataset))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
        server.shutdown()


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


def test_a_shard_that_the_server_does_not_have_is_one_line(served: tuple[str, type[RangeHandler]]) -> None:
    with pytest.raises(UserError, match=r"000002\.tar: not there"):
        open_shards([served[0] + "/{000000..000002}.tar"], seed=0)


def test_a_bare_tar_over_http_is_streamed(dataset: Path, served: tuple[str, type[RangeHandler]]) -> None:
    (dataset / "000001.parquet").unlink()
    shards = open_shards([served[0] + "/000001.tar"], seed=0)
    assert isinstance(shards, StreamedShards)
    assert keys(shards, range(5)) == [5, 6, 7, 8, 9]


def test_ranges_are_bytes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(100)))
    assert Ranges().read(str(tmp_path / "x"), 7, 3) == bytes([7, 8, 9])


def test_an_image_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="not an image"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"b\.png: cannot be read"):
        read_image(tmp_path / "b.png")
