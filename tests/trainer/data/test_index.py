"""Where samples lie, as their sidecars say, and a line for sidecars that cannot be right."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.data.helpers import GOOD
from tests.trainer.helpers import write_shard
from trainer.data.index import Index
from trainer.data.shards import open_shards
from trainer.errors import UserError

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


def change(path: Path, column: str, values: Callable[[Column], Column]) -> None:
    """Another column in a sidecar."""
    table = pq.read_table(path, use_threads=False)
    changed = pa.array(values(table[column].to_pylist()))
    pq.write_table(table.set_column(table.column_names.index(column), column, changed), path)


def test_an_entry_is_where_tarfile_finds_the_members(dataset: Path) -> None:
    index = Index([f"{dataset}/000000.tar", f"{dataset}/000001.tar"])
    assert (len(index), index.failed, index.sizes) == (9, 1, {(32, 32)})
    content = 0
    for number, sample in enumerate(GOOD):
        entry = index[number]
        assert (entry.tar, entry.key) == (f"{dataset}/00000{sample // 5}.tar", f"{sample:09d}")
        with tarfile.open(entry.tar) as tar:
            for member in entry.members:
                info = tar.getmember(f"{entry.key}.{member.name}")
                assert (member.offset, member.size) == (info.offset_data, info.size)
                data = tar.extractfile(info).read()  # type: ignore[union-attr]
                assert member.hash == hashlib.sha256(data).digest()[: len(member.hash)]
                assert member.is_whole(data)
                assert not member.is_whole(data[:-1])
                content += len(data)
    assert index.bytes == content


def test_other_bytes_other_keys_and_another_order_have_another_fingerprint(dataset: Path) -> None:
    tars = [f"{dataset}/000000.tar", f"{dataset}/000001.tar"]
    prints = [Index(tars).fingerprint, Index(tars).fingerprint, Index(tars[::-1]).fingerprint]
    sidecar = dataset / "000001.parquet"
    change(sidecar, "key", lambda keys: [f"1{key[1:]}" for key in map(str, keys)])
    prints.append(Index(tars).fingerprint)
    write_shard(dataset / "000001.tar", range(10, 15))
    prints.append(Index(tars).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


@pytest.mark.parametrize("case", BROKEN_COLUMNS)
def test_a_sidecar_with_wrong_values_is_one_line_with_shard_and_key(dataset: Path, case: str) -> None:
    column, values, said = BROKEN_COLUMNS[case]
    change(dataset / "000001.parquet", column, values)
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
