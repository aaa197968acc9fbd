"""Shards of latents: what is in them is what training would have encoded on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import webdataset

import trainer.encoding.run
from tests.conftest import ROOT
from tests.trainer.helpers import Command, assert_same_bits, log_of, picture, write_shard
from trainer.config import Config, load_config
from trainer.data.batches import Batches, Needs
from trainer.data.images import to_bytes, to_tensor
from trainer.data.latents import Latents
from trainer.data.prompts import Sentences
from trainer.data.shards import IndexedShards, Reading, open_either, open_shards
from trainer.encoding.run import encode
from trainer.encoding.visits import Visits
from trainer.errors import UserError
from trainer.frozen.fusion import fuse_base
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.inputs import Whole, in_range

ALL = Needs(pixels=True, crops=True)


@pytest.fixture
def config(config_file: Callable[..., str]) -> Config:
    """One that looks at pixels, and whose loss looks at the pictures."""
    objective = {"kind": "regression", "pictures": {"start": 0.5}}
    return load_config(config_file(), {"objective": objective, "model.tone": True, "text.max_tokens": 8})


def opened(folder: Path) -> IndexedShards[Any]:
    shards = open_either([str(folder)], 0, Reading())
    assert isinstance(shards, IndexedShards)
    return shards


def test_a_batch_of_latents_is_that_of_the_pictures_to_the_precision_of_fp16(
    dataset: Path, config: Config, tmp_path: Path
) -> None:
    told = encode(config, [str(dataset)], tmp_path / "latents", Visits())
    assert "9 samples" in told
    autoencoder, text = load_autoencoder(tmp_path / "latents/autoencoder"), TextEncoder(max_tokens=8)
    pictures, latents = open_shards([str(dataset)], seed=0), opened(tmp_path / "latents")
    ours = Batches(latents, autoencoder, Sentences(text, latents.tars), 0, ALL).batch(range(7))
    theirs = Batches(pictures, autoencoder, text, 0, ALL).batch(range(7))
    assert ours.keys == theirs.keys
    torch.testing.assert_close(ours.target, theirs.target, atol=4e-3, rtol=1e-3)
    for name in ("z_a", "z_b", "base"):
        torch.testing.assert_close(getattr(ours.inputs, name), getattr(theirs.inputs, name), atol=4e-3, rtol=1e-3)
    torch.testing.assert_close(ours.inputs.prompts.tokens, theirs.inputs.prompts.tokens, atol=1e-3, rtol=1e-3)
    assert torch.equal(ours.inputs.prompts.mask, theirs.inputs.prompts.mask)
    assert torch.equal(ours.inputs.prompts.pooled, theirs.inputs.prompts.pooled)
    assert ours.crops is not None
    assert theirs.crops is not None
    for mine, other in zip((*ours.crops, ours.inputs.pixels), (*theirs.crops, theirs.inputs.pixels), strict=True):
        assert torch.equal(mine, other), "pixels are kept as they are"


@pytest.mark.parametrize("window", [16, None])
def test_a_visit_is_a_window_of_the_sample_turned_alike_in_all_its_parts(
    dataset: Path, config: Config, tmp_path: Path, window: int | None
) -> None:
    encode(config, [str(dataset)], tmp_path / "latents", Visits(count=8, window=window, symmetries=True))
    latents = opened(tmp_path / "latents")
    assert len(latents) == 9 * 8
    turns, places = set(), set()
    for number in range(len(latents)):
        entry = latents.load([number])[0]
        told, index = entry.record["encoded"], int(entry.key[:9])
        assert entry.key == f"{told['of']}-{number % 8:02d}" == entry.record["key"]
        target = picture(index)
        a, b = (to_tensor([image], torch.device("cpu")) for image in (target // 2, target // 2 + 127))
        planes = torch.cat([to_bytes(torch.cat([a, b, fuse_base(a, b)])), torch.tensor(target).permute(2, 0, 1)[None]])
        top, left, bottom, right = (round(32 * edge) for edge in told["window"])
        turned = planes  # the window is told as the turned sample has it
        for axis, bit in ((2, 1), (3, 2)):
            turned = turned.flip(axis) if told["turn"] & bit else turned
        turned = turned.transpose(2, 3) if told["turn"] & 4 else turned
        assert entry.pixels is not None
        assert torch.equal(entry.pixels, turned[..., top:bottom, left:right])
        assert entry.size == entry.pixels.shape[2:] == ((window or 32,) * 2)
        assert (entry.whole is None) == (window is None)
        if entry.whole is not None:
            seen = Whole.of(in_range(turned[None, :3]))
            torch.testing.assert_close(entry.whole.thumbnails, seen.thumbnails, atol=1e-3, rtol=0)
        turns.add((index, told["turn"]))
        places.add((index, top, left))
    assert len(turns) == 9 * 8, "each sample in each of its symmetries"
    assert window is None or len(places) > 50


def test_pictures_encoded_together_differ_by_rounding(dataset: Path, config: Config, tmp_path: Path) -> None:
    for name, together in (("one", 1), ("four", 4)):
        encode(config, [str(dataset)], tmp_path / name, Visits(), together=together)
    one, four = (opened(tmp_path / name).load(range(9)) for name in ("one", "four"))
    for first, second in zip(one, four, strict=True):
        assert first.key == second.key
        torch.testing.assert_close(first.latents, second.latents, atol=2e-3, rtol=1e-3)


def test_what_an_earlier_call_finished_stays_and_the_rest_comes_out_the_same(
    dataset: Path, config: Config, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "latents"
    visits = Visits(count=2, window=24, symmetries=True)
    encode(config, [str(dataset)], whole, visits, workers=2)
    encode(config, [str(dataset)], out, visits)
    (out / "000001.parquet").unlink()  # as of a call that was killed
    (out / "000001.tar").write_bytes(b"half")
    (out / "prompts.arrow").unlink()
    before = (out / "000000.tar").stat().st_mtime_ns
    encode(config, [str(dataset)], out, visits)
    assert (out / "000000.tar").stat().st_mtime_ns == before
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert [path.name for path in files if path.suffix == ".tar"] == ["000000.tar", "000001.tar"]
    for file in files:
        assert (whole / file).read_bytes() == (out / file).read_bytes(), file
    with pytest.raises(UserError, match=r"holds a dataset of other settings \(visits\); name another folder"):
        encode(config, [str(dataset)], out, Visits())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").touch()
    with pytest.raises(UserError, match="holds something else; name an empty or new folder"):
        encode(config, [str(dataset)], tmp_path / "other", visits)


def test_a_broken_sample_is_left_out_and_many_stop(
    dataset: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = pq.read_table(dataset / "000001.parquet").to_pylist()[2]
    data = bytearray((dataset / "000001.tar").read_bytes())
    data[row["a_offset"] + 30] ^= 1
    (dataset / "000001.tar").write_bytes(data)
    monkeypatch.setattr("trainer.data.shards.MOST_BROKEN", 0.3)  # for what the autoencoder is fitted to
    for _ in range(2):  # the second time, of what is there
        with pytest.raises(UserError, match=r"^1 of 9 samples cannot be used, over 1%; see the lines above"):
            encode(config, [str(dataset)], tmp_path / "latents", Visits())
    monkeypatch.setattr(trainer.encoding.run, "MOST_BROKEN", 0.3)
    told = encode(config, [str(dataset)], tmp_path / "latents", Visits())
    assert "8 samples" in told
    assert "left out:" in capsys.readouterr().err
    found = {entry.key: entry.instruction for entry in opened(tmp_path / "latents").load(range(8))}
    assert set(found) == {f"{index:09d}" for index in (0, 1, 2, 4, 5, 6, 8, 9)}
    rows = pq.read_table(tmp_path / "latents/000001.parquet").to_pylist()
    assert [row["index"] for row in rows] == [5, 6, 8, 9], "each row is that of its sample"
    assert all(json.loads(row["record"])["index"] == row["index"] for row in rows)


def test_the_tars_are_webdataset_s_and_the_page_has_what_is_in_them(
    dataset: Path, config: Config, tmp_path: Path
) -> None:
    encode(config, [str(dataset)], tmp_path / "latents", Visits(count=2, window=16))
    page = (ROOT / "shards/FORMAT.md").read_text(encoding="utf-8").split("## Kind `latents`")[1]
    tars = [str(path) for path in sorted((tmp_path / "latents").glob("*.tar"))]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode())
    assert len(samples) == 18
    for sample in samples:
        names = [name for name in sample if not name.startswith("__")]
        assert names == sorted(names) == re.findall(r"^\| `<key>\.([\w.]+)`", page, re.MULTILINE)
        assert sample["latents.npy"].shape == (4, 16, 2, 2)
        assert sample["pixels.npy"].dtype == np.uint8
        assert set(sample["json"]["encoded"]) == {"of", "size", "turn", "window"}
        assert all(f"`{name}`" in page for name in sample["json"]["encoded"])
    schema = pq.read_schema(tmp_path / "latents/000000.parquet")
    metadata = {key.decode() for key in schema.metadata if key.startswith(b"mmaif.")}
    assert metadata == set(re.findall(r"`(mmaif\.\w+)`", page.split("`dataset.json`:")[0]))
    manifest = json.loads((tmp_path / "latents/dataset.json").read_text())
    assert all(f"`{name}`" in page for name in (*manifest, *manifest["encoding"], *manifest["encoding"]["visits"]))


def test_training_reads_them_resumes_to_the_bit_and_waits_for_nothing_to_be_encoded(
    dataset: Path, config_file: Callable[..., str], tmp_path: Path, trainer_main: Command
) -> None:
    config, latents = config_file(), tmp_path / "latents"
    code, out, _ = trainer_main("encode", "--shards", dataset, "--config", config, "--out", latents)
    assert (code, "9 samples of latents" in out) == (0, True)
    code, _, err = trainer_main("train", "--shards", latents, "--config", config, "--out", tmp_path / "no")
    assert (code, "fitted to pictures, and the shards hold latents; give --autoencoder" in err) == (2, True)
    same = ("--shards", latents, "--config", config, "--autoencoder", latents / "autoencoder")
    assert trainer_main("train", *same, "--out", tmp_path / "whole")[0] == 0
    assert trainer_main("train", *same, "--out", tmp_path / "parts", "--stop-after", 50)[0] == 0
    assert trainer_main("train", *same, "--out", tmp_path / "parts")[0] == 0
    assert_same_bits(tmp_path / "whole", tmp_path / "parts", 100)
    assert "encode_ms" not in log_of(tmp_path / "whole")[-1]
    code, _, err = trainer_main("train", "--shards", dataset, *same[2:], "--out", tmp_path / "pictures")
    assert "`trainer encode` does it once" in err
    last, from_pictures = log_of(tmp_path / "whole")[-1], log_of(tmp_path / "pictures")[-1]
    assert from_pictures["encode_ms"] > 0
    assert last["loss"] == pytest.approx(from_pictures["loss"], rel=2e-2)


def test_another_autoencoder_another_base_and_missing_pixels_are_refused(
    dataset: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = config.model_copy(update={"objective": load_config("tiny").objective})
    encode(plain, [str(dataset)], tmp_path / "latents", Visits())
    autoencoder, latents = load_autoencoder(tmp_path / "latents/autoencoder"), opened(tmp_path / "latents")
    assert isinstance(latents.samples, Latents)
    latents.samples.check(autoencoder)
    with pytest.raises(UserError, match=r"latents of the autoencoder \w{12}…, and the run has \w{12}…; give --auto"):
        latents.samples.check(load_autoencoder("mmaif"))
    monkeypatch.setattr("trainer.data.latents.BASE", "another")
    with pytest.raises(UserError, match=r"its base is gradient-mertens-1, and this trainer's is another; encode"):
        latents.samples.check(autoencoder)
    text = TextEncoder(max_tokens=8)
    Batches(latents, autoencoder, text, 0, Needs(pixels=True)).batch(range(2))
    with pytest.raises(UserError, match="latents without the pixels that this config looks at"):
        Batches(latents, autoencoder, text, 0, ALL).batch(range(2))
    with pytest.raises(UserError, match="shards of latents, and here pictures are needed"):
        open_shards([str(tmp_path / "latents")], seed=0)


@pytest.mark.parametrize("out", ["s3://bucket/latents", "file"])
def test_what_is_no_folder_of_this_machine_is_refused_before_any_work(
    config: Config, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="name a folder of this machine"):
        encode(config, ["not looked for"], Path(out), Visits())
    assert [path.name for path in tmp_path.iterdir() if path.name != "mini.yaml"] == ["file"]


def test_tars_without_sidecars_are_refused(config: Config, tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", range(3), sidecar=False)
    with pytest.raises(UserError, match=r"0.tar: no sidecar \(.parquet\) beside it, which is needed here"):
        encode(config, [str(tmp_path / "0.tar")], tmp_path / "latents", Visits())
