"""`synth verify`: every kind of fault in files is made, and found; a sound dataset has none."""

import shutil
import tarfile

import pytest

from synth.audit.verify import find_faults
from synth.errors import UserError
from synth.storage import Folder
from tests.synth.forging import Forger, describe, seal
from tests.synth.helpers import generate, photograph, write_pair
from tests.synth.sound import DATA, falling, faults, only, plan, verdict_of


def test_a_sound_dataset_has_no_fault(sound):
    verdict = verdict_of(sound)
    assert verdict.faults == []
    assert (verdict.shards, verdict.samples, verdict.failed, verdict.decoded) == (3, 22, 0, 22)
    assert verdict.bytes == sum(path.stat().st_size for path in sound.glob("0*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"encoding": "jpeg95", "store": []},
        {"encoding": "mixed"},
        {"instructions": {"kinds": {"clean": 1.0}}},
        {"instructions": {"kinds": {"general": 1.0}}, "samples": 5},
        {"tasks": falling(always=["haze", "noise"], order="shuffled", second_pass=0.5)},
        {"tasks": falling(always=[{"imgaug": {"name": "GaussianBlur", "args": {"sigma": 2}, "as": "blur"}}, "haze"])},
        {"instructions": {**DATA["instructions"], "phrases": "test", "file": "own.jsonl", "file_share": 0.5}},
    ],
)
def test_other_recipes_are_sound_too(tmp_path, monkeypatch, changes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.jsonl").write_text('{"text": "lass alles so", "kind": "keep"}\n{"text": "x", "remove": ["haze"]}')
    generate(plan(**changes), tmp_path / "d")
    assert faults(tmp_path / "d") == []


def test_a_sample_of_the_pictures_is_spread_over_the_dataset(sound):
    for decode in (0, 1, 3, 11, 22, 1000):
        assert verdict_of(sound, decode).decoded == min(decode, 22)


def test_without_a_description_a_sample_of_the_pictures_is_decoded_too(dataset):
    (dataset / "dataset.json").unlink()
    assert verdict_of(dataset, 6).decoded == 6


def test_several_workers_find_the_same(dataset):
    (dataset / "000001.parquet").unlink()
    forger = Forger(dataset, "000002")
    forger.record(1, lambda record: record.update(seed=6))
    forger.save()
    one, two = verdict_of(dataset), verdict_of(dataset, workers=2)
    assert one == two
    assert one.broken == {"000001", "000002"}


def test_failed_samples_are_no_fault(tmp_path):
    write_pair(tmp_path / "pairs/x-1", photograph(80, 80), photograph(80, 80))
    write_pair(tmp_path / "pairs/x-2", photograph(80, 80), photograph(80, 80))
    (tmp_path / "pairs/x-1/a.png").write_bytes(b"")
    tasks = {"mef": {**DATA["tasks"]["mef"], "sources": [{"folder": str(tmp_path / "pairs")}]}}
    generate(plan(tasks=tasks), tmp_path / "d")
    verdict = verdict_of(tmp_path / "d")
    assert verdict.faults == []
    assert 0 < verdict.failed < 22


def test_a_url_is_looked_at_as_a_folder(dataset, request):
    from synth.audit.preview import sheet
    from synth.audit.shown import from_shards
    from synth.dataset.stats import gather
    from synth.storage import open_storage

    storage = open_storage(f"memory://{request.node.name}")
    for path in sorted(dataset.iterdir()):
        storage.write(path.name, path.read_bytes())
    assert find_faults(storage, None).faults == []
    assert gather(storage).as_json() == gather(Folder(dataset)).as_json()
    assert from_shards(storage, 5) == from_shards(Folder(dataset), 5)
    assert sheet(from_shards(storage, 2)).shape[2] == 3
    storage.write("000000.tar", storage.read("000000.tar")[:-20_000])
    assert find_faults(storage, None).broken == {"000000"}


# Bytes on the disk that are not those that were written.


def test_a_flipped_byte_in_a_picture(dataset):
    row = Forger(dataset).rows[3]
    data = bytearray((dataset / "000000.tar").read_bytes())
    data[row["target_offset"] + 200] ^= 1
    (dataset / "000000.tar").write_bytes(data)
    found = faults(dataset)
    assert any("000000: 000000003: target: not the bytes that the row names" in fault for fault in found)
    assert any("not the bytes that its sidecar names" in fault for fault in found)
    assert any("dataset.json says tar_sha256" in fault for fault in found)
    assert verdict_of(dataset).broken == {"000000"}


def test_a_picture_that_cannot_be_decoded_is_found_where_it_is_decoded(dataset):
    """Its hash agrees: whoever wrote it wrote it broken."""
    forger = Forger(dataset)
    data = bytearray(forger.members[3]["target"])
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    forger.members[3]["target"] = bytes(data)
    forger.save()
    assert any("000000003: target: " in fault for fault in faults(dataset))
    assert all("target: " not in str(fault) for fault in verdict_of(dataset, decode=0).faults)


def test_two_members_swapped(dataset):
    forger = Forger(dataset)
    row = forger.rows[2]
    data = bytearray((dataset / "000000.tar").read_bytes())
    heads = [row[f"{name}_offset"] - tarfile.BLOCKSIZE for name in ("a", "b")]
    first, second = (bytes(data[at : at + 100]) for at in heads)  # the names in both headers, and nothing else
    for at, name in zip(heads, (second, first), strict=True):
        data[at : at + 100] = name
        header = bytearray(data[at : at + 512])
        header[148:156] = b" " * 8
        data[at + 148 : at + 156] = f"{sum(header):06o}\0 ".encode()
    (dataset / "000000.tar").write_bytes(data)
    seal(dataset)
    found = faults(dataset)
    assert len(found) == 2
    assert "a: '000000002.b.png' stands in the tar, '000000002.a.png' in the row" in found[0]


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_cut_tar(dataset, kept):
    data = (dataset / "000001.tar").read_bytes()
    end = data.rstrip(b"\0").__len__()
    (dataset / "000001.tar").write_bytes(data[: int(end * kept) if kept < 0.9 else end + 100])
    found = faults(dataset)
    assert any("the tar is cut at byte" in fault for fault in found)
    assert all(fault.startswith("000001") for fault in found)


def test_a_header_that_is_none(dataset):
    data = bytearray((dataset / "000001.tar").read_bytes())
    data[100:140] = b"\xff" * 40
    (dataset / "000001.tar").write_bytes(data)
    assert any("no tar header at byte 0" in fault for fault in faults(dataset))


def test_a_member_that_is_no_file_is_not_followed(dataset):
    forger = Forger(dataset)
    link = tarfile.TarInfo("000000000.a.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    data = link.tobuf(tarfile.USTAR_FORMAT) + (dataset / "000000.tar").read_bytes()
    (dataset / "000000.tar").write_bytes(data)
    seal(dataset, rows=forger.rows)
    assert any("'000000000.a.png' at byte 0 is no plain file" in fault for fault in faults(dataset))


@pytest.mark.parametrize("name", ["../../outside.png", "/tmp/outside.png", "other.a.png"])
def test_a_member_under_a_foreign_name(dataset, name):
    forger = Forger(dataset)
    forger.rows[0]["a_name"] = name
    forger.save()
    only(dataset, f"a: the name {name!r} is not of this sample")
    assert not (dataset.parent.parent / "outside.png").exists()


def test_a_member_that_no_row_names(dataset):
    forger = Forger(dataset)
    forger.save()
    with tarfile.open(dataset / "000000.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("extra.txt"))
    seal(dataset)
    only(dataset, "'extra.txt' at byte", "is in no row")


def test_a_hash_in_a_row_that_is_wrong(dataset):
    forger = Forger(dataset)
    forger.rows[4]["b_sha256"] = "0" * 64
    seal(dataset, rows=forger.rows)
    assert any("000000004: b: not the bytes that the row names" in fault for fault in faults(dataset))


@pytest.mark.parametrize(("part", "value"), [("offset", 7), ("size", 3), ("size", 10**15), ("offset", None)])
def test_an_offset_or_a_size_that_is_wrong(dataset, part, value):
    forger = Forger(dataset)
    forger.rows[4][f"a_{part}"] = value
    seal(dataset, rows=forger.rows)
    found = faults(dataset)
    assert found
    assert any("000000004" in fault for fault in found)


# Files and what dataset.json says of them.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("000001.parquet", "000001: 000001.parquet missing"),
        ("000001.tar", "000001: 000001.tar missing"),
        ("dataset.json", "dataset.json is missing"),
    ],
)
def test_a_file_that_is_gone(dataset, name, words):
    (dataset / name).unlink()
    only(dataset, words)


def test_an_unfinished_dataset_is_that_and_no_more(dataset):
    """As a run leaves it that was killed between a tar and its mark."""
    describe(dataset, lambda d: d.update(complete=False, shards=[], counts={"samples": 0, "failed": 0}))
    for name in ("000000.tar", "000000.parquet", "000001.parquet"):
        (dataset / name).unlink()
    only(dataset, "complete is false: run synth generate again")


def test_a_whole_shard_that_is_gone_is_found_without_dataset_json_too(dataset):
    for name in ("000001.tar", "000001.parquet"):
        (dataset / name).unlink()
    only(dataset, "000001.tar and 000001.parquet missing")
    (dataset / "dataset.json").unlink()
    assert any("begins with key 000000016, where 000000 ends with 000000007" in fault for fault in faults(dataset))


def test_a_shard_too_many(dataset):
    for kind in ("tar", "parquet"):
        shutil.copy(dataset / f"000001.{kind}", dataset / f"000009.{kind}")
    assert any("000009: the recipe's 22 samples have no such shard" in fault for fault in faults(dataset))
    assert verdict_of(dataset).broken == set(), "it cannot be made again"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["counts"].update(samples=21), "counts.samples is 21, its shards have 22"),
        (lambda d: d["counts"].update(failed=1), "counts.failed is 1, its shards have 0"),
        (lambda d: d["shards"][1].update(samples=7), "dataset.json says samples 7, there is 8"),
        (lambda d: d["shards"][1].update(tar_sha256="0" * 64), "dataset.json says tar_sha256"),
        (lambda d: d["shards"][1].update(parquet_bytes=1), "dataset.json says parquet_bytes 1"),
        (lambda d: d.update(complete=False), "complete is false"),
        (lambda d: d["shards"].pop(1), "000001: not in dataset.json"),
        (lambda d: d["shards"].append(dict(d["shards"][0])), "000000.tar stands twice"),
        (lambda d: d["shards"].append({"name": "../x"}), "'../x' names no shard"),
        (lambda d: d["recipe"].update(seed=6), "seed 5, the recipe's is 6"),
        (lambda d: d["recipe"].update(seed=6), "recipe_sha256 is not of the recipe beside it"),
        (lambda d: d.update(recipe_sha256="0"), "recipe_sha256 is not of the recipe beside it"),
        (lambda d: d["recipe"].update(samples=30), "6 rows; the recipe plans 8, from 000000016"),
        (lambda d: d["recipe"].pop("crop"), "recipe is no resolved recipe"),
        (lambda d: d["recipe"].update(samples=10**18), "recipe is no resolved recipe"),
        (lambda d: d.update(source_fingerprint="0"), "its mmaif.source is not what dataset.json says"),
        (lambda d: d["effects"].update(haze=99), "its mmaif.effects is not what dataset.json says"),
        (lambda d: d.update(version="1"), "version is '1', not 1 to 2"),
    ],
)
def test_a_description_that_is_not_of_this_dataset(dataset, change, words):
    describe(dataset, change)
    found = faults(dataset)
    assert any(words in fault for fault in found), found


@pytest.mark.parametrize(("change", "words"), [({"version": 3}, "format version 3"), ({"kind": "latents"}, "latents")])
def test_a_dataset_of_another_version_or_kind_is_refused(dataset, change, words):
    describe(dataset, lambda d: d.update(change))
    with pytest.raises(UserError, match=words):
        verdict_of(dataset)


def test_a_damaged_description(dataset):
    (dataset / "dataset.json").write_text("{")
    only(dataset, "dataset.json is not JSON")


def test_a_damaged_sidecar(dataset):
    (dataset / "000001.parquet").write_bytes((dataset / "000001.parquet").read_bytes()[:-20])
    only(dataset, "000001.parquet cannot be read")


def test_a_sidecar_of_a_newer_version(dataset):
    forger = Forger(dataset)
    seal(dataset, metadata={**forger.metadata, "version": "3"})
    only(dataset, "sidecar of format version 3; this tool knows 1 to 2")


def test_a_sidecar_of_another_recipe(dataset):
    forger = Forger(dataset)
    seal(dataset, metadata={**forger.metadata, "recipe": "0" * 64})
    only(dataset, "its mmaif.recipe is not what dataset.json says")


def test_no_dataset_at_all_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="no dataset"):
        verdict_of(tmp_path)


def test_strays_beside_the_shards_are_told_and_not_read(tmp_path):
    generate(plan(samples=2), tmp_path / "d")
    (tmp_path / "d/000000 (1).tar").write_bytes((tmp_path / "d/000000.tar").read_bytes())
    (tmp_path / "d/._000000.tar").write_bytes(b"\0\5\26\7")
    (tmp_path / "d/.part-12-000000.tar").write_bytes(b"of a run that was killed")
    (tmp_path / "d/stats.json").write_text("{}")
    verdict = find_faults(Folder(tmp_path / "d"))
    assert [str(fault).partition(": no shard")[0] for fault in verdict.faults] == ["._000000.tar", "000000 (1).tar"]
    assert (verdict.samples, verdict.broken) == (2, set())
