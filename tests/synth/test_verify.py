"""`synth verify`: every kind of fault is made, and found; a sound dataset has none."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from synth import codecs
from synth.audit.sentences import faults_of
from synth.audit.verify import Verdict, find_faults
from synth.cli import app
from synth.errors import UserError
from synth.instructions.grammar import compose
from synth.plan import Plan, make_plan
from synth.recipe import Recipe
from synth.storage import Folder
from tests.synth.forging import Forger, describe, seal
from tests.synth.helpers import drawn_for, generate, hashes, photograph, write_pair

DATA: dict[str, Any] = {
    "name": "t",
    "seed": 5,
    "samples": 22,
    "samples_per_shard": 8,
    "tasks": {
        "mef": {
            "sources": [{"builtin": "bracketed"}],
            "target": ["gradient"],
            "degradations": {
                "always": [{"haze": {"severity": [0.1, 0.9]}}, {"noise": {"sigma": [5, 30], "images": "any"}}],
                "some": {"count": {0: 0.5, 1: 0.5}, "of": [{"jpeg": {"severity": [0.2, 0.9]}}]},
            },
        }
    },
    "crop": {"size": 48},
    "instructions": {"kinds": {"full": 0.4, "partial": 0.4, "keep": 0.1, "general": 0.1}, "per_pair": 2},
    "store": ["clean"],
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


def falling(**degradations) -> dict[str, Any]:
    """The one task of the recipe, with other degradations."""
    return {"mef": {**DATA["tasks"]["mef"], "degradations": degradations}}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sound") / "d"
    generate(plan(), out)
    return out


@pytest.fixture
def dataset(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "d"))


def verdict_of(folder: Path, decode: int | None = None, workers: int = 1) -> Verdict:
    return find_faults(Folder(folder), decode, workers)


def faults(folder: Path) -> list[str]:
    return [str(fault) for fault in verdict_of(folder).faults]


def only(folder: Path, *words: str) -> str:
    """The one fault of a folder, which says all of these."""
    found = faults(folder)
    assert len(found) == 1, found
    for word in words:
        assert word in found[0]
    return found[0]


def test_a_sound_dataset_has_no_fault(made):
    verdict = verdict_of(made)
    assert verdict.faults == []
    assert (verdict.shards, verdict.samples, verdict.failed, verdict.decoded) == (3, 22, 0, 22)
    assert verdict.bytes == sum(path.stat().st_size for path in made.glob("0*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"encoding": "jpeg95", "store": []},
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


def test_a_sample_of_the_pictures_is_spread_over_the_dataset(made):
    for decode in (0, 1, 3, 11, 22, 1000):
        assert verdict_of(made, decode).decoded == min(decode, 22)


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
    from synth.audit.stats import gather
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
        (lambda d: d.update(version="1"), "version is '1', not 1"),
    ],
)
def test_a_description_that_is_not_of_this_dataset(dataset, change, words):
    describe(dataset, change)
    found = faults(dataset)
    assert any(words in fault for fault in found), found


@pytest.mark.parametrize(("change", "words"), [({"version": 2}, "format version 2"), ({"kind": "latents"}, "latents")])
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
    seal(dataset, metadata={**forger.metadata, "version": "2"})
    only(dataset, "sidecar of format version 2; this tool knows 1")


def test_a_sidecar_of_another_recipe(dataset):
    forger = Forger(dataset)
    seal(dataset, metadata={**forger.metadata, "recipe": "0" * 64})
    only(dataset, "its mmaif.recipe is not what dataset.json says")


def test_no_dataset_at_all_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="no dataset"):
        verdict_of(tmp_path)


# Rows and records.


def test_a_gap_in_the_keys(dataset):
    forger = Forger(dataset)
    del forger.rows[3], forger.members[3]
    forger.save()
    found = faults(dataset)
    assert any("7 rows; the recipe plans 8" in fault for fault in found)
    assert any("index 4, key 000000004 where 000000003 should stand" in fault for fault in found)


def test_rows_out_of_order(dataset):
    forger = Forger(dataset)
    forger.rows[2], forger.rows[3] = forger.rows[3], forger.rows[2]
    forger.members[2], forger.members[3] = forger.members[3], forger.members[2]
    forger.save()
    assert any("key 000000003 where 000000002 should stand" in fault for fault in faults(dataset))


@pytest.mark.parametrize(
    ("column", "value"),
    [("task", "vif"), ("kind", "clean"), ("instruction", "x"), ("scene", "x"), ("width", 9), ("effects", ["rain"])],
)
def test_a_row_that_says_other_than_its_record(dataset, column, value):
    forger = Forger(dataset)
    forger.rows[1][column] = value
    seal(dataset, rows=forger.rows)
    only(dataset, f"{column}: the record says", "the row")


def test_a_record_in_the_row_that_is_not_the_one_in_the_tar(dataset):
    forger = Forger(dataset)
    forger.rows[1]["record"] = forger.rows[1]["record"] + " "
    seal(dataset, rows=forger.rows)
    only(dataset, "the record in the row is not the one in the tar")


def other_kind(record: dict[str, Any]) -> None:
    record["kind"] = "keep" if record["kind"] == "full" else "full"


def test_a_changed_kind(dataset):
    forger = Forger(dataset)
    forger.record(2, other_kind)
    forger.rows[2]["kind"] = json.loads(forger.rows[2]["record"])["kind"]
    forger.save()
    assert any("000000002: kind keep, and 0 of" in fault for fault in faults(dataset))


def first(record: dict[str, Any]) -> dict[str, Any]:
    return record["degradations"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(version=2), "record of version 2"),
        (lambda r: r.pop("scene"), "a record as shards/FORMAT.md has none"),
        (lambda r: r.update(degradations=3), "a record as shards/FORMAT.md has none"),
        (lambda r: r.update(size=[48, 49]), "the record says"),
        (lambda r: first(r).update(severity=1.5), "which must lie in [0, 1]"),
        (lambda r: first(r).update(severity=0.95), "of severity 0.95, the recipe's range is 0.1 to 0.9"),
        (lambda r: first(r).update(stage="codec"), "at stage 'codec'"),
        (lambda r: first(r).update(image="c"), "on image 'c'"),
        (lambda r: first(r).update(effect="rain"), "rain is not in the recipe of mef"),
        (lambda r: r["images"]["a"].update(modality="near"), "image a is 'near'; of mef under"),
        (lambda r: r["images"]["a"].update(channels=4), "channels, the record says 4"),
        (lambda r: r["images"]["target"].update(x=1) if "target" in r["images"] else r.update(seed=1), "seed 1"),
        (lambda r: r["target"].update(kind="given"), "target given, the recipe has gradient"),
        (lambda r: r.update(phrase_split="test"), "phrase_split"),
        (lambda r: r.update(phrases=["file.1"]), "the recipe has no file of sentences"),
        (lambda r: r.update(kind="clean"), "kind clean, which the recipe does not ask for"),
        (lambda r: r["source"].update(dataset="other"), "dataset 'other' is not among the sources of mef"),
        (lambda r: r.update(absent=["haze"]), "absent haze"),
        (lambda r: r.update(instruction="remove the rain"), "do not make 'remove the rain'"),
        (lambda r: r.update(phrases=["nothing.at.all"]), "phrase 'nothing.at.all' is not in phrases.yaml"),
        (lambda r: [e.update(asked="keep") for e in r["degradations"]], "marked keep"),
        (lambda r: first(r).update(asked="perhaps"), "haze is asked to perhaps"),
        (lambda r: r["crop"].update(x=r["crop"]["x"] + 1), "differs from its group 000000002 in crop"),
    ],
)
def test_a_record_that_cannot_be_true(dataset, change, words):
    forger = Forger(dataset)
    assert json.loads(forger.rows[2]["record"])["kind"] == "full"
    forger.record(2, change)
    record = json.loads(forger.rows[2]["record"])
    forger.rows[2].update({key: record[key] for key in ("instruction", "phrase_split") if key in record})
    forger.save()
    found = faults(dataset)
    assert any(words in fault for fault in found), found
    assert verdict_of(dataset).broken == {"000000"}


def test_a_group_that_shows_two_pairs_or_two_targets(dataset):
    forger = Forger(dataset)
    forger.members[3]["a"] = forger.members[5]["a"]
    forger.save()
    only(dataset, "000000003: differs from its group 000000002 in image a")
    forger = Forger(dataset)
    asked = [[e["asked"] for e in json.loads(row["record"])["degradations"]] for row in forger.rows]
    same = next(n for n in range(0, 8, 2) if asked[n] == asked[n + 1])
    forger.members[same + 1]["target"] = forger.members[(same + 2) % 8]["target"]
    forger.save()
    assert any("asks the same as another of group" in fault for fault in faults(dataset))


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(np.zeros((48, 40, 3), np.uint8)), "40×48, the record says [48, 48]"),
        (png(np.zeros((48, 48, 3), np.uint16)), "16 bits a channel"),
        (png(np.zeros((48, 48, 4), np.uint8)), "pixels of kind RGBA"),
        (png(np.zeros((48, 48), np.uint16)), "16 bits a channel"),
        (codecs.encode_jpeg(np.zeros((48, 48, 3), np.uint8), 90), "no png picture"),
        (b"", "no png picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "no png picture"),
    ],
)
def test_a_picture_of_another_size_or_kind(dataset, data, words):
    forger = Forger(dataset)
    forger.members[2]["target"] = data
    forger.save()
    found = faults(dataset)
    assert any("000000002: target: " in fault and words in fault for fault in found), found


def test_many_faults_are_counted_and_few_are_told(dataset):
    forger = Forger(dataset)
    for number in range(8):
        forger.record(number, lambda record: record.update(seed=9, phrase_split="test", size=[1, 1]))
    forger.save()
    verdict = verdict_of(dataset)
    assert len(verdict.faults) == 20
    assert verdict.count > 24


# Sentences.


def test_three_thousand_sentences_are_found_to_agree_and_none_with_another_record():
    """What grammar composes for a draft is read back as its own; the sentence of the draft before seldom is."""
    from synth.draft import draft
    from synth.instructions.content import mentions
    from synth.recipe_file import find_recipe, load_recipe
    from synth.streams import stream

    chosen = make_plan(load_recipe(find_recipe("all_in_one")))
    before: dict[str, Any] | None = None
    foreign = caught = 0
    for index in range(3_000):
        drawn = draft(chosen, index)
        applied = drawn_for(drawn, chosen.recipe.seed)
        remove, kept = mentions(drawn.content, applied, drawn.task)
        words = stream(chosen.recipe.seed, index, "instruction.words")
        sentence = compose(drawn.content.kind, remove, kept, "train", words)
        entries = [item.to_record() for item in applied]
        for item, entry in zip(applied, entries, strict=True):
            entry["asked"] = "keep" if item.degradation.said_as in drawn.content.kept else "remove"
        record = {
            "task": drawn.task,
            "kind": drawn.content.kind,
            "degradations": entries,
            "absent": [drawn.content.absent] if drawn.content.absent else [],
            "instruction": sentence.text,
            "phrases": list(sentence.phrases),
            "phrase_split": "train",
        }
        assert faults_of(record) == [], record
        if before is not None and drawn.content.kind in ("full", "partial"):
            swapped = {**record, "instruction": before["instruction"]}
            foreign += swapped["instruction"] != record["instruction"]
            caught += bool(faults_of(swapped))
        before = record
    assert caught == foreign > 1500


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instruction": "remove the dense haze"}, "do not make"),
        ({"instruction": "remove the haze in the infrared image"}, "do not make"),
        ({"instruction": "remove the fog"}, "do not make"),
        ({"instruction": "Remove the thin haze in both images."}, None),
        ({"phrases": ["rain.request.01", "wrap.01"]}, "it names rain; to be removed are haze"),
        ({"phrases": ["haze.request.01", "wrap.01", "wrap.01"]}, "no full sentence is made of the phrases"),
        ({"phrases": ["wrap.01", "haze.request.01"]}, "no full sentence is made of the phrases"),
        ({"phrases": ["haze.request.01", "keep.01"]}, "no full sentence"),
        ({"phrases": ["haze.request.05", "wrap.01"]}, "is of test, the record says train"),
        ({"phrases": ["file.3"], "instruction": "entferne den Nebel"}, None),
        ({"phrases": ["file.x"]}, "is not in phrases.yaml"),
        ({"phrases": []}, "no phrases"),
        ({"kind": "general"}, "kind general, and its phrases are"),
        ({"kind": "clean"}, "kind clean, and 1 effects in the record"),
        ({"kind": "half"}, "kind 'half' is none of"),
        ({"degradations": []}, "kind full, and 0 effects"),
    ],
)
def test_a_sentence_against_its_record(changes, words):
    entry = {"effect": "haze", "stage": "scene", "severity": 0.2, "asked": "remove", "params": {}}
    record = {
        "task": "vif",
        "kind": "full",
        "degradations": [{**entry, "image": "a"}, {**entry, "image": "b"}],
        "absent": [],
        "instruction": "remove the thin haze",
        "phrases": ["haze.request.01", "wrap.01"],
        "phrase_split": "train",
    }
    assert faults_of(record) == []
    found = faults_of({**record, **changes})
    assert (found == []) if words is None else any(words in fault for fault in found), found


# The command, and mending.


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def test_the_exit_code_says_whether_a_dataset_is_sound(dataset, tmp_path):
    done = run(dataset, "--workers", 1, "--sample", 5)
    assert done.exit_code == 0
    assert "22 samples in 3 shards" in done.output
    assert "pictures of 5 decoded: sound" in done.output
    (dataset / "000001.tar").write_bytes(b"")
    done = run(dataset, "--workers", 1, "--all")
    assert done.exit_code == 1
    assert "000001: the tar is cut at byte 0" in done.output
    assert "broken shards: 1" in done.output
    (tmp_path / "t.yaml").write_text(json.dumps(DATA))
    done = run(dataset, "--workers", 1, "--repair", "--recipe", tmp_path / "t.yaml")
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith("sound")
    assert run(dataset, "--workers", 1).exit_code == 0


@pytest.mark.parametrize("words", [["--repair"], ["--recipe", "t.yaml"]])
def test_repair_needs_a_recipe_and_nothing_else_does(dataset, words):
    assert "--repair and --recipe go together" in str(run(dataset, *words).exception)


def test_repair_makes_what_is_broken_again_to_the_byte(made, dataset, tmp_path):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 999}))
    (dataset / "000002.tar").unlink()
    data = bytearray((dataset / "000000.tar").read_bytes())
    data[3000] ^= 1
    (dataset / "000000.tar").write_bytes(data)
    untouched = (dataset / "000001.tar").stat().st_mtime_ns
    repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == hashes(made)
    assert (dataset / "000001.tar").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_repair_describes_a_dataset_again(made, dataset, tmp_path, content):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps(DATA))
    (dataset / "dataset.json").unlink()
    if content is not None:
        (dataset / "dataset.json").write_text(content)
    (dataset / "000001.parquet").unlink()
    repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == hashes(made)


@pytest.mark.parametrize("described", [True, False])
def test_repair_with_another_recipe_is_refused_before_anything_is_touched(dataset, tmp_path, described):
    from synth.audit.repair import repair

    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "seed": 6}))
    (dataset / "000001.tar").unlink()
    if not described:
        (dataset / "dataset.json").unlink()
    before = hashes(dataset)
    with pytest.raises(UserError, match="nothing was repaired"):
        repair(Folder(dataset), verdict_of(dataset), str(recipe), None, 1)
    assert hashes(dataset) == before
