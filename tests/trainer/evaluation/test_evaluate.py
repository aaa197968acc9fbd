"""`trainer evaluate`, on references alone: what it writes, and what it refuses."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.helpers import picture, png, write_shard
from trainer.errors import UserError
from trainer.evaluation.cases import Case, OfShards
from trainer.evaluation.methods import Said, name_of, shuffled
from trainer.evaluation.metrics import psnr
from trainer.evaluation.scoring import HIGHEST


@pytest.fixture
def shards(tmp_path):
    write_shard(tmp_path / "set.tar", range(4), size=64, clean=True)
    return tmp_path / "set.tar"


def test_shards_become_a_report_rows_and_a_picture(shards, tmp_path, trainer_main):
    out = tmp_path / "out"
    code, said, told = trainer_main("evaluate", "--shards", shards, "--weights", "none", "--out", out)
    assert code == 0, told
    assert "4 of 4" in told
    assert (out / "report.md").read_text() == said.rstrip("\n") + "\n"
    assert cv2.imread(str(out / "groups.png")) is not None
    rows = pq.read_table(out / "results.parquet").to_pylist()
    scored = [row for row in rows if row["PSNR"] is not None]
    assert {row["method"] for row in scored} == {"average", "closed form", "oracle"}
    first = next(row for row in scored if row["method"] == "average" and row["key"] == "000000000")
    target = picture(0, 64)
    mean = np.rint((target // 2 + (target // 2 + 127).astype(float)) / 2)
    assert first["PSNR"] == pytest.approx(psnr(mean, target), abs=0.1)
    assert first["task"] == "mef"
    assert 0 < first["Qabf"] < 1
    assert first["MEF-SSIM"] is not None
    assert f"| average | {np.mean([r['PSNR'] for r in scored if r['method'] == 'average']):.2f}" in said


def test_whole_groups_up_to_a_limit(shards, tmp_path, trainer_main):
    code, _, told = trainer_main(
        "evaluate", "--shards", shards, "--weights", "none", "--out", tmp_path / "o", "--limit", 3
    )
    assert code == 0, told
    rows = pq.read_table(tmp_path / "o/results.parquet").to_pylist()
    assert {row["key"] for row in rows} == {"000000000", "000000001", "000000002"}


def test_pairs_as_they_are(tmp_path, trainer_main):
    for task, name in (("mef", "x-1"), ("mff", "x-2")):
        folder = tmp_path / "pairs" / task / name
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(png(picture(1, 64) // 2))
        (folder / "b.png").write_bytes(png(picture(1, 64)))
    (tmp_path / "pairs/mef/x-1/gt.png").write_bytes(png(picture(1, 64)))
    (tmp_path / "pairs/mef/half").mkdir()
    (tmp_path / "pairs/mef/half/a.png").write_bytes(png(picture(1, 64)))
    code, said, told = trainer_main(
        "evaluate", "--pairs", tmp_path / "pairs", "--weights", "none", "--out", tmp_path / "o"
    )
    assert code == 0, told
    rows = pq.read_table(tmp_path / "o/results.parquet").to_pylist()
    assert {(row["key"], row["method"]) for row in rows} == {
        (key, method) for key in ("mef/x-1", "mff/x-2") for method in ("average", "closed form")
    }
    assert [row["PSNR"] is not None for row in rows] == [True, True, False, False]
    assert "Pairs as they are" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give either --shards or --pairs"),
        (("--shards", "no.tar"), "not there"),
        (("--pairs", "nowhere"), "no such folder"),
        (("--pairs", "."), "no pair in it"),
    ],
)
def test_what_cannot_be_measured_is_one_line(arguments, said, tmp_path, trainer_main, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lonely.png").write_bytes(png(picture(1)))
    code, _, told = trainer_main("evaluate", *arguments, "--weights", "none", "--out", "o")
    assert code == 2
    assert said in told
    assert told.count("\n") == 1


def test_a_shard_without_its_sidecar_is_refused(shards, tmp_path, trainer_main):
    shards.with_suffix(".parquet").unlink()
    code, _, told = trainer_main("evaluate", "--shards", shards, "--weights", "none", "--out", tmp_path / "o")
    assert code == 2
    assert "no sidecar" in told


def test_equal_pictures_count_as_much_as_is_counted_at_most(tmp_path):
    write_shard(tmp_path / "same.tar", range(1), size=64)
    from trainer.evaluation.run import measure

    results = measure(OfShards([str(tmp_path / "same.tar")]), {"truth": lambda case: case.target})
    assert results.scores[0]["PSNR"] == HIGHEST


def test_shuffled_sentences_are_those_of_other_groups_of_the_task():
    said = [Said(f"{n}", f"{n // 3}", "vif" if n < 12 else "mef", f"sentence {n}") for n in range(24)]
    found = shuffled(said)
    by_sentence = {each.sentence: each for each in said}
    for each in said:
        other = by_sentence[found[each.key]]
        assert other.task == each.task
        assert other.group != each.group
    assert shuffled(said[:3]) == {each.key: each.sentence for each in said[:3]}  # one group: none other


def test_weights_are_named_by_their_run(tmp_path):
    a, b, c = tmp_path / "one/weights", tmp_path / "two/weights", tmp_path / "two/copies/two"
    assert name_of(a, [a, b]) == "one"
    assert name_of(b, [a, b, c]) == str(b)


def test_an_out_that_cannot_be_is_told_before_anything_is_measured(shards, tmp_path, trainer_main):
    (tmp_path / "file").write_text("")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/dataset.json").write_text("{}")
    for out, said in (("file", "no folder can be made there"), ("set", "a dataset stands there")):
        code, _, told = trainer_main("evaluate", "--shards", shards, "--weights", "none", "--out", tmp_path / out)
        assert code == 2
        assert said in told
        assert told.count("\n") == 1
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["dataset.json"]


def test_a_limit_below_the_first_group_is_refused():
    cases = OfShards.__new__(OfShards)
    record = {"group": "one", "kind": "full", "task": "vif"}
    image = picture(1, 8)
    cases._limit, cases._each = 2, lambda: iter([Case(str(n), image, image, "fuse", record) for n in range(3)])
    with pytest.raises(UserError, match="--limit 2: whole groups are taken, and the first has 3 samples"):
        list(cases)
