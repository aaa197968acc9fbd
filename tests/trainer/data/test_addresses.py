"""Signed addresses: what they sign is read, and the signature is neither told, kept, nor part of a run's identity."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.trainer.data.helpers import GOOD, Signed, keys, serving
from tests.trainer.helpers import Command
from trainer.addresses import beside, inside, shown, split
from trainer.config import load_config
from trainer.data.cache import ShardCache
from trainer.data.shards import IndexedShards, Reading, StreamedShards, open_either
from trainer.errors import UserError


def signing(each: bool, secret: str = Signed.secret) -> type[Signed]:
    return type("Store", (Signed,), {"each": each, "secret": secret})


def test_a_tar_that_is_signed_alone_is_streamed_and_one_signed_with_its_folder_is_read_at_random(dataset: Path) -> None:
    for each, kind in ((True, StreamedShards), (False, IndexedShards)):
        store = signing(each)
        with serving(dataset, store) as url:
            shards = open_either([store.sign(f"{url}/00000{number}.tar") for number in (0, 1)], 0, Reading())
            assert isinstance(shards, kind)
            assert sorted(keys(shards, range(9))) == GOOD
            shards.close()


def test_a_folder_and_a_range_under_one_signature_are_read(dataset: Path) -> None:
    store = signing(each=False)
    with serving(dataset, store) as url:
        (dataset / "dataset.json").write_text('{"version": 1, "kind": "images", "shards": [{"name": "000001.tar"}]}')
        assert open_either([store.sign(url)], 0, Reading()).tars == [store.sign(f"{url}/000001.tar")]
        found = open_either([store.sign(f"{url}/{{000000..000001}}.tar") + "#part"], 0, Reading())
        assert found.tars == [store.sign(f"{url}/00000{number}.tar") + "#part" for number in (0, 1)]
        assert sorted(keys(found, range(9))) == GOOD


def test_another_signature_is_the_same_run_and_the_same_shard_in_the_cache(dataset: Path, tmp_path: Path) -> None:
    cache, prints = ShardCache(tmp_path / "cache", 1 << 30), {}
    for each in (True, False):
        stores = [signing(each, secret) for secret in ("one/", "two?&=")]
        for store in stores:
            with serving(dataset, store) as url:
                shards = open_either([store.sign(f"{url}/000000.tar")], 0, Reading(cache=cache))
                prints.setdefault(each, set()).add(shards.fingerprint)
                keys(shards, range(2))
    assert [len(each) for each in prints.values()] == [1, 1]


def test_a_wrong_signature_is_one_line_that_does_not_tell_it(trainer_main: Command, dataset: Path) -> None:
    with serving(dataset, signing(each=True)) as url:
        code, _, err = trainer_main("train", "--shards", f"{url}/000000.tar?sig=secret&x=y", "--out", dataset / "run")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "000000.tar?…: cannot be read (HTTP 403)" in err
    assert "its signature, which may have ended" in err
    assert "secret" not in err


def test_a_run_keeps_no_signature_and_goes_on_under_another(
    trainer_main: Command, dataset: Path, config_file: Callable[..., str], tmp_path: Path
) -> None:
    path, out = Path(config_file(samples=20)), tmp_path / "run"
    values = yaml.safe_load(path.read_text())
    for stop, secret in (("10", "one"), ("20", "two")):
        store = signing(each=False, secret=secret)
        with serving(dataset, store) as url:
            values["data"] = [{"shards": [store.sign(f"{url}/000000.tar"), store.sign(f"{url}/000001.tar")]}]
            path.write_text(yaml.safe_dump(values))
            assert load_config(str(path)).data[0].shards[0].endswith(secret)
            saved = load_config(str(path)).to_yaml()
            assert "sig" not in saved
            if stop == "20":  # another port is another address
                text = (out / "config.yaml").read_text()
                (out / "config.yaml").write_text(re.sub(r"http://127.0.0.1:\d+", url, text))
            code, _, err = trainer_main(
                "train", "--config", path, "--out", out, "--stop-after", stop, "--device", "cpu"
            )
            assert code == 0, err
            assert secret not in err.replace("autoencoder", "")
    assert (out / "weights").is_dir()
    for file in (*out.rglob("*.yaml"), *out.rglob("*.json"), *out.rglob("*.jsonl")):
        assert "sig=" not in file.read_text(), file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("--shards http://h:1/a.tar?sig=ab/c%2F=: not there; x", "--shards http://h:1/a.tar?…: not there; x"),
        ("https://user:word@h/x and 'https://h/a?b=c'", "https://…@h/x and 'https://h/a?…'"),
        ("pipe:curl 'https://h/a?s=1' | cat", "pipe:curl 'https://h/a?…' | cat"),
        ("s3://bucket/a.tar is whole? yes: /local/a?b.tar", "s3://bucket/a.tar is whole? yes: /local/a?b.tar"),
    ],
)
def test_what_signs_an_address_is_not_shown(text: str, told: str) -> None:
    assert shown(text) == told
    assert str(UserError(text)) == told


def test_names_beside_and_inside_keep_the_signature() -> None:
    assert split("https://h/a/0.tar?s=a/b#f") == ("https://h/a/0.tar", "?s=a/b")
    assert beside("https://h/a/0.tar?s=a/b", "p") == "https://h/a/p?s=a/b"
    assert inside("https://h/a/?s=a/b", "p") == "https://h/a/p?s=a/b"
    assert (beside("x.tar", "p"), inside("x?y/", "p")) == ("./p", "x?y/p")
