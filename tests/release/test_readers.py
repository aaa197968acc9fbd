"""Our shards in the readers of other projects, whole: every sample, its record parsed, its pictures to the pixel.

What should be there is read by Python's tarfile and Pillow. `make test-release` runs this, in an environment without
torch.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets
import duckdb
import numpy as np
import pandas
import polars
import pyarrow.dataset
import pytest
import webdataset
from datasets import Features, Image, Json, Value, load_dataset
from PIL import Image as Pillow

Truth = dict[str, dict[str, Any]]
"""By key and member: the record parsed, pictures as arrays."""


def pixels(data: bytes) -> np.ndarray:
    return np.array(Pillow.open(io.BytesIO(data)))


def tars_of(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.tar"))]


def truth_of(folder: Path) -> Truth:
    found: Truth = {}
    for path in tars_of(folder):
        with tarfile.open(path) as tar:
            for info in tar:
                key, _, name = info.name.partition(".")
                data = tar.extractfile(info).read()  # type: ignore[union-attr]
                found.setdefault(key, {})[name] = json.loads(data) if name == "json" else pixels(data)
    return found


def near(here: Any, there: Any) -> bool:
    """Equal, but for the digits after the ninth, which datasets does not keep."""
    if isinstance(here, Mapping):
        return isinstance(there, Mapping) and here.keys() == there.keys() and all(near(here[k], there[k]) for k in here)
    if isinstance(here, list):
        return isinstance(there, list) and len(here) == len(there) and all(map(near, here, there))
    if isinstance(here, float) or isinstance(there, float):
        return here == pytest.approx(there, rel=1e-9, abs=1e-9)
    return here == there


def check(found: Iterable[Mapping[str, Any]], folder: Path, exact: bool = True, colour: bool = False) -> None:
    """Samples as a reader gives them, pictures as arrays or of Pillow, against what is there.

    exact: of records. colour: grey pictures come with three equal channels.
    """
    truth, keys = truth_of(folder), []
    for sample in found:
        key = str(sample["__key__"]).rpartition("/")[2]
        keys.append(key)
        there = {name: value for name, value in sample.items() if not name.startswith("__") and value is not None}
        assert there.keys() == truth[key].keys()
        for name, value in truth[key].items():
            if name == "json":
                assert there[name] == value if exact else near(there[name], value)
            else:
                wanted = np.dstack([value] * 3) if colour and value.ndim == 2 else value
                np.testing.assert_array_equal(np.array(there[name]), wanted)
    assert sorted(keys) == sorted(truth)
    assert len(truth) > 64


def test_the_datasets_have_what_is_hard_to_read(datasets_by_encoding: dict[str, Path]) -> None:
    """Samples that failed, grey pictures beside coloured ones, JPEG among PNG, and effects of all kinds."""
    for encoding, folder in datasets_by_encoding.items():
        told = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        assert told["counts"]["failed"] > 0
        truth = truth_of(folder)
        names = {tuple(sample) for sample in truth.values()}
        assert (len(names) > 1) is (encoding == "mixed")
        inputs = [value for sample in truth.values() for name, value in sample.items() if name.startswith("b.")]
        assert {value.ndim for value in inputs} == {2, 3}
        effects = {entry["effect"] for sample in truth.values() for entry in sample["json"]["degradations"]}
        assert len(effects) > 10


def test_webdataset(folder: Path) -> None:
    raw = webdataset.WebDataset(tars_of(folder), shardshuffle=False)
    check(({**sample, **opened(sample)} for sample in raw.decode()), folder)
    check(webdataset.WebDataset(tars_of(folder), shardshuffle=False).decode("pil"), folder, colour=True)
    check(webdataset.WebDataset(tars_of(folder), shardshuffle=False).decode("rgb8"), folder, colour=True)
    braces = f"{folder}/{{000000..000002}}.tar"
    pipeline = webdataset.DataPipeline(webdataset.SimpleShardList(braces), webdataset.tarfile_to_samples())
    check(({**sample, **opened(sample), "json": json.loads(sample["json"])} for sample in pipeline), folder)


def opened(sample: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The pictures of a sample, from their bytes."""
    return {name: pixels(data) for name, data in sample.items() if name.endswith((".png", ".jpg"))}


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_loads_the_folder_by_its_card(folder: Path, streaming: bool, tmp_path: Path) -> None:
    check(load_dataset(str(folder), split="train", streaming=streaming, cache_dir=str(tmp_path)), folder, exact=False)


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_reads_tars_alone_where_it_is_told_what_json_is(folder: Path, streaming: bool, tmp_path: Path) -> None:
    names = {name for sample in truth_of(folder).values() for name in sample} - {"json"}
    text = {"__key__": Value("string"), "__url__": Value("string")}
    features = Features({**{name: Image() for name in sorted(names)}, "json": Json(), **text})
    how = {"split": "train", "streaming": streaming, "features": features, "cache_dir": str(tmp_path)}
    check(load_dataset("webdataset", data_files={"train": tars_of(folder)}, **how), folder, exact=False)


def test_datasets_reads_tars_alone_with_all_pictures(uniform: Path) -> None:
    """Without features it guesses the record's fields from five samples; pictures are whole."""
    found = plainly(uniform)
    truth = truth_of(uniform)
    assert [sample["__key__"] for sample in found] == sorted(truth)
    for sample in found:
        assert sample["json"]["instruction"] == truth[sample["__key__"]]["json"]["instruction"]
        for name in truth[sample["__key__"]].keys() - {"json"}:
            np.testing.assert_array_equal(np.array(sample[name]), truth[sample["__key__"]][name])


def test_datasets_reads_sidecars_as_tables(folder: Path, tmp_path: Path) -> None:
    sides = [str(path) for path in sorted(folder.glob("*.parquet"))]
    rows = load_dataset("parquet", data_files=sides, split="train", cache_dir=str(tmp_path))
    sliced(rows, folder)
    assert isinstance(rows, datasets.Dataset)


def sliced(rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Samples cut out of the tars by their rows."""
    tars = {path.stem: path.read_bytes() for path in folder.glob("*.tar")}
    first = {
        stem: json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["recipe"]["samples_per_shard"]
        * int(stem)
        for stem in tars
    }

    def samples() -> Iterable[dict[str, Any]]:
        for row in rows:
            if row["status"] != "ok":
                assert row["reason"]
                continue
            stem = max((stem for stem in tars if first[stem] <= row["index"]), key=first.__getitem__)
            sample: dict[str, Any] = {"__key__": row["key"]}
            for name in ("a", "b", "clean_a", "clean_b", "json", "target"):
                if (size := row[f"{name}_size"]) is None or size != size:  # null; a table of pandas has NaN
                    continue
                data = tars[stem][int(row[f"{name}_offset"]) :][: int(size)]
                ending = row[f"{name}_name"].partition(".")[2]
                sample[ending] = json.loads(data) if name == "json" else pixels(data)
            assert json.loads(row["record"]) == sample["json"]
            assert list(row["effects"]) == list(
                dict.fromkeys(entry["effect"] for entry in sample["json"]["degradations"])
            )
            yield sample

    check(samples(), folder)


def test_sidecars_in_duckdb_pandas_polars_and_pyarrow(folder: Path) -> None:
    sides = sorted(folder.glob("*.parquet"))
    table = duckdb.sql(f"SELECT * FROM '{folder}/*.parquet' ORDER BY key").fetchall()
    names = [column[0] for column in duckdb.sql(f"DESCRIBE SELECT * FROM '{folder}/*.parquet'").fetchall()]
    sliced([dict(zip(names, row, strict=True)) for row in table], folder)
    sliced(pandas.concat([pandas.read_parquet(side) for side in sides]).to_dict("records"), folder)
    sliced(polars.read_parquet(f"{folder}/*.parquet").to_dicts(), folder)
    sliced(pyarrow.dataset.dataset([str(side) for side in sides]).to_table().to_pylist(), folder)


def test_duckdb_asks_records_by_their_fields(folder: Path) -> None:
    asked = f"""SELECT key FROM '{folder}/*.parquet'
        WHERE status = 'ok' AND list_contains(effects, 'haze') AND record->>'$.scene.depth' = 'proxy' ORDER BY key"""
    truth = truth_of(folder)
    wanted = [
        key
        for key, sample in sorted(truth.items())
        if any(entry["effect"] == "haze" for entry in sample["json"]["degradations"])
        and sample["json"]["scene"]["depth"] == "proxy"
    ]
    assert [row[0] for row in duckdb.sql(asked).fetchall()] == wanted
    assert wanted


def test_what_datasets_cannot_is_what_the_document_says(datasets_by_encoding: dict[str, Path], tmp_path: Path) -> None:
    """Tars alone, no features: records lose fields, inputs of mixed datasets are gone; no card: sidecars are read."""
    found = plainly(datasets_by_encoding["png"])
    truth = truth_of(datasets_by_encoding["png"])
    assert any(not near(sample["json"], truth[sample["__key__"]]["json"]) for sample in found)
    try:
        found = plainly(datasets_by_encoding["mixed"])
    except ValueError:
        found = [{}]  # refused
    assert any(not (sample.get("a.png") or sample.get("a.jpg")) for sample in found)
    for path in datasets_by_encoding["png"].iterdir():
        if path.name != "README.md":
            (tmp_path / path.name).symlink_to(path)
    assert "a_offset" in next(iter(load_dataset(str(tmp_path), split="train", streaming=True)))


def plainly(folder: Path) -> list[dict[str, Any]]:
    return list(load_dataset("webdataset", data_files={"train": tars_of(folder)}, split="train", streaming=True))
