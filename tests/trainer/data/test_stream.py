"""Tars without sidecars, from front to back."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.data.helpers import RangeHandler, good_members, keys, serving
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


def loaded(tar: Path, count: int = 10) -> list[str]:
    """The keys of so many samples of a tar."""
    return [sample.key for sample in StreamedShards([str(tar)], seed=0).load(range(count))]


def write(path: Path, files: list[tuple[str, bytes]], mode: str = "w", **how: Any) -> Path:
    """A tar of these files in this order, or more of them at its end (mode "a")."""
    with tarfile.open(path, mode, **how) as tar:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def files_of(count: int, prefix: str = "") -> list[tuple[str, bytes]]:
    return [
        (prefix + name, data) for index in range(count) for name, data in sorted(good_members(f"{index:09d}").items())
    ]


def test_a_tar_whose_records_were_appended_is_refused_and_each_sample_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven of ten would be trained on else, without a word."""
    late = [f"{index:09d}.json" for index in range(3)]
    files = files_of(10)
    path = write(tmp_path / "0.tar", [(name, data) for name, data in files if name not in late])
    write(path, [(name, data) for name, data in files if name in late], "a")
    shards = StreamedShards([str(path)], seed=0)
    assert [sample.key for sample in shards.load(range(7))] == [f"{index:09d}" for index in range(3, 10)]
    told = capsys.readouterr().err
    assert [told.count(f"0.tar: {index:09d}: no member 'json', there are a.png, b.png") for index in range(4)] == [
        1
    ] * 3 + [0]
    with pytest.raises(UserError, match=r"0\.tar: 000000000 is in it in pieces .* pack it again, sorted by name"):
        shards.load([7])


@pytest.mark.parametrize("gone", ["a", "b", "json", "target"])
def test_over_a_hundredth_of_samples_without_a_member_is_refused(
    tmp_path: Path, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [(name, data) for name, data in files_of(6) if not name.startswith(f"000000002.{gone}")]
    shards = StreamedShards([str(write(tmp_path / "0.tar", files))], seed=0)
    assert len(shards.load(range(5))) == 5
    assert capsys.readouterr().err.count(f"passed over: {tmp_path}/0.tar: 000000002: no member '{gone}'") == 1
    assert shards.broken == 1
    with pytest.raises(UserError, match=r"0\.tar: 1 of 6 samples miss a member \(1 of 6 read so far, over 1%\)"):
        shards.load([5])


def test_of_many_the_first_few_are_told_and_their_number_and_each_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.stream.MOST_BROKEN", 0.6)
    files = [item for item in files_of(12) if not item[0].startswith(tuple(f"{i:09d}.json" for i in range(6)))]
    shards = StreamedShards([str(write(tmp_path / "0.tar", files))], seed=0)
    shards.load(range(18))
    shards.load([0])  # read from the start once more
    told = capsys.readouterr().err
    assert told.count("no member 'json'") == 3
    assert told.count("6 of its 12 samples, which miss a member") == 1
    assert shards.broken == 6


def test_incomplete_samples_are_judged_before_the_end_of_a_long_tar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.stream.JUDGED_EVERY", 4)
    files = [item for item in files_of(20) if not item[0].startswith("000000001.json")]
    with pytest.raises(UserError, match="1 of 4 samples miss a member"):
        loaded(write(tmp_path / "0.tar", files), 10)


def test_a_sample_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    again = sorted(good_members("000000001").items())
    with pytest.raises(UserError, match=r"000000001 is in it twice \(a\.png after 000000003\)"):
        loaded(write(tmp_path / "0.tar", files_of(4) + again))
    with pytest.raises(UserError, match=r"000000003\.a\.png is in it twice"):
        loaded(write(tmp_path / "1.tar", [*files_of(4), ("000000003.a.png", b"")]))


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./", "v1.0/train/", "x" * 150 + "/"])
def test_folders_and_long_names_in_any_layout(tmp_path: Path, layout: int, prefix: str) -> None:
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    with tarfile.open(tmp_path / "0.tar", "w", format=layout) as tar:
        tar.addfile(folder)
        for name, data in files_of(3, prefix):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert loaded(tmp_path / "0.tar", 3) == [f"{prefix}{index:09d}" for index in range(3)]


def test_what_is_no_sample_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [("README.md", b"#"), ("dataset.json", b"{}"), ("__meta__/x.json", b"{}"), ("000000000.caption.txt", b"x")]
    assert loaded(write(tmp_path / "0.tar", [*others, *files_of(2)]), 4)[:2] == ["000000000", "000000001"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize("packed", ["", "gz", "bz2", "xz"])
def test_a_tar_cut_between_two_samples_is_no_whole_tar(tmp_path: Path, packed: str) -> None:
    """Python's tarfile takes that for its end, and a broken header too."""
    write(tmp_path / "0.tar", files_of(4))
    whole = (tmp_path / "0.tar").read_bytes()
    with tarfile.open(tmp_path / "0.tar") as tar:
        at = tar.getmember("000000002.a.png").offset
    pack = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[packed]
    broken = whole[:at] + bytes([255]) * 512 + whole[at + 512 :]
    for number, data in enumerate((whole[:at], whole[: at + 100], whole[: at + 512], broken, whole + whole)):
        path = tmp_path / f"{number}-broken.tar"
        path.write_bytes(pack(data))
        with pytest.raises(UserError, match=r"broken\.tar: not a whole tar \("):
            loaded(path)
    (tmp_path / "whole.tar").write_bytes(pack(whole))
    assert len(loaded(tmp_path / "whole.tar", 4)) == 4


def test_an_empty_tar_is_told_and_nothing_but_empty_ones_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "0.tar", [])
    write(tmp_path / "1.tar", files_of(2))
    keys(StreamedShards([f"{tmp_path}/{number}.tar" for number in range(2)], seed=0), range(6))
    assert capsys.readouterr().err.count("0.tar: no sample in it") == 1
    with pytest.raises(UserError, match="no complete sample"):
        loaded(tmp_path / "0.tar")
    (tmp_path / "2.tar").write_bytes(b"")
    with pytest.raises(UserError, match=r"2\.tar: not a whole tar \(.*empty"):
        loaded(tmp_path / "2.tar")


def test_a_tar_that_is_longer_or_shorter_than_its_sidecar_says_is_refused(dataset: Path) -> None:
    tar = dataset / "000001.tar"
    size = tar.stat().st_size
    table = pq.read_table(tar.with_suffix(".parquet"))
    told = {**table.schema.metadata, b"mmaif.tar_bytes": str(size).encode()}
    pq.write_table(table.replace_schema_metadata(told), tar.with_suffix(".parquet"))
    open_shards([str(dataset)], seed=0).close()
    write(tar, [(f"{name}.late", data) for name, data in files_of(9)], "a")
    with pytest.raises(UserError, match=rf"000001\.tar: \d+ bytes, its sidecar says {size}: it was appended to since"):
        open_shards([str(dataset)], seed=0)
    tar.write_bytes(tar.read_bytes()[: size - 5000])
    with pytest.raises(UserError, match="it was cut since"):
        open_shards([str(dataset)], seed=0)


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
