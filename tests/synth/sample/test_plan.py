"""The three fates of a pair, and which are drawn how often."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from synth.errors import UserError
from synth.recipe.schema import Given, Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.streams import stream
from tests.synth.helpers import photograph, write_pair


def recipe(root: Path, **changes) -> Recipe:
    data = {
        "name": "t",
        "task": "mff",
        "samples": 8,
        "sources": [{"folder": str(root)}],
        "crop": {"size": 64},
        "degradations": {"always": ["noise"]},
    }
    return Recipe.model_validate({**data, **changes})


def test_the_fates_of_a_pair(tmp_path):
    image = photograph(100, 120)
    write_pair(tmp_path / "x-good", image, image)
    write_pair(tmp_path / "x-two_sizes", image, image[:90])
    write_pair(tmp_path / "x-too_small", image[:50], image[:50])
    write_pair(tmp_path / "x-a_little_small", image[:60], image[:60])
    write_pair(tmp_path / "x-no_b", image, image)
    (tmp_path / "x-no_b/b.png").unlink()
    write_pair(tmp_path / "x-broken", image, image)
    (tmp_path / "x-broken/b.png").write_bytes(b"not a picture")
    plan = make_plan(recipe(tmp_path))
    assert {item.scene: item.reason for item in plan.left_out} == {
        "x-two_sizes": "a is 120×100, b is 120×90",
        "x-too_small": "its short side is 50 px, the crop 64",
        "x-no_b": "no image b",
    }
    assert [pair.scene for pair in plan.pools[0].pairs] == ["x-a_little_small", "x-broken", "x-good"]


def test_a_pair_a_little_under_the_crop_is_enlarged_and_the_record_says_so(tmp_path):
    image = photograph(60, 120)
    write_pair(tmp_path / "x-1", image, image)
    sample = render(make_plan(recipe(tmp_path)), 0)
    assert sample.a.shape[:2] == (64, 64)
    assert sample.record["crop"]["scale"] == pytest.approx(64 / 60)


def test_no_usable_pair_is_one_line_with_the_reason(tmp_path):
    write_pair(tmp_path / "x-1", photograph(30, 30), photograph(30, 30))
    with pytest.raises(
        UserError, match="no usable pair for mff; of 1 left out, the first: x-1: its short side is 30 px"
    ):
        make_plan(recipe(tmp_path))


@pytest.mark.parametrize("make", ["nothing", "empty"])
def test_a_missing_or_empty_source_is_refused(tmp_path, make):
    root = tmp_path / "pairs"
    if make == "empty":
        root.mkdir()
    with pytest.raises(UserError, match="no such folder of pairs" if make == "nothing" else "no pairs in it"):
        make_plan(recipe(root))


def test_data_replaces_the_sources_with_and_without_a_folder_for_the_task(tmp_path):
    image = photograph(80, 80)
    write_pair(tmp_path / "flat/x-1", image, image)
    write_pair(tmp_path / "deep/mff/y-1", image, image)
    nowhere = recipe(tmp_path / "nowhere")
    assert make_plan(nowhere, tmp_path / "flat").pools[0].dataset == "x"
    assert make_plan(nowhere, tmp_path / "deep").pools[0].dataset == "y"


def test_a_bracket_that_is_off_by_pixels_is_aligned_where_the_recipe_says_so(tmp_path):
    scene = photograph(140, 170)
    write_pair(tmp_path / "x-1", scene[10:130, 10:160] // 3, scene[7:127, 12:162])
    found = {}
    for align in (False, True):
        source = {"folder": str(tmp_path), "align": align}
        found[align] = make_plan(recipe(tmp_path, task="mef", sources=[source]))
    moved = found[True].pools[0].pairs[0].load()
    assert moved.shift == (2, -3)
    middle = slice(20, 100), slice(20, 130)
    assert np.abs(moved.pictures["a"][middle].astype(int) * 3 - moved.pictures["b"][middle]).max() <= 3
    assert render(found[True], 0).record["source"]["shift"] == [2, -3]
    assert "shift" not in render(found[False], 0).record["source"]


def test_a_fusion_network_of_the_users_makes_the_target(tmp_path):
    from tests.synth.targets.test_network import write

    image = photograph(80, 90)
    write_pair(tmp_path / "x-1", image, 255 - image)
    changes = {"target": "network", "target_network": {"onnx": str(write(tmp_path / "mean.onnx"))}, "store": ["clean"]}
    made = recipe(tmp_path, **changes)
    sample = render(make_plan(made), 0)
    assert sample.clean is not None
    mean = (sample.clean["a"].astype(float) + sample.clean["b"]) / 2
    assert np.abs(sample.target - mean).max() <= 1
    assert len(made.resolved()["target_network"]["onnx"]) == 64
    with pytest.raises(ValueError, match="target network: which file"):
        recipe(tmp_path, target="network")
    with pytest.raises(ValueError, match=r"align is for the two shots of a bracket \(mef\), not for mff"):
        recipe(tmp_path, sources=[{"folder": "x", "align": True}])


def test_data_keeps_what_the_recipe_says_of_its_folders(tmp_path):
    write_pair(tmp_path / "x-1", photograph(80, 80), photograph(80, 80))
    source = {"folder": "nowhere", "depth_kind": "inverse", "licence": "research"}
    plan = make_plan(recipe(tmp_path, sources=[source]), tmp_path)
    pair = plan.pools[0].pairs[0]
    assert (pair.licence, pair.depth_kind) == ("research", "inverse")


def test_datasets_are_drawn_by_the_root_of_their_pairs_or_as_the_recipe_weighs_them(tmp_path):
    image = photograph(70, 70)
    for number in range(16):
        write_pair(tmp_path / f"large-{number}", image, image)
    write_pair(tmp_path / "small-0", image, image)

    def shares(plan):
        drawn = Counter(plan.draw_pair("mff", stream(0, n, "pair"))[1].dataset for n in range(4000))
        return drawn["large"] / drawn.total()

    assert shares(make_plan(recipe(tmp_path))) == pytest.approx(4 / 5, abs=0.02)
    weighed = recipe(tmp_path, sources=[{"folder": str(tmp_path), "weights": {"small": 12}}])
    assert shares(make_plan(weighed)) == pytest.approx(1 / 4, abs=0.02)
    with pytest.raises(UserError, match=r"weights.tiny: no such dataset; there are: large, small"):
        make_plan(recipe(tmp_path, sources=[{"folder": str(tmp_path), "weights": {"tiny": 1}}]))


def test_the_fingerprint_knows_names_and_not_places(tmp_path):
    image = photograph(70, 70)
    for place in ("one", "two"):
        write_pair(tmp_path / place / "x-1", image, image)
    first, second = (make_plan(recipe(tmp_path / place)).fingerprint for place in ("one", "two"))
    assert first == second
    write_pair(tmp_path / "two/x-2", image, image)
    assert make_plan(recipe(tmp_path / "two")).fingerprint != first


def test_shards_cover_all_samples_once(tmp_path):
    write_pair(tmp_path / "x-1", photograph(70, 70), photograph(70, 70))
    plan = make_plan(recipe(tmp_path, samples=10, samples_per_shard=4))
    assert [(s.stem, s.start, s.stop) for s in plan.shards] == [("000000", 0, 4), ("000001", 4, 8), ("000002", 8, 10)]


def test_a_depth_map_beside_the_pair_is_used(tmp_path):
    image = photograph(80, 80)
    near_left = np.tile(np.linspace(10, 255, 80).astype(np.uint8), (80, 1))
    for kind, nearer in (("distance", "left"), ("inverse", "right")):
        write_pair(tmp_path / kind / "x-1", image, image, depth=near_left)
        source = {"folder": str(tmp_path / kind), "depth_kind": kind}
        plan = make_plan(recipe(tmp_path, sources=[source], crop={"size": 64, "flip": False}))
        sample = render(plan, 1)
        assert sample.record["scene"]["depth"] == kind
        depth = plan.pools[0].pairs[0].load().depth
        assert depth is not None
        assert (depth[:, 0] < depth[:, -1]).all() == (nearer == "left")
        assert "depth.png" in sample.record["source"]["files"]


def test_a_recipe_says_which_scenes_of_data_are_drawn_and_without_that_has_the_hash_it_had(tmp_path):
    image = photograph(80, 80)
    for number in range(24):
        write_pair(tmp_path / f"x-{number}", image, image)
    shares = {"held_out": 0.3, "held_out_val": 0.3}
    asked = recipe(tmp_path, sources=[{"builtin": "refocused"}], crop={"size": 64})
    drawn = {}
    for split in ("train", "val", "test"):
        given = asked.model_copy(update={"data": Given(split=split, **shares)})
        drawn[split] = {pair.scene for pair in make_plan(given, tmp_path).pools[0].pairs}
        assert given.hash() != asked.hash()
        listed = recipe(tmp_path, sources=[{"folder": str(tmp_path), "split": split, **shares}])
        assert drawn[split] == {pair.scene for pair in make_plan(listed).pools[0].pairs}
    assert sum(map(len, drawn.values())) == len(set().union(*drawn.values())) == 24
    assert len(make_plan(asked, tmp_path).pools[0].pairs) == 24
    assert "data" not in asked.resolved()


def test_shares_of_data_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(ValueError, match="leave none for train"):
        recipe(tmp_path, data={"held_out": 0.6, "held_out_val": 0.4})


def test_scenes_for_val_are_asked_of_what_has_its_own_and_else_want_a_share(tmp_path):
    image = photograph(80, 80)
    for number in range(4):
        write_pair(tmp_path / f"x-{number}", image, image)
    given = recipe(tmp_path, crop={"size": 64}, data={"split": "val"})
    with pytest.raises(UserError, match=r"data: split: val of a source without splits.* held_out_val"):
        make_plan(given, tmp_path)
    rows = [f"x-{n}/a.png,x-{n}/b.png,{'val' if n == 2 else 'train'},{n}" for n in range(4)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,split,scene", *rows]))
    assert [pair.scene for pair in make_plan(given, tmp_path / "pairs.csv").pools[0].pairs] == ["2"]


def test_a_recipe_that_says_which_scenes_of_data_wants_data(tmp_path):
    write_pair(tmp_path / "x-1", photograph(80, 80), photograph(80, 80))
    with pytest.raises(UserError, match="there is no --data; give it, or take data out of the recipe"):
        make_plan(recipe(tmp_path, crop={"size": 64}, data={"split": "train"}))
