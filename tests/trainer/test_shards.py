"""The reader against shards/FORMAT.md: what it yields, in which order, and what it refuses."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
import torch

from tests.trainer.helpers import INSTRUCTIONS, picture, png, write_shard
from trainer.data.images import as_rgb, decode_member, read_image
from trainer.data.shards import IndexedShards, StreamedShards, open_shards
from trainer.data.urls import Ranges, expand
from trainer.errors import UserError
from trainer.frozen.klt import KLTAutoencoder

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
        if path.suffix == ".tar" and path.is_file():
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


def bomb(side: int = 60000) -> bytes:
    """A PNG whose header asks for side x side pixels, and that holds none."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b"\0" * 64), b"IEND"]
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def write_members(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def good_members(key: str = "000000007") -> dict[str, bytes]:
    record = json.dumps({"version": 1, "instruction": "fuse"}).encode()
    images = {f"{key}.{name}.png": png(picture(i)) for i, name in enumerate(("a", "b", "target"))}
    return {f"{key}.a.png": images[f"{key}.a.png"], f"{key}.json": record, **images}


def test_an_image_that_asks_for_gigabytes_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(bomb())
    with pytest.raises(UserError, match=r"a\.png: not an image") as error:
        read_image(tmp_path / "a.png")
    assert "\n" not in str(error.value)
    write_members(tmp_path / "0.tar", good_members() | {"000000007.b.png": bomb()})
    with pytest.raises(UserError, match=r"0\.tar: 000000007\.b\.png: not an image"):
        open_shards([str(tmp_path / "0.tar")], seed=0).load([0])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b'{"version": 1', "not JSON"),
        (b"[1]", "holds a list"),
        (b"[" * 100000, "nested too deeply"),
        (b"\xff\xfe", "not JSON"),
        (b"{}", "no format version"),
        (b'{"version": Infinity}', "no format version"),
        (b'{"version": 1}', "instruction: a sentence is needed, got None"),
        (b'{"version": 1, "instruction": ["x"]}', r"instruction: a sentence is needed, got \['x'\]"),
    ],
)
def test_a_record_that_is_none_is_one_line_with_shard_and_key(tmp_path: Path, record: bytes, said: str) -> None:
    write_members(tmp_path / "0.tar", good_members() | {"000000007.json": record})
    with pytest.raises(UserError, match=rf"0\.tar: 000000007\.json: {said}") as error:
        open_shards([str(tmp_path / "0.tar")], seed=0).load([0])
    assert "\n" not in str(error.value)


Column = list[object]
BROKEN_COLUMNS: dict[str, tuple[str, Callable[[Column], Column], str]] = {
    "negative offset": ("a_offset", lambda v: [-512, *v[1:]], "000000005: a_offset is -512"),
    "huge offset": ("a_offset", lambda v: [2**60, *v[1:]], f"000000005: a_offset is {2**60}"),
    "huge size": ("b_size", lambda v: [2**40, *v[1:]], f"000000005: b_size is {2**40}"),
    "no offset": ("a_offset", lambda v: [None, *v[1:]], "000000005: a_offset is None"),
    "no hash": ("a_sha256", lambda v: [None, *v[1:]], "000000005: a_sha256 is None"),
    "words": ("a_offset", lambda v: ["x" for _ in v], "column 'a_offset' is of string, not int64"),
    "lists": ("key", lambda v: [[1] for _ in v], "column 'key' is of list"),
    "no member": ("json_name", lambda v: ["x" for _ in v], "000000005: no member 'json'"),
}


@pytest.mark.parametrize("case", BROKEN_COLUMNS)
def test_a_sidecar_with_wrong_values_is_one_line_with_shard_and_key(dataset: Path, case: str) -> None:
    column, change, said = BROKEN_COLUMNS[case]
    path = dataset / "000001.parquet"
    table = pq.read_table(path, use_threads=False)
    values = pa.array(change(table[column].to_pylist()))
    pq.write_table(table.set_column(table.column_names.index(column), column, values), path)
    with pytest.raises(UserError) as error:
        open_shards([str(dataset / "000001.tar")], seed=0).load([0])
    assert "000001." in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sidecar_broken_anywhere_is_one_line(dataset: Path) -> None:
    path = dataset / "000001.parquet"
    whole = path.read_bytes()
    refused = 0
    for start in range(4, len(whole) - 40, len(whole) // 40):
        path.write_bytes(whole[:start] + b"\xa5" * 40 + whole[start + 40 :])
        try:
            open_shards([str(dataset / "000001.tar")], seed=0).load(range(5))
        except UserError as error:
            refused += 1
            assert "000001." in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
    assert refused > 10
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"000001\.parquet: cannot be read as parquet"):
        open_shards([str(dataset / "000001.tar")], seed=0)


def test_what_is_no_tar_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(b"not a tar" * 1000)
    with pytest.raises(UserError) as error:
        open_shards([str(tmp_path / "0.tar")], seed=0).load([0])
    assert str(error.value).startswith(f"{tmp_path}/0.tar: not a whole tar (")
    assert "BufferedReader" not in str(error.value)
    write_shard(tmp_path / "1.tar", range(4), sidecar=False)
    (tmp_path / "1.tar").write_bytes(gzip.compress((tmp_path / "1.tar").read_bytes())[:2000])
    with pytest.raises(UserError, match="not a whole tar"):
        open_shards([str(tmp_path / "1.tar")], seed=0).load([0])


def test_tars_of_one_name_and_other_content_have_another_fingerprint(tmp_path: Path) -> None:
    prints = []
    for number, indices in enumerate((range(4), range(4), range(5), range(4, 8))):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_shard(folder / "0.tar", indices, sidecar=False)
        prints.append(open_shards([str(folder / "0.tar")], seed=0).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "holds a list"),
        ('{"version": 1', "not JSON"),
        ('{"version": {}, "kind": "images"}', "no format version"),
        ('{"version": 1, "kind": ["x"]}', "of kind"),
    ],
)
def test_a_dataset_json_that_is_none_is_one_line(dataset: Path, text: str, said: str) -> None:
    (dataset / "dataset.json").write_text(text)
    with pytest.raises(UserError, match=rf"dataset\.json: .*{said}"):
        expand([str(dataset)])


def test_a_folder_in_the_place_of_dataset_json_and_names_that_none_can_have(dataset: Path) -> None:
    (dataset / "dataset.json").unlink()
    (dataset / "dataset.json").mkdir()
    with pytest.raises(UserError, match=r"dataset\.json: cannot be read"):
        expand([str(dataset)])
    for name in ("x" * 5000, "x" * 5000 + ".tar", "", "http://[broken/0.tar"):
        with pytest.raises(UserError) as error:
            open_shards([name], seed=0)
        assert "\n" not in str(error.value)


def test_many_shards_are_named_in_linear_time() -> None:
    assert len(expand(["http://host/{000000..099999}.tar"])) == 100000
    with pytest.raises(UserError, match=r"7\.tar is named twice"):
        expand(["http://host/{0..9}.tar", "http://host/7.tar"])


class NoHead(RangeHandler):
    """A server that answers GET alone, as addresses signed for it do."""

    def do_HEAD(self) -> None:
        self.send_error(405)


def test_a_server_without_head_serves_and_tells_streams_apart(dataset: Path) -> None:
    local = open_shards([f"{dataset}/{{000000..000001}}.tar"], seed=0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(NoHead, directory=str(dataset))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
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
        server.shutdown()


def test_pictures_smaller_than_a_block_are_one_line() -> None:
    with pytest.raises(UserError, match="a sample of 32x7 px"):
        KLTAutoencoder.fit([torch.zeros(3, 7, 32)])
