"""`synth verify`: rows, records and pictures that cannot be true are found."""

import json
from typing import Any

import cv2
import numpy as np
import pytest

from synth.images import codecs
from synth.recipe.schema import hash_resolved
from tests.synth.forging import Forger, seal
from tests.synth.helpers import generate
from tests.synth.sound import faults, only, plan, verdict_of


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
        (lambda r: r.update(version=3), "record of version 3"),
        (lambda r: r.update(version=2), "version 2, the recipe's is 1"),
        (lambda r: [e.update(asked="lessen", factor=0.5) for e in r["degradations"]], "which knows neither lessen"),
        (lambda r: [e.update(asked="lessen", factor=0.4) for e in r["degradations"]], "is asked to lessen 0.4"),
        (lambda r: r["target"].update(emphasis=0.5), "which knows neither lessen nor emphasis"),
        (lambda r: r["target"].update(emphasis=2), "emphasis 2, which must lie in [-1, 1]"),
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
        (lambda r: r["images"]["b"].update(encoding="jpeg"), "image b is stored as jpeg, the recipe's are png"),
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


@pytest.mark.parametrize(("version", "sound"), [(2, True), (3, False)])
def test_jpegs_own_file_stands_where_the_recipe_says_png_in_old_datasets_alone(tmp_path, version, sound):
    generate(plan(encoding="mixed"), tmp_path)
    path = tmp_path / "dataset.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["recipe"]["encoding"], told["effects"]["jpeg"] = "png", version
    told["recipe_sha256"] = hash_resolved(told["recipe"])
    path.write_text(json.dumps(told), encoding="utf-8")
    found = [fault for fault in faults(tmp_path) if "is stored as jpeg, the recipe's are png" in fault]
    assert bool(found) is not sound


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
