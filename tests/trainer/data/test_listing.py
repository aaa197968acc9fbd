"""From what the user names to tars."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import fsspec
import pytest

from tests.trainer.data.helpers import RangeHandler, serving
from trainer.data.listing import expand
from trainer.data.pool import Growing
from trainer.data.shards import open_shards
from trainer.errors import UserError


def test_braces_and_folders_become_tars(dataset: Path) -> None:
    tars = [f"{dataset}/000000.tar", f"{dataset}/000001.tar"]
    assert expand([f"{dataset}/{{000000..000001}}.tar"]) == tars
    assert expand([str(dataset)]) == tars
    assert expand(["http://host/{a,b}/00.tar"]) == ["http://host/a/00.tar", "http://host/b/00.tar"]
    with pytest.raises(UserError, match="named twice"):
        expand([str(dataset), tars[0]])


@pytest.mark.parametrize("place", ["folder", "file", "http", "store"])
def test_a_folder_is_what_its_dataset_json_lists_wherever_it_lies(dataset: Path, place: str) -> None:
    described = {"version": 1, "kind": "images", "shards": [{"name": "000001.tar"}, {"name": "000000.tar"}]}
    (dataset / "dataset.json").write_text(json.dumps(described))
    (dataset / "000002.parquet").write_bytes(b"of a run that goes on")
    fsspec.filesystem("memory").put(f"{dataset}/", "/listed/", recursive=True)
    with serving(dataset, RangeHandler) as http:
        url = {"folder": str(dataset), "file": f"file://{dataset}", "http": http, "store": "memory://listed"}[place]
        assert expand([f"{url}/"]) == [f"{url.removeprefix('file://')}/00000{number}.tar" for number in (1, 0)]


def test_a_folder_whose_dataset_json_lists_none_is_its_sidecars(dataset: Path) -> None:
    (dataset / "000002.tar").write_bytes(b"not finished")
    fsspec.filesystem("memory").put(f"{dataset}/", "/unlisted/", recursive=True)
    for url in (str(dataset), "memory://unlisted"):
        assert expand([url]) == [f"{url}/000000.tar", f"{url}/000001.tar"]
    with serving(dataset, RangeHandler) as url, pytest.raises(UserError, match="no finished shard in it"):
        expand([url])


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


def test_globs_and_what_a_shell_makes_of_them(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tars = [f"{dataset}/000000.tar", f"{dataset}/000001.tar"]
    (dataset / "README.md").write_text("a card")
    (dataset / "autoencoder").mkdir()
    assert expand([f"{dataset}/*.tar"]) == expand([f"{dataset}/*"]) == expand([f"{dataset}/00000[01].tar"]) == tars
    assert expand(sorted(map(str, dataset.iterdir()))) == tars
    assert expand([f"{tmp_path}/data*"]) == expand([f"{tmp_path}/**/*.tar"]) == tars
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand(["~/dataset"]) == tars
    (dataset / "[0].tar").write_bytes(b"")
    assert expand([f"{dataset}/[0].tar"]) == [f"{dataset}/[0].tar"], "so it is called"
    fsspec.filesystem("memory").put(f"{dataset}/", "/globbed/", recursive=True)
    assert expand(["memory://globbed/00000*.tar"]) == ["memory://globbed/000000.tar", "memory://globbed/000001.tar"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{dataset}/*.tra", "nothing fits it, a .tar or a dataset folder"),
        ("{dataset}/*.parquet", "2 names fit, and none is a .tar or a dataset folder"),
        ("{dataset}/000000.parquet", "a file, and no .tar; give a .tar"),
        ("{above}", "name the datasets in it that you want ({dataset}), or all as '{above}/*'"),
        ("{dataset}/bare", "no dataset.json in it; name its tars as '{dataset}/bare/*.tar'"),
        ("http://127.0.0.1:9/*.tar", "a web server does not list its files"),
    ],
)
def test_a_name_that_is_no_shard_says_what_would_be(dataset: Path, name: str, said: str) -> None:
    (dataset / "bare").mkdir()
    (dataset / "bare" / "0.tar").write_bytes(b"")
    places = {"dataset": dataset, "above": dataset.parent}
    with pytest.raises(UserError) as error:
        expand([name.format(**places)])
    assert said.format(**places) in str(error.value)


def test_a_tar_named_beside_a_name_that_is_not_there_does_not_hide_it(dataset: Path) -> None:
    with pytest.raises(UserError, match="typo: not there"):
        expand([f"{dataset}/000000.tar", f"{dataset}/typo"])


def test_a_folder_whose_name_has_braces_is_taken_as_it_is(dataset: Path) -> None:
    named = dataset.rename(dataset.with_name("exp{a,b}"))
    assert expand([str(named)]) == [f"{named}/00000{number}.tar" for number in (0, 1)]
    assert expand([f"file://{named}/000001.tar"]) == [f"{named}/000001.tar"]


def test_a_copy_of_a_shard_in_a_folder_in_the_making_is_none(dataset: Path) -> None:
    tars = expand([str(dataset)])
    for copy in ("000000 (1)", "000001 copy", "._000000"):
        for end in ("tar", "parquet"):
            shutil.copy(dataset / f"000000.{end}", dataset / f"{copy}.{end}")
    assert expand([str(dataset)]) == tars
    assert Growing([str(dataset)]).new() == tars
