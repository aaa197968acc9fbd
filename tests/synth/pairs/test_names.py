"""Names of files that stand for one thing twice, for nothing, or for no text."""

import os
import shutil
from pathlib import Path

import pytest

from synth.images import codecs
from synth.pairs.base import PairRef
from synth.pairs.folder import FolderSource
from synth.pairs.photos import PhotoSource
from synth.pairs.source import FileSource, LeftOut
from synth.pairs.writing import write_manifest
from tests.synth.helpers import photograph, write_pair

FORK = b"\0\5\26\7\0\2\0\0Mac OS X        " + bytes(300)  # what macOS writes beside a file as ._NAME


def read(source: FileSource) -> tuple[list[str], list[str]]:
    """Scenes of pairs, and what is left out."""
    items = list(source.pairs("mef"))
    pairs = [item.scene for item in items if isinstance(item, PairRef)]
    return pairs, [f"{item.scene}: {item.reason}" for item in items if isinstance(item, LeftOut)]


def pairs_in(root: Path, count: int) -> Path:
    for number in range(count):
        write_pair(root / f"x-{number}", photograph(40, 40) // 4, photograph(40, 40))
    return root


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("a.bmp", "2 files could be its a: a.bmp, a.png"),
        ("b.jpg", "2 files could be its b: b.jpg, b.png"),
        ("a.PNG", "2 files could be its a: a.PNG, a.png"),
        ("A.png", None),  # taken where no a.png stands beside it
        ("c.png", None),
        ("._a.png", None),
    ],
)
def test_two_files_for_one_image(tmp_path, extra, said):
    pairs_in(tmp_path, 2)
    shutil.copy(tmp_path / "x-0/a.png", tmp_path / "x-0" / extra)
    pairs, left_out = read(FolderSource(folder=tmp_path))
    assert pairs == (["x-0", "x-1"] if said is None else ["x-1"])
    assert left_out == ([] if said is None else [f"x-0: {said}"])


@pytest.mark.parametrize("role", ["gt", "depth"])
def test_two_files_for_what_stands_beside_them(tmp_path, role):
    pairs_in(tmp_path, 1)
    for kind in ("png", "tif"):
        shutil.copy(tmp_path / "x-0/a.png", tmp_path / f"x-0/{role}.{kind}")
    assert read(FolderSource(folder=tmp_path)) == ([], [f"x-0: 2 files could be its {role}: {role}.png, {role}.tif"])


def test_two_photographs_of_one_name(tmp_path):
    write_pair(tmp_path, photograph(40, 40) // 2, photograph(40, 40) // 2)
    for extra in ("a.webp", "b.depth.png", "b.depth.tif"):
        shutil.copy(tmp_path / "a.png", tmp_path / extra)
    pairs, left_out = read(PhotoSource(photos=tmp_path))
    assert pairs == []
    assert left_out == [
        "photos-a: 2 files of one name: a.png, a.webp",
        "photos-b: 2 files of one name: b.depth.png, b.depth.tif",
    ]


def test_hidden_files_and_folders_are_none(tmp_path):
    pairs_in(tmp_path / "p", 1)
    shutil.copytree(tmp_path / "p/x-0", tmp_path / "p/.x-1")
    for name in ("._a.png", "._b.png", "._gt.png"):
        (tmp_path / "p/x-0" / name).write_bytes(FORK)
    assert read(FolderSource(folder=tmp_path / "p")) == (["x-0"], [])
    assert read(PhotoSource(photos=tmp_path / "p/x-0", variants=1))[1] == []
    (tmp_path / "q").mkdir()
    shutil.copy(tmp_path / "p/x-0/a.png", tmp_path / "q/im.png")
    (tmp_path / "q/._im.png").write_bytes(FORK)
    (tmp_path / "q/._im.depth.png").write_bytes(FORK)
    assert read(PhotoSource(photos=tmp_path / "q", variants=1)) == (["photos-im-p0"], [])


def test_photographs_whose_names_are_no_text(tmp_path):
    write_pair(tmp_path, photograph(40, 40) // 2, photograph(40, 40) // 2)
    try:
        (tmp_path / "b.png").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("a file system that takes UTF-8 alone")
    pairs, left_out = read(PhotoSource(photos=tmp_path, variants=1))
    assert pairs == ["photos-a-p0"]
    assert left_out == [r"'caf\udce9.png': its name is no text in UTF-8"]


def test_names_of_a_data_set_that_are_no_text(tmp_path):
    for folder in ("under", "over"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for name in ("1.png", "2.png", os.fsdecode(b"caf\xe9.png")):
            try:
                (tmp_path / "set" / folder / name).write_bytes(codecs.encode_png(photograph(40, 40)))
            except OSError:
                pytest.skip("a file system that takes UTF-8 alone")
    said: list[str] = []
    for suffix in ("csv", "jsonl", "parquet"):
        assert write_manifest(tmp_path / "set", tmp_path / f"t.{suffix}", say=said.append) == 2
    assert sum("2 files or folders whose names are no text" in line for line in said) == 3
