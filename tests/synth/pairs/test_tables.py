"""Tables as people's programs write them: their names, separators, letters and paths; scenes that no row moves."""

import csv
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import UserError
from synth.pairs.files import FilePair
from synth.pairs.manifest import ManifestSource
from synth.pairs.remote import Remote
from synth.pairs.source import LeftOut, Remark
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from tests.synth.helpers import DATA, bracket_folder


def read(where, task="vif", **how):
    """The pairs of a table, what is left out with its reason, and what is said of it."""
    items = list(ManifestSource(manifest=str(where), **how).pairs(task))
    found, out, said = ([i for i in items if isinstance(i, kind)] for kind in (FilePair, LeftOut, Remark))
    return found, {i.scene: i.reason for i in out}, [i.text for i in said]


def written(path, *rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(names):
    return [{"a": f"vis/{name}.png", "b": f"ir/{name}.png"} for name in names]


def test_rows_that_are_added_or_shuffled_move_no_pair_of_a_table_without_scenes(tmp_path):
    names = [f"{number:05d}" for number in range(60)]

    def sides(order):
        path = written(tmp_path / "t.csv", *rows_of(order))
        found = {side: read(path, split=side, held_out=0.3)[0] for side in ("train", "test")}
        return {pair.images[0].name: (pair.scene, side) for side, pairs in found.items() for pair in pairs}

    before = sides(names)
    assert len(before) == 60
    assert {side for _, side in before.values()} == {"train", "test"}
    more = ["new", *names, "newer"]
    random.Random(0).shuffle(more)
    after = sides(more)
    assert {name: after[name] for name in before} == before
    for spelling in ("./vis/{}.png", "vis\\{}.png", str(tmp_path / "vis/{}.png")):
        rows = [{"a": spelling.format(name), "b": f"ir/{name}.png"} for name in names]
        found, out, _ = read(written(tmp_path / "t.csv", *rows))
        assert out == {}
        assert {pair.scene for pair in found} == {scene for scene, _ in before.values()}, spelling


def test_an_address_that_is_signed_anew_is_the_same_picture_and_one_that_asks_is_not(tmp_path):
    def scenes(*addresses):
        rows = [{"a": f"https://x.org/{address}", "b": f"ir/{n}.png"} for n, address in enumerate(addresses)]
        return [pair.scene for pair in read(written(tmp_path / "t.csv", *rows))[0]]

    assert scenes("1.png?sig=abc") == scenes("1.png?sig=xyz&t=3") == scenes("1.png")
    assert len(set(scenes("get?id=1", "get?id=2"))) == 2


def test_rows_that_share_a_picture_are_of_one_scene_whatever_their_order(tmp_path):
    rows = [
        {"a": "s1/1.jpg", "b": "s1/5.jpg"},
        {"a": "s1/2.jpg", "b": "s1/5.jpg"},
        {"a": "s1/2.jpg", "b": "s1/6.jpg", "gt": "label/1.jpg"},
        {"a": "s1/3.jpg", "b": "s1/7.jpg", "gt": "label/1.jpg"},
        {"a": "s2/1.jpg", "b": "s2/5.jpg"},
    ]
    found, out, _ = read(written(tmp_path / "t.csv", *rows), task="mef")
    first = found[0].scene
    assert first.startswith("manifest-1-")
    assert [pair.scene for pair in found[:4]] == [first, f"{first}-p1", f"{first}-p2", f"{first}-p3"]
    assert (found[4].scene.startswith(first), out) == (False, {})
    again, _, _ = read(written(tmp_path / "t.csv", *rows[::-1]), task="mef")
    assert {pair.scene for pair in again} == {pair.scene for pair in found}
    splits = ("train", "train", "test", "train", "val")
    path = written(tmp_path / "t.csv", *(row | {"split": word} for row, word in zip(rows, splits, strict=True)))
    with pytest.raises(UserError, match=r"row 2: scene 'manifest-1-\w+' stands in train and in test"):
        read(path, task="mef")


def test_a_row_of_the_same_files_once_more_is_told_and_with_a_scene_it_is_what_it_says(tmp_path):
    rows = rows_of(["1", "2", "1"])
    found, out, _ = read(written(tmp_path / "t.csv", *rows))
    assert len(found) == 2
    assert out == {found[0].scene: "row 2 has the files of row 0"}
    rows = [row | {"scene": f"s{number}"} for number, row in enumerate(rows)]
    found, out, _ = read(written(tmp_path / "t.csv", *rows))
    assert ([pair.scene for pair in found], out) == (["s0", "s1", "s2"], {})


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ("vif", ("vis", "ir")),
        ("vif", ("Visible", "Infrared")),
        ("vif", ("rgb_path", "thermal_path")),
        ("mef", ("under", "over")),
        ("mef", ("Under-exposed", "Over exposed")),
        ("mff", ("near", "far")),
        ("mff", ("source_1", "source_2")),
        ("mff", ("image1", "image2")),
    ],
)
def test_columns_that_tell_what_they_hold_are_taken_with_a_word(tmp_path, task, columns):
    (first, second), ends = columns, ("1.png", "2.png")
    row = {second: ends[1], "scene_id": "s1", "License": "CC0", first: ends[0]}
    found, out, said = read(written(tmp_path / "t.csv", row), task=task)
    assert out == {}
    assert [(p.scene, p.licence, [file.name for file in p.images]) for p in found] == [("s1", "CC0", list(ends))]
    assert f"column {first!r} is taken for a" in said[0]
    assert f"column {second!r} is taken for b" in said[1]
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n\n")
    for name in ("t.parquet", "t.jsonl"):
        again, _, words = read(tmp_path / name, task=task)
        assert again == found
        assert [word.partition(": ")[2] for word in words] == [word.partition(": ")[2] for word in said]


def test_what_a_table_was_taken_for_is_said_by_the_plan(tmp_path, capsys):
    from synth.console import say_plan

    bracket_folder(tmp_path)
    rows = [{"under": f"shots-{n}/a.png", "over": f"shots-{n}/b.png"} for n in range(3)]
    plan = make_plan(Recipe.model_validate(DATA), str(written(tmp_path / "t.CSV", *rows)))
    say_plan(plan, listed=0)
    assert "column 'under' is taken for a" in capsys.readouterr().out
    assert len(plan.pools[0].pairs) == 3


@pytest.mark.parametrize(
    "text",
    [
        "a;b;scene\nvis/1,5.png;ir/1.png;s\n",
        "sep=;\na;b;scene\r\nvis/1,5.png;ir/1.png;s\r\n",
        "a\tb\tscene\nvis/1,5.png\tir/1.png\ts\n",
        "\ufeffa|b|scene\nvis/1,5.png|ir/1.png|s\n",
        '\ufeff"a","b","scene"\n"vis/1,5.png","ir/1.png","s"\n\n',
        ' a , b , scene \n"vis/1,5.png", ir/1.png , s \n',
        'scene,note,a,b\ns,"two\nlines","vis/1,5.png","ir/1.png"\n',
    ],
)
def test_separators_marks_spaces_and_quoted_lines_are_read_as_meant(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, newline="")
    found, out, said = read(tmp_path / "t.csv")
    assert (out, said) == ({}, [])
    assert [(p.scene, *(file.name for file in p.images)) for p in found] == [("s", "1,5.png", "1.png")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), "not a CSV file in UTF-8, but in UTF-16; save it again"),
        ("t.csv", "a,b\n1,2\n".encode("utf-16-le"), "but in UTF-16"),
        ("t.csv", "a,b\n\xe9,2\n".encode("latin-1"), "save it again in UTF-8"),
        ("t.jsonl", '{"a":1}\n'.encode("utf-16"), "not JSON lines in UTF-8, but in UTF-16"),
        ("t.jsonl", b'{"a": "1", "b": "2"}\n{"a": \n', "line 2: not JSON"),
        ("t.jsonl", b"[1, 2]\n", "line 1: no object"),
        ("t.jsonl", b'{"a": {"bytes": "x"}, "b": "2"}\n', "row 0: a holds dict, not a path or a URL; pictures inside"),
        (
            "t.csv",
            b"vis/1.png,ir/1.png\nvis/2.png,ir/2.png\n",
            r"no column 'a'.*it needs a \(visible\) and b \(infrared\)",
        ),
        (
            "t.csv",
            b"vis,rgb,ir\n1,2,3\n",
            r"the columns 'vis' and 'rgb' could both be a \(visible\); call one of them a",
        ),
        ("t.csv", b"a,b,a\n1,2,3\n", "two columns are called 'a'"),
        ("t.csv", b"under,over\n1,2\n", "no column 'a'"),
        ("t.csv", b"", "no column 'a'"),
        ("t.jsonl", b"", "no column 'a'"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line_with_the_way_out(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_row_with_a_separator_too_many_is_left_out_with_its_number(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\nvis/1.png,ir/1.png\nvis/1,5.png,ir/2.png\nvis/3.png\n")
    found, out, _ = read(tmp_path / "t.csv")
    assert [pair.images[0].name for pair in found] == ["1.png"]
    assert [reason.split(";")[0] for reason in out.values()] == ["row 1 has more cells than columns", "no image b"]


def test_a_table_of_three_splits_gives_each_its_own_in_any_words(tmp_path):
    words = ["train", "Training", "val", "VALIDATION", "valid", "dev", "test", " Test "]
    rows = [row | {"split": word} for row, word in zip(rows_of("12345678"), words, strict=True)]
    path = written(tmp_path / "t.csv", *rows)
    numbers = {side: [p.images[0].stem for p in read(path, split=side)[0]] for side in ("train", "val", "test", "all")}
    assert numbers == {"train": ["1", "2"], "val": list("3456"), "test": ["7", "8"], "all": list("12345678")}
    rows[4]["split"] = "holdout"
    with pytest.raises(UserError, match="row 4: split 'holdout'; it is train, val, test"):
        read(written(tmp_path / "t.csv", *rows), split="train")


def test_paths_from_elsewhere_are_refused_with_the_way_out_and_followed_where_the_user_says_so(tmp_path, monkeypatch):
    (tmp_path / "tables").mkdir()
    (tmp_path / "home/pairs").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("home/pairs/1.png", "out.png", "tables/in.png", "tables/back\\slash.png"):
        (tmp_path / name).touch()
    (tmp_path / "tables/link.png").symlink_to(tmp_path / "out.png")
    ways = ["~/pairs/1.png", "../out.png", str(tmp_path / "out.png"), "link.png"]
    fine = [str(tmp_path / "tables/in.png"), "../tables/in.png", "back\\slash.png"]
    rows = [{"a": way, "b": "in.png", "scene": f"s{number}"} for number, way in enumerate([*ways, *fine])]
    path = written(tmp_path / "tables/t.csv", *rows)
    found, out, _ = read(path)
    assert set(out) == {"s0", "s1", "s2", "s3"}
    assert all("`follow_links: true` (--follow-links)" in reason for reason in out.values())
    assert [pair.scene for pair in found] == ["s4", "s5", "s6"]
    assert found[2].images[0].name == "back\\slash.png", "where a file is called so"
    found, out, _ = read(path, follow_links=True)
    assert out == {}
    assert all(file.is_file() for pair in found for file in pair.images)
    _, out, _ = read(written(tmp_path / "t.csv", {"a": "C:\\data\\1.png", "b": "2.png"}), follow_links=True)
    assert "a path of Windows with its drive" in next(iter(out.values()))


def test_a_table_behind_a_url_names_what_stands_beside_it(request):
    import fsspec

    url = f"memory://{request.node.name}"
    fsspec.filesystem("memory").pipe_file(
        f"/{request.node.name}/t.csv", b"vis;ir\nvi\\1.png;./ir/1.png\n../x.png;/y.png\n"
    )
    found, out, _ = read(f"{url}/t.csv")
    assert [pair.images for pair in found] == [(Remote(f"{url}/vi/1.png"), Remote(f"{url}/ir/1.png"))]
    assert all("outside of the manifest's folder" in reason for reason in out.values())
