"""Folders of pairs as people have them: named by numbers alone, laid out by links, split three ways."""

import math
import shutil
import time

import pytest

from synth.errors import UserError
from synth.pairs.files import FilePair
from synth.pairs.folder import FolderSource
from synth.pairs.given import source_at
from synth.pairs.photos import PhotoSource
from synth.pairs.source import LeftOut, parse_source
from synth.pairs.split import side_of
from synth.pairs.writing import Wanted, write_manifest
from synth.recipe.schema import Recipe
from synth.sample.plan import Plan, Pool, make_plan
from synth.streams import stream
from tests.synth.helpers import DATA, bracket_folder, photograph, write_pair


def listed(source, task="mef"):
    items = list(source.pairs(task))
    return [i for i in items if isinstance(i, FilePair)], {i.scene: i.reason for i in items if isinstance(i, LeftOut)}


def test_folders_without_a_hyphen_are_one_dataset_and_others_as_their_names_say(tmp_path):
    for name in ("010001", "010002", "frame_3", "tno-1", "tno-2"):
        write_pair(tmp_path / name, photograph(), photograph())
    found, _ = listed(FolderSource(folder=tmp_path))
    assert [(p.dataset, p.scene) for p in found] == [
        ("folder", "010001"),
        ("folder", "010002"),
        ("folder", "frame_3"),
        ("tno", "tno-1"),
        ("tno", "tno-2"),
    ]
    found, _ = listed(FolderSource(folder=tmp_path, dataset="llvip"))
    assert [p.dataset for p in found] == ["llvip"] * 3 + ["tno"] * 2
    assert "dataset" not in FolderSource(folder=tmp_path).resolved(), "recipes from before keep their hash"
    assert FolderSource(folder=tmp_path, dataset="llvip").resolved()["dataset"] == "llvip"


def test_a_draw_among_many_datasets_is_what_choice_draws_and_costs_nothing(tmp_path):
    recipe = Recipe.model_validate(DATA)

    def pool(number):
        flags = [True, None, None, False][: 1 + number % 4]
        pairs = tuple(
            FilePair("mef", f"{number}", f"{number}-{at}", "", (tmp_path, tmp_path), indoor=flag)
            for at, flag in enumerate(flags)
        )
        outdoor = [at for at, flag in enumerate(flags) if not flag]
        return Pool("mef", f"{number}", 1 + number % 7, pairs, outdoor)

    few = Plan(recipe, tuple(pool(number) for number in range(9)), ())
    for outdoor in (False, True):
        weights = [p.weight * len(p.among(outdoor)) / len(p.pairs) for p in few.pools]
        for index in range(200):
            rng = stream(1, index, "pair")
            chosen = int(rng.choice(len(weights), p=[weight / math.fsum(weights) for weight in weights]))
            places = few.pools[chosen].among(outdoor)
            pair = few.pools[chosen].pairs[places[int(rng.integers(len(places)))]]
            number, drawn = few.draw_pair("mef", stream(1, index, "pair"), outdoor)
            assert drawn is pair
            assert [p for other in few.pools for p in other.pairs][number] is pair
    many = Plan(recipe, tuple(pool(number) for number in range(4000)), ())
    begun = time.process_time()
    for index in range(1000):
        many.draw_pair("mef", stream(1, index, "pair"))
    assert time.process_time() - begun < 5, "by the square of the datasets it took minutes"


def farm(tmp_path):
    """A pair laid out by links to files elsewhere, one by a link to its folder, and one that is there."""
    store = bracket_folder(tmp_path / "store")
    pairs = tmp_path / "pairs"
    write_pair(pairs / "x-0", photograph(), photograph())
    (pairs / "x-1").mkdir()
    for name in ("a.png", "b.png"):
        (pairs / "x-1" / name).symlink_to(store / "shots-1" / name)
    (pairs / "x-2").symlink_to(store / "shots-2")
    return pairs


def test_links_that_lead_out_are_followed_where_the_user_says_so_alone(tmp_path):
    pairs = farm(tmp_path)
    found, out = listed(FolderSource(folder=pairs))
    assert [pair.scene for pair in found] == ["x-0"]
    assert set(out) == {"x-1", "x-2"}
    assert all("follow_links: true" in reason and "--follow-links" in reason for reason in out.values())
    *found, told = FolderSource(folder=pairs, follow_links=True).pairs("mef")
    assert [pair.scene for pair in found] == ["x-0", "x-1", "x-2"]
    assert told.text == "mef: 2 pairs lie behind links that lead out of their folder, which are followed"
    recipe = Recipe.model_validate(DATA)
    assert len(make_plan(recipe, pairs, follow_links=False).left_out) == 2
    followed = make_plan(recipe, pairs)  # whoever names a folder as --data says so
    assert (followed.left_out, len(followed.pools), followed.remarks) == ((), 1, (told.text,))
    assert make_plan(recipe, pairs, follow_links=True).fingerprint == followed.fingerprint
    own = Recipe.model_validate({**DATA, "sources": [{"folder": str(pairs), "follow_links": True}]})
    assert make_plan(own).fingerprint == followed.fingerprint
    named = Recipe.model_validate({**DATA, "sources": [{"folder": str(pairs)}]})
    assert make_plan(named, follow_links=True).fingerprint == followed.fingerprint
    assert len(make_plan(named).left_out) == 2
    assert own.hash() == named.hash(), "how a place may be read decides no pixel of what is read"
    assert source_at(pairs, "mef", own.tasks["mef"].sources).follow_links, "kept by --data"


def test_photographs_behind_links_likewise(tmp_path):
    store = tmp_path / "store"
    write_pair(store, photograph(), photograph())
    root = tmp_path / "photos"
    root.mkdir()
    (root / "one.png").symlink_to(store / "a.png")
    assert isinstance(next(PhotoSource(photos=root).pairs("mff")), LeftOut)
    assert not isinstance(next(PhotoSource(photos=root, follow_links=True).pairs("mff")), LeftOut)


@pytest.mark.parametrize("follow", [False, True])
def test_links_in_a_circle_and_links_to_nothing_end_with_a_reason(tmp_path, follow):
    write_pair(tmp_path / "x-0", photograph(), photograph())
    for name, target in (("x-1", "nothing/here.png"), ("x-2", "a.png")):  # the second is its own target
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").symlink_to(target)
        (tmp_path / name / "b.png").symlink_to("../x-0/b.png")
    (tmp_path / "x-3").symlink_to("x-3")
    (tmp_path / "x-0" / "up").symlink_to(tmp_path)
    found, out = listed(FolderSource(folder=tmp_path, follow_links=follow))
    assert [pair.scene for pair in found] == ["x-0"]
    assert out == dict.fromkeys(("x-1", "x-2"), "a.png is a link to a file that is not there")


def test_val_is_taken_from_train_and_moves_nothing_into_test_or_out_of_it():
    names = [f"x-{number}" for number in range(5000)]
    before, after = ({name: side_of(name, 0.1, share) for name in names} for share in (0.0, 0.2))
    assert {name for name in names if before[name] == "test"} == {name for name in names if after[name] == "test"}
    assert set(before.values()) == {"train", "test"}
    assert sum(side == "val" for side in after.values()) / len(names) == pytest.approx(0.2, abs=0.02)


def test_the_three_sides_of_a_folder_share_no_scene_and_make_up_all(tmp_path):
    for number in range(60):
        (tmp_path / f"x-{number}").mkdir()
        for name in "ab":
            (tmp_path / f"x-{number}" / f"{name}.png").touch()
    shares = {"held_out": 0.2, "held_out_val": 0.2}
    train, val, test, both = (
        {pair.scene for pair in FolderSource(folder=tmp_path, split=side, **shares).pairs("mef")}
        for side in ("train", "val", "test", "all")
    )
    assert min(len(train), len(val), len(test)) > 0
    assert len(train) + len(val) + len(test) == len(train | val | test) == len(both) == 60


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"folder": "x", "split": "val"}, "held_out_val says its share"),
        ({"photos": "x", "split": "val"}, "held_out_val says its share"),
        ({"builtin": "bracketed", "split": "val"}, "train and test alone"),
        ({"folder": "x", "held_out": 0.6, "held_out_val": 0.5}, "leave nothing for train"),
        ({"folder": "x", "split": "validation"}, "'train', 'val', 'test' or 'all'"),
    ],
)
def test_a_split_that_a_source_cannot_have_is_refused_with_the_way_out(source, message):
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({**DATA, "sources": [source]})
    assert parse_source({"folder": "x", "split": "val", "held_out_val": 0.1}).resolved()["held_out_val"] == 0.1
    assert "held_out_val" not in parse_source({"folder": "x"}).resolved()


def test_a_val_that_is_empty_says_what_gives_it_scenes(tmp_path):
    bracket_folder(tmp_path / "pairs")
    recipe = Recipe.model_validate({**DATA, "sources": [{"manifest": "x.csv", "split": "val"}]})
    with pytest.raises(UserError, match=r"none stands in the split val \(held_out_val of a source"):
        make_plan(recipe, tmp_path / "pairs")


def test_images_are_called_by_their_role_in_letters_of_any_case(tmp_path):
    for name in ("A.JPG", "b.png", "B.png", "GT.png"):
        (tmp_path / "x-1").mkdir(exist_ok=True)
        (tmp_path / "x-1" / name).touch()
    (pair,), _ = listed(FolderSource(folder=tmp_path))
    assert [file.name for file in (*pair.images, pair.gt)] == ["A.JPG", "b.png", "GT.png"]


def test_a_folder_that_is_laid_out_otherwise_says_what_makes_a_table_of_it(tmp_path):
    for name in ("left/1.png", "right/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"the first: left: no image a and no image b; `synth manifest` makes a table"):
        make_plan(Recipe.model_validate(DATA), tmp_path)
    with pytest.raises(UserError, match=r"no pairs in it; .* `synth manifest` makes a table"):
        make_plan(Recipe.model_validate(DATA), tmp_path / "left")


def test_a_table_of_pairs_behind_links_alone_says_what_allows_them(tmp_path):
    pairs = farm(tmp_path / "mef")
    shutil.rmtree(pairs / "x-0")
    (pairs / "x-1/a.png").rename(pairs / "lone.png")
    for wanted in (Wanted(task="mef"), Wanted(task="mef", layout="mefb")):
        with pytest.raises(UserError, match="--follow-links"):
            write_manifest(pairs, tmp_path / "mef/t.csv", wanted)
    assert write_manifest(pairs, tmp_path / "mef/t.csv", Wanted(task="mef", follow_links=True)) == 1
