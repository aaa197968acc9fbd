"""Samples by number: what was written, and a line for what is broken."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from torch.utils.data import DataLoader

from tests.trainer.data.helpers import GOOD, bomb, good_members, write_members
from tests.trainer.helpers import INSTRUCTIONS, picture, write_shard
from trainer.data.images import as_rgb, decode_member, read_image
from trainer.data.samples import Samples
from trainer.data.shards import open_shards
from trainer.errors import UserError


def test_a_sample_is_what_was_written(dataset: Path) -> None:
    shards = open_shards([str(dataset)], seed=0)
    for sample in shards.load(range(9)):
        index = int(sample.key)
        np.testing.assert_array_equal(sample.target, picture(index))
        np.testing.assert_array_equal(sample.a, picture(index) // 2)
        assert sample.instruction == INSTRUCTIONS[index % 3] == sample.record["instruction"]


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    write_shard(tmp_path / "grey.tar", range(1), grey_b=True)
    b = open_shards([str(tmp_path / "grey.tar")], seed=0).load([0])[0].b
    assert b.shape == (32, 32, 3)
    assert (b == b[:, :, :1]).all()
    grey = simplejpeg.encode_jpeg(picture(0, channels=1)[:, :, None], colorspace="GRAY", colorsubsampling="Gray")
    assert decode_member(grey, "a.jpg").shape == (32, 32, 3)
    assert as_rgb(picture(0, channels=1), "a").shape == (32, 32, 3)


@pytest.mark.parametrize("sidecar", [True, False], ids=["by sidecar", "streamed"])
def test_the_clean_pair_comes_where_it_is_asked_for_and_stored(tmp_path: Path, sidecar: bool) -> None:
    write_shard(tmp_path / "0.tar", range(3), sidecar=sidecar, clean=True)
    for asked in (True, False):
        sample = open_shards([str(tmp_path / "0.tar")], seed=0, clean=asked).load([0])[0]
        seen = picture(int(sample.key))
        np.testing.assert_array_equal(sample.a, seen // 2)
        for image, stored in ((sample.clean_a, seen), (sample.clean_b, 255 - seen)):
            if asked:
                np.testing.assert_array_equal(image, stored)
            else:
                assert image is None
    write_shard(tmp_path / "0.tar", range(3), sidecar=sidecar)
    said = "clean_a.*store: .clean." if sidecar else "no complete sample .*clean_a"
    with pytest.raises(UserError, match=said):
        open_shards([str(tmp_path / "0.tar")], seed=0, clean=True).load([0])


def test_a_dataloader_of_torch_reads_by_number_in_any_number_of_processes(dataset: Path) -> None:
    samples = Samples([f"{dataset}/00000{number}.tar" for number in (0, 1)])
    assert [int(sample.key) for sample in samples] == GOOD  # type: ignore[attr-defined]
    for workers in (0, 2):
        loader = DataLoader(samples, batch_size=4, num_workers=workers, collate_fn=list)  # type: ignore[arg-type]
        assert [int(sample.key) for batch in loader for sample in batch] == GOOD
    copy = pickle.loads(pickle.dumps(samples))
    np.testing.assert_array_equal(copy[3].target, samples[3].target)
    for number in (-1, 9):
        with pytest.raises(IndexError):
            samples[number]


def test_bytes_that_differ_from_the_sidecar_are_refused(dataset: Path) -> None:
    tar = dataset / "000001.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"000001\.tar.*not the bytes"):
        open_shards([str(dataset)], seed=0).load(range(9))


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
