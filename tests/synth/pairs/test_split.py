"""A scene never stands in two splits."""

import pytest

from synth.errors import UserError
from synth.pairs.builtin import BUILTINS, BuiltinSource
from synth.pairs.folder import FolderSource
from synth.pairs.split import side_of
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from tests.synth.helpers import photograph, write_pair


def scenes(root, split: str, **more) -> set[str]:
    source = {"folder": str(root), "split": split} | more
    data = {"name": "t", "task": "mff", "samples": 2, "sources": [source], "crop": {"size": 32}}
    plan = make_plan(Recipe.model_validate(data | {"degradations": {"always": ["noise"]}}))
    return {pair.scene for pool in plan.pools for pair in pool.pairs}


def pairs(root, names):
    for name in names:
        write_pair(root / name, photograph(40, 40), photograph(40, 40))


@pytest.mark.parametrize(("name", "task"), [(name, builtin.task) for name, builtin in BUILTINS.items()])
def test_the_photographs_of_a_builtin_source_are_split_for_good(name, task):
    sources = (BuiltinSource(builtin=name, split=split) for split in ("train", "test", "all"))
    train, test, both = ({pair.photograph for pair in source.pairs(task)} for source in sources)
    assert train
    assert test
    assert not train & test
    assert train | test == both


def test_the_sides_of_a_folder_share_no_scene_and_make_up_all(tmp_path):
    pairs(tmp_path, [f"x-{number}" for number in range(40)])
    train, test = scenes(tmp_path, "train", held_out=0.3), scenes(tmp_path, "test", held_out=0.3)
    assert train
    assert test
    assert not train & test
    assert train | test == scenes(tmp_path, "all")


def test_more_pairs_move_none_and_the_share_is_as_asked(tmp_path):
    pairs(tmp_path, [f"x-{number}" for number in range(20)])
    before = scenes(tmp_path, "train", held_out=0.4)
    pairs(tmp_path, [f"x-{number}" for number in range(20, 40)] + ["another-1"])
    assert before == {scene for scene in scenes(tmp_path, "train", held_out=0.4) if scene in before}
    assert not before & scenes(tmp_path, "test", held_out=0.4)
    share = sum(side_of(f"set-{number}", 0.1) == "test" for number in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)


def test_what_is_held_out_grows_with_the_share():
    small, large = ({n for n in range(500) if side_of(f"x-{n}", share) == "test"} for share in (0.05, 0.2))
    assert small < large


def test_the_pairs_of_one_scene_stand_on_one_side():
    for number in range(200):
        assert len({side_of(f"x-{number}{pair}", 0.5) for pair in ("", "-p0", "-p1", "-p12")}) == 1


def test_a_split_without_a_scene_says_so(tmp_path):
    pairs(tmp_path, [next(f"x-{n}" for n in range(100) if side_of(f"x-{n}", 0.1) == "train")])
    with pytest.raises(UserError, match="no usable pair for mff; none stands in the split test"):
        scenes(tmp_path, "test")


def test_a_folder_is_used_whole_and_a_builtin_source_for_train_unless_asked():
    assert FolderSource.model_validate({"folder": "x"}).split == "all"
    assert BuiltinSource.model_validate({"builtin": "bracketed"}).split == "train"
