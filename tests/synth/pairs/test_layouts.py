"""Public data sets as they unpack: trees of tiny files, each recognised, and what is not used told."""

import csv

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from synth.cli import app
from synth.errors import UserError
from synth.pairs.files import FilePair
from synth.pairs.layout import LayoutSource
from synth.pairs.manifest import ManifestSource
from synth.pairs.public_sets import LAYOUTS
from synth.pairs.source import Remark
from synth.pairs.writing import Wanted, write_manifest
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from tests.conftest import ROOT
from tests.synth.helpers import DATA, bracket_folder

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


def tree(root, *names, levels=None):
    """Tiny images of these names, those of a folder or name in `levels` of that grey level."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() not in ENDINGS:
            path.write_text("no image")
            continue
        image = np.full((24, 32), (levels or {}).get(name, 100), np.uint8)
        path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())
    return root


def numbered(pattern, numbers=(1, 2, 3)):
    return [pattern.format(number) for number in numbers]


def sides(*patterns, train=(1, 2, 3), test=(4,)):
    return [
        name
        for pattern in patterns
        for side, numbers in (("train", train), ("test", test))
        for name in numbered(pattern.replace("SIDE", side), numbers)
    ]


def read(root, name="t.csv", **wanted):
    """The rows of the table of a folder, and what was said."""
    said: list[str] = []
    count = write_manifest(root, root / name, Wanted(**wanted), said.append, overwrite=True)
    with (root / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    return rows, said


TREES = {
    "llvip": ("LLVIP", [*sides("visible/SIDE/{:06d}.jpg", "infrared/SIDE/{:06d}.jpg"), "Annotations/000001.xml"], 4),
    "msrs": ("MSRS", sides("SIDE/vi/{:05d}D.png", "SIDE/ir/{:05d}D.png", "SIDE/Segmentation_labels/{:05d}D.png"), 4),
    "m3fd": ("M3FD_Fusion", numbered("Vis/{:05d}.png") + numbered("Ir/{:05d}.png"), 3),
    "roadscene": (
        "RoadScene",
        numbered("crop_LR_visible/FLIR_{:05d}.jpg")
        + numbered("cropinfrared/FLIR_{:05d}.jpg")
        + numbered("crop_HR_visible/FLIR_{:05d}.jpg"),
        3,
    ),
    "kaist": (
        "kaist",
        numbered("set00/V000/visible/I{:05d}.jpg")
        + numbered("set00/V000/lwir/I{:05d}.jpg")
        + numbered("set06/V001/visible/I{:05d}.jpg", (1,))
        + numbered("set06/V001/lwir/I{:05d}.jpg", (1,)),
        4,
    ),
    "pst900": ("PST900", sides("SIDE/rgb/{}.png", "SIDE/thermal/{}.png", "SIDE/labels/{}.png"), 4),
    "visible_infrared": ("mine", numbered("RGB/{}.JPG") + numbered("T/{}.jpeg"), 3),
    "tno": ("TNO", ["men/VIS.bmp", "men/IR.bmp", "house/Kaptein_Vis.bmp", "house/Kaptein_IR.bmp"], 2),
    "flir": ("align", numbered("JPEG/FLIR_{:05d}_RGB.jpg") + numbered("JPEG/FLIR_{:05d}_PreviewData.jpeg"), 3),
    "epfl_nir": ("nirscene1", numbered("country/{:04d}_rgb.tiff") + numbered("country/{:04d}_nir.tiff"), 3),
    "visible_infrared_names": ("dark", numbered("{:05d}_co.png") + numbered("{:05d}_th.png"), 3),
    "mfi_whu": (
        "MFI-WHU",
        numbered("source_1/{}.jpg") + numbered("source_2/{}.jpg") + numbered("full_clear/{}.jpg"),
        3,
    ),
    "real_mff": (
        "RealMFF",
        numbered("imageA/{:03d}_A.png") + numbered("imageB/{:03d}_B.png") + numbered("Fusion/{:03d}_F.png"),
        3,
    ),
    "near_far": ("focus", numbered("near/{}.png") + numbered("far/{}.png") + numbered("gt/{}.png"), 3),
    "under_over": ("expo", numbered("under/{}.png") + numbered("over/{}.png") + numbered("label/{}.png"), 3),
    "near_far_names": ("x", numbered("{}_near.png") + numbered("{}_far.png") + numbered("{}_gt.png"), 3),
    "under_over_names": ("x", numbered("s{}/under.png") + numbered("s{}/over.png"), 3),
    "lytro": ("lytro", numbered("lytro-{:02d}-A.jpg") + numbered("lytro-{:02d}-B.jpg"), 3),
    "mefb": ("MEFB", ["Arno/Arno_A.jpg", "Arno/Arno_B.jpg", "Cave/Cave_A.jpg", "Cave/Cave_B.jpg"], 2),
    "sice": (
        "SICE",
        [f"Part1/{s}/{e}.JPG" for s in (1, 2) for e in range(1, 8)] + numbered("Part1/Label/{}.JPG", (1, 2)),
        2,
    ),
}


def test_every_layout_has_a_tree_here_and_stands_in_the_document():
    assert set(TREES) == {layout.name for layout in LAYOUTS}
    text = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    for layout in LAYOUTS:
        assert f"`{layout.name}`" in text, layout.name


@pytest.mark.parametrize("layout", TREES)
def test_a_data_set_is_recognised_as_it_unpacks_and_its_table_gives_its_pairs(tmp_path, layout):
    name, files, count = TREES[layout]
    root = tree(tmp_path / name, *files)
    rows, said = read(root)
    assert f"laid out as {layout} (" in said[0]
    assert len(rows) == count
    task = next(known.task for known in LAYOUTS if known.name == layout)
    assert {row["task"] for row in rows} == {task}
    has_gt = {"mfi_whu", "real_mff", "near_far", "under_over", "near_far_names", "sice"}
    assert all(bool(row["gt"]) == (layout in has_gt) for row in rows)
    assert all((root / row[key]).is_file() for row in rows for key in ("a", "b", "gt") if row[key])
    assert all(row["a"] != row["b"] and row["width"] == "32" for row in rows)
    found = [item for item in ManifestSource(manifest=str(root / "t.csv")).pairs(task) if isinstance(item, FilePair)]
    direct = [item for item in LayoutSource(layout=root).pairs(task) if isinstance(item, FilePair)]
    assert [(p.scene, p.dataset, p.images, p.gt) for p in found] == [
        (p.scene, p.dataset, p.images, p.gt) for p in direct
    ]
    for side in ("train", "test"):
        one, other = (
            {p.scene for p in source.pairs(task) if isinstance(p, FilePair)}
            for source in (
                ManifestSource(manifest=str(root / "t.csv"), split=side),
                LayoutSource(layout=root, split=side),
            )
        )
        assert one == other
    assert len(read(root, layout=layout)[0]) == count, "and where it is named"


@pytest.mark.parametrize("layout", ["llvip", "msrs", "pst900", "kaist"])
def test_a_data_set_keeps_its_own_splits(tmp_path, layout):
    name, files, _ = TREES[layout]
    rows, said = read(tree(tmp_path / name, *files))
    assert [row["split"] for row in rows].count("train") == 3
    assert [row["split"] for row in rows].count("test") == 1
    assert "split: 3 train, 1 test" in said


def test_the_frames_of_a_film_are_one_scene(tmp_path):
    name, files, _ = TREES["kaist"]
    root = tree(tmp_path / name, *files)
    assert [row["scene"] for row in read(root)[0]] == ["kaist-set00_V000"] * 3 + ["kaist-set06_V001"]


def test_the_folder_of_one_split_says_so_and_is_called_as_the_one_above(tmp_path):
    name, files, _ = TREES["msrs"]
    tree(tmp_path / name, *files)
    rows, _ = read(tmp_path / name / "test")
    assert [(row["dataset"], row["split"], row["scene"]) for row in rows] == [("msrs", "test", "msrs-00004D")]


def test_which_is_left_alone_is_counted_and_named(tmp_path):
    root = tree(tmp_path / "set", *numbered("vi/{}.png", range(1, 9)), *numbered("ir/{}.png", (3, 4, 99)))
    rows, said = read(root)
    assert [row["a"] for row in rows] == ["vi/3.png", "vi/4.png"]
    assert "left out: 6 of a without a partner: vi/1.png, vi/2.png, vi/5.png, …" in said
    assert "left out: 1 of b without a partner: ir/99.png" in said


def test_names_and_endings_in_any_case_pair_and_a_second_of_a_name_is_told(tmp_path):
    root = tree(
        tmp_path / "set", "VISIBLE/1.JPG", "Infrared/1.png", "VISIBLE/2.png", "Infrared/2.Tiff", "Infrared/2.bmp"
    )
    rows, said = read(root)
    assert [(row["a"], row["b"]) for row in rows] == [
        ("VISIBLE/1.JPG", "Infrared/1.png"),
        ("VISIBLE/2.png", "Infrared/2.Tiff"),
    ]
    assert any("1 images that have the name of another but for the ending: Infrared/2.bmp" in line for line in said)


@pytest.mark.parametrize(
    ("files", "scenes"),
    [
        (("VIS.bmp", "IR.bmp"), ["set-pair"]),
        (("VIS1.bmp", "IR1.bmp", "VIS2.bmp", "IR2.bmp"), ["set-1", "set-2"]),
        (("a-b_vis.png", "a-b_ir.png"), ["set-a_b"]),
        (("x/1-RGB.jpg", "x/1-T.png"), ["set-x_1"]),
        (("train_rgb/1.png", "train_thermal/1.png"), ["set-train_1"]),
        (("vis/1_vis.png", "ir/1_ir.png"), ["set-1"]),
        (("rgb/1.jpg", "thermal_8_bit/1.jpeg"), ["set-1"]),
        (("day/visible_images/1.jpg", "day/thermal_images/1.jpg"), ["set-day_images_1"]),
    ],
)
def test_words_that_stand_anywhere_in_a_name_pair_it(tmp_path, files, scenes):
    rows, _ = read(tree(tmp_path / "set", *files))
    assert [row["scene"] for row in rows] == scenes
    assert all(row["a"] in files[::2] and row["b"] in files[1::2] for row in rows)


def test_pairs_beside_the_folders_of_the_splits_are_left_out_with_a_word(tmp_path):
    name, files, _ = TREES["msrs"]
    root = tree(tmp_path / name, *files, "detection/vi/1.png", "detection/ir/1.png")
    rows, said = read(root)
    assert len(rows) == 4
    assert "left out: 1 pairs in no folder of a split, where others are in one: detection/vi/1.png" in said


@pytest.mark.parametrize("order", [range(1, 6), range(5, 0, -1)])
def test_a_stack_of_exposures_gives_its_darkest_and_its_brightest(tmp_path, order):
    levels = {f"7/{number}.JPG": 40 * (place + 1) for place, number in enumerate(order)}
    root = tree(tmp_path / "SICE", *levels, "Label/7.JPG", "films/1.png", levels=levels)
    (row,), _ = read(root)
    assert (row["a"], row["b"]) == (f"7/{order[0]}.JPG", f"7/{order[-1]}.JPG")
    assert (row["gt"], row["scene"]) == ("Label/7.JPG", "sice-7")


def test_frames_of_films_are_no_stacks_of_exposures(tmp_path):
    root = tree(tmp_path / "frames", *numbered("V1/{}.jpg", range(1, 6)))
    with pytest.raises(UserError, match="laid out in no way that is known"):
        read(root)


def test_a_set_whose_names_do_not_pair_says_how_many_and_the_way_out(tmp_path):
    """FLIR ADAS as it comes: both cameras name their frames on their own."""
    root = tree(
        tmp_path / "FLIR",
        *("images_rgb_train/data/video-a-frame-1-x.jpg", "images_rgb_train/data/video-a-frame-2-y.jpg"),
        "images_thermal_train/data/video-b-frame-1-z.jpg",
    )
    with pytest.raises(UserError) as caught:
        read(root)
    assert "2 images of a and 1 of b" in str(caught.value)
    assert "none of one name" in str(caught.value)
    assert "--a 'vi/{scene}.png'" in str(caught.value)


def test_names_by_a_and_b_need_the_task_where_nothing_tells_it(tmp_path):
    root = tree(tmp_path / "shots", *numbered("x{}_A.jpg"), *numbered("x{}_B.jpg"))
    with pytest.raises(UserError, match="3 pairs, whose names do not tell of which task; say --task mef or --task mff"):
        read(root)
    for task in ("mef", "mff"):
        rows, _ = read(root, task=task)
        assert [row["task"] for row in rows] == [task] * 3


def test_another_layout_in_the_same_folder_is_told_and_can_be_asked_for(tmp_path):
    root = tree(tmp_path / "all", *numbered("LLVIP/visible/{}.jpg"), *numbered("LLVIP/infrared/{}.jpg"))
    tree(root, *numbered("whu/source_1/{}.jpg", (1, 2)), *numbered("whu/source_2/{}.jpg", (1, 2)))
    rows, said = read(root)
    assert len(rows) == 3
    assert "left out: 2 pairs that are laid out as mfi_whu; --layout mfi_whu takes them" in said
    assert len(read(root, layout="mfi_whu")[0]) == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"layout": "lvip"}, "--layout lvip: no such layout; did you mean 'llvip'"),
        ({"layout": "lytro", "task": "vif"}, "--layout lytro is none of vif"),
        ({"task": "fif"}, "--task fif: no such task; did you mean"),
        ({"split": "holdout"}, "--split holdout: it is train, val, test"),
        ({"dataset": "a-b"}, "--dataset a-b: a name without hyphens and slashes, as a_b"),
        ({"layout": "lytro"}, "no pair laid out as lytro"),
        ({"patterns": {"a": "x"}}, "--a and --b are needed"),
        ({"patterns": {"a": "{scene}", "b": "{scene}"}}, "of which task"),
        ({"patterns": {"a": "vi/*.png", "b": "ir/{scene}.png"}, "task": "vif"}, r"no \{scene\} in it"),
        ({"patterns": {"a": "{x}/{scene}.png", "b": "ir/{scene}.png"}, "task": "vif"}, "different fields"),
        ({"patterns": {"a": "vi/{scene}.bmp", "b": "ir/{scene}.png"}, "task": "vif"}, "no pair: of 6 images"),
        ({"patterns": {"a": "vi/{scene}.png", "b": "ir/{scene}.png"}, "layout": "msrs"}, "give one of them"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, wanted, message):
    root = tree(tmp_path / "set", *numbered("vi/{}.png"), *numbered("ir/{}.png"))
    with pytest.raises(UserError, match=message) as caught:
        read(root, **wanted)
    assert "\n" not in str(caught.value)


def test_patterns_name_any_other_layout(tmp_path):
    root = tree(
        tmp_path / "own",
        *numbered("day/train/{}/cam0_x.png"),
        *numbered("day/train/{}/cam1_y.png", (1, 2, 7)),
        *numbered("day/validation/{}/cam0_x.png", (1,)),
        *numbered("day/validation/{}/cam1_y.png", (1,)),
        *numbered("truth/day/train/{}.png", (2,)),
    )
    patterns = {
        "a": "{time}/{split}/{scene}/cam0_*.png",
        "b": "{time}/{split}/{scene}/CAM1_*.png",
        "gt": "truth/{time}/{split}/{scene}.png",
    }
    rows, said = read(root, patterns=patterns, task="vif", licence="CC0")
    assert [(row["scene"], row["split"], row["gt"], row["licence"]) for row in rows] == [
        ("own-train_day_1", "train", "", "CC0"),
        ("own-train_day_2", "train", "truth/day/train/2.png", "CC0"),
        ("own-validation_day_1", "val", "", "CC0"),
    ]
    assert any("1 of b without a partner: day/train/7/cam1_y.png" in line for line in said)


def test_the_command_says_what_it_took_and_what_it_left(tmp_path):
    root = tree(tmp_path / "set", *numbered("vi/{}.png"), *numbered("ir/{}.png", (1, 2)))
    done = CliRunner().invoke(app, ["manifest", str(root), "--out", str(tmp_path / "t.parquet"), "--split", "test"])
    assert done.exit_code == 0, done.output
    assert "set: 2 pairs of vif, laid out as msrs" in done.output
    assert "1 of a without a partner: vi/3.png" in done.output
    assert f"2 pairs of {root} → {tmp_path / 't.parquet'}" in done.output
    words = ["manifest", str(root), "-o", str(tmp_path / "t.jsonl"), "--task", "vif"]
    done = CliRunner().invoke(app, [*words, "--a", "vi/{scene}.png", "--b", "ir/{scene}.png"])
    assert done.exit_code == 0, done.output
    found = [p for p in ManifestSource(manifest=str(tmp_path / "t.jsonl")).pairs("vif") if isinstance(p, FilePair)]
    assert [pair.images[1].name for pair in found] == ["1.png", "2.png"]


def test_data_takes_a_data_set_as_it_is_and_says_so(tmp_path):
    root = tree(tmp_path / "LLVIP", *TREES["llvip"][1])
    data = {**DATA, "task": "vif", "crop": {"size": 16}, "sources": [{"folder": "x", "split": "train"}]}
    plan = make_plan(Recipe.model_validate(data), root)
    assert [(pool.dataset, len(pool.pairs)) for pool in plan.pools] == [("llvip", 3)]
    assert any("laid out as llvip" in remark for remark in plan.remarks)
    named = {**data, "sources": [{"layout": str(root), "split": "train"}]}
    assert make_plan(Recipe.model_validate(named)).fingerprint == plan.fingerprint
    with pytest.raises(UserError, match="no usable pair for mef"):
        make_plan(Recipe.model_validate(DATA), root)
    own = make_plan(Recipe.model_validate(DATA), bracket_folder(tmp_path / "own/mef").parent)
    assert (own.remarks, len(own.pools[0].pairs)) == ((), 3)


def test_pairs_of_two_sizes_are_told_when_the_table_is_written(tmp_path):
    root = tree(tmp_path / "set", *numbered("vi/{}.png"), *numbered("ir/{}.png"))
    (root / "ir/2.png").write_bytes(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes())
    _, said = read(root)
    assert "of two sizes, or not readable: 1 pairs, which a recipe will leave out: set-2" in said


def test_links_and_circles_in_a_data_set(tmp_path):
    store = tree(tmp_path / "store", *numbered("vi/{}.png"), *numbered("ir/{}.png"))
    root = tree(tmp_path / "set", "vi/9.png", "ir/9.png", ".hidden/vi/5.png", "__MACOSX/vi/._1.png")
    (root / "more").symlink_to(store)
    (root / "up").symlink_to(root)
    (root / "round").symlink_to("round")
    (root / "vi/8.png").symlink_to(store / "vi/1.png")
    rows, said = read(root)
    assert [row["a"] for row in rows] == ["vi/9.png"]
    assert any("2 links that lead out of the folder; `follow_links: true` (--follow-links)" in line for line in said)
    rows, _ = read(root, follow_links=True)
    assert {row["a"] for row in rows} == {"more/vi/1.png", "more/vi/2.png", "more/vi/3.png", "vi/9.png"}
    table = ManifestSource(manifest=str(root / "t.csv"), follow_links=True)
    assert len([item for item in table.pairs("vif") if isinstance(item, FilePair)]) == 4


def test_the_scene_of_a_layout_stands_on_one_side_however_many_there_are(tmp_path):
    root = tree(tmp_path / "set", *numbered("vi/{}.png", range(30)), *numbered("ir/{}.png", range(30)))

    def on(side):
        items = LayoutSource(layout=root, split=side, held_out=0.3, held_out_val=0.2).pairs("vif")
        return {item.scene for item in items if not isinstance(item, Remark)}

    before = {side: on(side) for side in ("train", "val", "test")}
    assert sum(map(len, before.values())) == 30
    assert all(before.values())
    tree(root, *numbered("vi/{}.png", range(30, 40)), *numbered("ir/{}.png", range(30, 40)))
    assert all(before[side] <= on(side) for side in before)
