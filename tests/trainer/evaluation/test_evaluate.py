"""`trainer evaluate`, on references alone: what it writes, and what it refuses."""

import sys

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


def scene(folder, seed=1):
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(picture(seed, 64) // 2))
    (folder / "b.png").write_bytes(png(picture(seed, 64)))


def rows_of(trainer_main, pairs, out):
    code, _, told = trainer_main("evaluate", "--pairs", pairs, "--weights", "none", "--out", out)
    assert code == 0, told
    return pq.read_table(out / "results.parquet").to_pylist(), told


@pytest.mark.parametrize(
    ("scenes", "given", "expected"),
    [
        (("road/x-1", "road/x-2"), "road", {("x-1", ""), ("x-2", "")}),
        (("mef/x-1",), "mef", {("x-1", "mef")}),
        (("mef/x-1",), "mef/x-1", {("x-1", "mef")}),
        (("road",), "road", {("road", "")}),
        (("all/train/mff/x-1", "all/test/mff/x-1"), "all", {("train/mff/x-1", "mff"), ("test/mff/x-1", "mff")}),
        (("all/medical/x-1",), "all", {("medical/x-1", "medical")}),
    ],
)
def test_a_task_is_what_a_folder_says_and_not_what_the_whole_is_called(scenes, given, expected, tmp_path, trainer_main):
    for number, place in enumerate(scenes):
        scene(tmp_path / place, number)
    rows, _ = rows_of(trainer_main, tmp_path / given, tmp_path / "o")
    assert {(row["key"], row["task"]) for row in rows} == expected


def test_a_scene_without_an_image_is_told_of(tmp_path, trainer_main):
    scene(tmp_path / "pairs/x-1")
    scene(tmp_path / "pairs/half")
    (tmp_path / "pairs/half/b.png").unlink()
    rows, told = rows_of(trainer_main, tmp_path / "pairs", tmp_path / "o")
    assert {row["key"] for row in rows} == {"x-1"}
    assert told.count("left out: half: no image b\n") == 1


def test_images_of_two_sizes_are_one_line(tmp_path, trainer_main):
    scene(tmp_path / "pairs/x-1")
    (tmp_path / "pairs/x-1/gt.png").write_bytes(png(picture(1, 32)))
    code, _, told = trainer_main(
        "evaluate", "--pairs", tmp_path / "pairs", "--weights", "none", "--out", tmp_path / "o"
    )
    assert (code, told.count("\n")) == (2, 1)
    assert "x-1: images of different sizes: a is 64x64, gt is 32x32" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--weights", "none", "--shuffled"), "--shuffled: is of a network"),
        (("--weights", "none", "--variant", "flow"), "--variant: is of a network"),
        (("--weights", "none", "--prompt", "fuse"), "--prompt: is for --pairs"),
        (("--weights", "none", "release"), "the references alone, and other weights"),
        (("--weights", "none", "--openfocus", "nowhere"), "--openfocus nowhere: no program is there"),
        (("--weights", "none", "--openfocus", sys.executable), "none of the samples is of task mff"),
    ],
)
def test_an_option_that_means_nothing_is_refused(options, said, shards, tmp_path, trainer_main):
    code, _, told = trainer_main("evaluate", "--shards", shards, "--out", tmp_path / "o", *options)
    assert (code, told.count("\n")) == (2, 1)
    assert said in told


def test_sentences_of_pairs_cannot_be_shuffled(tmp_path, trainer_main):
    scene(tmp_path / "pairs/x-1")
    code, _, told = trainer_main("evaluate", "--pairs", tmp_path / "pairs", "--shuffled", "--out", tmp_path / "o")
    assert (code, told.count("\n")) == (2, 1)
    assert "--shuffled: is for --shards" in told


def test_weights_that_are_called_like_a_reference_do_not_take_its_place(tmp_path):
    assert name_of(tmp_path / "oracle/weights", [tmp_path / "oracle/weights"]) == str(tmp_path / "oracle/weights")


PROGRAM = """#!{python}
import os, shutil, sys
assert "PYTHONPATH" not in os.environ
words = sys.argv[1:]
folders, out = words[words.index("--input") + 1 : words.index("--output-dir")], words[-1]
os.makedirs(out, exist_ok=True)
for folder in folders:
    shutil.copy(folder + "/b.png", out + "/" + os.path.basename(folder) + ".png")
"""


def program(path, text):
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)
    return path


def test_openfocus_is_asked_once_for_the_focused_pairs_alone(tmp_path, trainer_main, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    for place, seed in (("mff/x-1", 1), ("mff/x-2", 2), ("mef/x-3", 3)):
        scene(tmp_path / "pairs" / place, seed)
        (tmp_path / "pairs" / place / "gt.png").write_bytes(png(picture(seed, 64)))
    copies = program(tmp_path / "openfocus", PROGRAM)
    arguments = ("--pairs", tmp_path / "pairs", "--weights", "none", "--out", tmp_path / "o")
    code, said, told = trainer_main("evaluate", *arguments, "--openfocus", copies)
    assert code == 0, told
    assert "OpenFocus: 2 pairs" in told
    rows = pq.read_table(tmp_path / "o/results.parquet").to_pylist()
    made = {row["key"]: row["PSNR"] for row in rows if row["method"] == "OpenFocus (mff alone)"}
    assert made == {"mff/x-1": HIGHEST, "mff/x-2": HIGHEST}
    assert "| OpenFocus (mff alone) | 60.00" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho 'error: no memory' >&2\nexit 1\n", "failed with exit code 1: error: no memory"),
        ("#!/bin/sh\nexit 0\n", "left pairs without a picture"),
        ("#!/nowhere/at/all\n", "does not run"),
    ],
)
def test_an_openfocus_that_fails_is_one_line(text, said, tmp_path, trainer_main):
    scene(tmp_path / "pairs/mff/x-1")
    arguments = ("--pairs", tmp_path / "pairs", "--weights", "none", "--out", tmp_path / "o")
    code, _, told = trainer_main("evaluate", *arguments, "--openfocus", program(tmp_path / "openfocus", text))
    assert code == 2
    assert said in told.splitlines()[-1]


def test_weights_that_are_none_are_told_before_openfocus_runs(tmp_path, trainer_main):
    scene(tmp_path / "pairs/mff/x-1")
    arguments = ("--pairs", tmp_path / "pairs", "--weights", tmp_path / "nowhere", "--out", tmp_path / "o")
    code, _, told = trainer_main("evaluate", *arguments, "--openfocus", program(tmp_path / "openfocus", PROGRAM))
    assert code == 2
    assert "nowhere" in told
    assert "OpenFocus" not in told


def test_a_reference_for_one_task_is_the_best_one_there_alone():
    from trainer.evaluation.tables import by_group

    def row(method, key, task, value):
        return {"method": method, "key": key, "task": task, "scene": key, "kind": "full", "PSNR": value} | {
            "effects": [],
            "count": 0,
            "phrase_split": "",
        }

    rows = [
        row("average", "1", "mff", 20.0),
        row("average", "2", "vif", 20.0),
        row("OpenFocus (mff alone)", "1", "mff", 30.0),
    ]
    rows += [row("net", "1", "mff", 31.0), row("net", "2", "vif", 25.0)]
    lines = by_group(rows, ["average", "OpenFocus (mff alone)", "net"]).splitlines()
    last = {line.split(" | ")[0].strip("| "): line.split(" | ")[-1] for line in lines}
    assert last["mff"].startswith("+1.00")
    assert last["vif"].startswith("+5.00")
    assert last["all, but for `clean` and `keep`"].startswith("+8.00")
