"""Tars without sidecars, from front to back."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.data.helpers import RangeHandler, keys, serving
from tests.trainer.helpers import picture, write_shard
from trainer.data.shards import Reading, open_either, open_shards
from trainer.data.stream import StreamedShards
from trainer.errors import UserError


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


def test_a_bare_tar_over_http_is_streamed(dataset: Path, served: tuple[str, type[RangeHandler]]) -> None:
    (dataset / "000001.parquet").unlink()
    shards = open_shards([served[0] + "/000001.tar"], seed=0)
    assert isinstance(shards, StreamedShards)
    assert keys(shards, range(5)) == [5, 6, 7, 8, 9]


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


class Cutting(RangeHandler):
    """Closes the line in the middle of a tar that is asked for whole."""

    def do_GET(self) -> None:
        if self.headers.get("Range"):
            return super().do_GET()
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])


def test_a_line_that_breaks_in_a_stream_is_one_line(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(8), sidecar=False)
    said = r"0\.tar: not a whole tar \(.+\); copy it again"
    with serving(tmp_path, Cutting) as url, pytest.raises(UserError, match=said) as error:
        StreamedShards([f"{url}/0.tar"], seed=0).load(range(8))
    assert "\n" not in str(error.value)


def test_the_output_of_a_command_is_streamed_and_says_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        write_shard(tmp_path / f"{number}.tar", range(4 * number, 4 * number + 4))
    shards = open_either([f"pipe:cat {tmp_path}/{{0..1}}.tar"], 0, Reading())
    assert isinstance(shards, StreamedShards)
    assert sorted(keys(shards, range(8))) == list(range(8))
    assert "streamed, since no sidecar" in capsys.readouterr().err
    packed = open_either([f"pipe:gzip -c {tmp_path}/0.tar | gunzip"], 0, Reading())
    assert sorted(keys(packed, range(4))) == list(range(4))
    assert packed.fingerprint != shards.fingerprint


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    shards = open_either([f"pipe:cat {tmp_path}/none.tar"], 0, Reading())
    with pytest.raises(UserError, match=r"none\.tar: not a whole tar \(.*exit 1"):
        shards.load([0])
    write_shard(tmp_path / "0.tar", range(4))
    with pytest.raises(UserError, match="no sidecar"):
        open_either([str(tmp_path / "0.tar"), f"pipe:cat {tmp_path}/0.tar"], 0, Reading())
