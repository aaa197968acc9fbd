"""Pairs made of photographs: what they show, that they are the same each time, and how often they are drawn."""

import numpy as np
import pytest
from skimage import data

from synth.errors import UnreadableError, UserError
from synth.images import codecs, curves
from synth.images.pixels import luma, to_linear
from synth.pairs.bracketing import BracketParams, bracket, clipped_share
from synth.pairs.layers import Layers, filled, layers_of
from synth.pairs.photos import PhotoSource
from synth.pairs.refocusing import RefocusParams, refocus
from synth.pairs.source import LeftOut
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.streams import stream
from tests.synth.helpers import bracket_folder, photograph, write_pair

BASE = {"name": "t", "samples": 8, "crop": {"size": 64}, "degradations": {"always": ["noise"]}}


def folder(root, **images):
    """Photographs of these names."""
    root.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (root / f"{name}.png").write_bytes(codecs.encode_png(image))
    return root


@pytest.fixture
def photos(tmp_path):
    return folder(tmp_path / "photos", cat=data.chelsea()[:200, :280], cup=data.coffee()[:200, :280])


def pairs(source: PhotoSource, task: str):
    return [item for item in source.pairs(task) if not isinstance(item, LeftOut)]


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_equal_references_load_equal_pixels_and_variants_differ(photos, task):
    first, second = (pairs(PhotoSource(photos=photos, variants=3), task) for _ in range(2))
    assert first == second
    assert [pair.scene for pair in first] == [f"photos-{name}-p{n}" for name in ("cat", "cup") for n in range(3)]
    assert {header.size for pair in first for header in pair.headers()} == {(200, 280)}
    loaded = [pair.load() for pair in first[:2]]
    again = second[0].load()
    assert all(np.array_equal(loaded[0].pictures[name], again.pictures[name]) for name in "ab")
    assert not np.array_equal(loaded[0].pictures["a"], loaded[1].pictures["a"])
    assert loaded[0].files == ("cat.png",)
    assert loaded[0].notes != loaded[1].notes


def test_the_frames_of_a_bracket_lie_as_far_apart_as_is_told_through_the_curve_that_is_told():
    image = data.chelsea()[:200, :280]
    for name in ("srgb", "hdrps"):
        under, over = bracket(image, BracketParams(name, -2.0, 0.75, 1.0, 1e6, 5))
        light = [luma(curves.curve(name).to_linear(frame)) for frame in (under, over)]
        usable = (light[0] > 0.02) & (over.max(axis=2) < 240)
        assert np.median(light[1][usable] / light[0][usable]) == pytest.approx(2**2.75, rel=0.03)


def test_a_dark_frame_has_shades_where_the_photograph_is_white_and_its_middle_stays_grey():
    y, x = np.mgrid[:160, :240]
    sky = np.clip(180 + 120 * np.exp(-((y - 80) ** 2 + (x - 120) ** 2) / 2500), 0, 255).astype(np.uint8)
    image = np.dstack([sky, sky, np.minimum(sky, 240)])  # pale yellow where it clips
    under, _ = bracket(image, BracketParams("hdrps", -3.0, 1.0, 1.5, 1e6, 5))
    white = sky == 255
    assert np.ptp(under[white][:, 1].astype(int)) > 15
    middle = under[70:90, 110:130].reshape(-1, 3).mean(axis=0)
    assert middle.max() - middle.min() < 12


def test_a_bracket_of_a_clipped_photograph_is_left_out_and_a_focus_pair_is_not(tmp_path):
    image = np.ascontiguousarray(data.chelsea()[:200, :280])
    image[:32] = 255
    source = PhotoSource(photos=folder(tmp_path / "p", sky=image), variants=1)
    assert clipped_share(image) == pytest.approx(0.16, abs=0.01)
    assert list(source.pairs("mef")) == [LeftOut("photos-sky", "16% of it is clipped, and 8% may be")]
    assert len(pairs(source, "mff")) == 1


def test_the_photograph_is_the_truth_of_a_focus_pair_and_none_of_a_bracket(photos):
    source = PhotoSource(photos=photos)
    focus, exposure = pairs(source, "mff")[0], pairs(source, "mef")[0]
    assert (focus.has_gt, exposure.has_gt) == (True, False)
    assert np.array_equal(focus.load().gt, data.chelsea()[:200, :280])
    assert exposure.load().gt is None


def sides(height: int = 80, width: int = 120) -> tuple[np.ndarray, Layers]:
    """A near red half on the left before a far blue one, both with stripes."""
    stripes = np.where(np.arange(height) % 8 < 4, 200, 90).astype(np.uint8)[:, None].repeat(width, 1)
    near = np.arange(width) < width // 2
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0], image[:, :, 2] = stripes * near, stripes * ~near
    mask = near.astype(np.float32)[None].repeat(height, 0)
    return image, Layers(mask, [1 - mask, mask])


def test_a_blurred_near_layer_spreads_over_the_far_one_and_a_sharp_one_does_not():
    image, layers = sides()
    near, far = refocus(image, layers, RefocusParams(6.0, 0.1, 1.0, 0.0))
    edge = image.shape[1] // 2
    assert np.array_equal(near[:, :edge], image[:, :edge]), "in focus, to its very edge"
    assert near[:, edge:, 0].max() == 0, "no light of it stands in what is behind"
    assert np.array_equal(far[:, edge + 8 :], image[:, edge + 8 :]), "far, it is as it was where nothing covers it"
    spread = far[:, edge : edge + 5, 0].astype(int).mean(axis=0)
    assert spread[0] > 60
    assert (np.diff(spread) < 0).all()
    half = to_linear(far)[:, edge - 1 : edge + 1].sum(axis=(0, 2))
    assert half[0] == pytest.approx(half[1], rel=0.2), "the edge itself is half of each"


def test_what_is_out_of_focus_is_a_disc_not_a_bell():
    image = np.full((81, 81), 10, np.uint8)
    image[40, 40] = 255
    flat = np.zeros(image.shape, np.float32)
    mask = np.ones(image.shape, np.float32)
    near, far = refocus(image, Layers(flat, [mask]), RefocusParams(6.0, 0.0, 1.0, 0.0))
    assert np.array_equal(far, image)
    light = to_linear(near) - to_linear(image[:1, :1])
    inside = [light[40, 40 + x] for x in range(5)]
    assert max(inside) < 1.3 * min(inside)
    assert light[40, 40 + 8] < 0.1 * inside[0]  # a bell of this middle would fall to 0.4 at 4 px


def test_every_place_is_sharp_in_one_of_both_images():
    """Half of what lies between both planes is sharp in each, and what lies beyond them as well."""
    image = np.random.default_rng(3).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    ramp = np.linspace(0, 1, 100, dtype=np.float32)[None].repeat(60, 0)
    near, far = refocus(image, Layers(ramp, [np.ones_like(ramp)]), RefocusParams(5.0, 0.5, 0.8, 0.3))
    same = [(frame == image).all(axis=(0, 2)) for frame in (near, far)]
    assert (same[0] | same[1]).all()
    assert 40 <= same[0].sum() <= 60
    assert 40 <= same[1].sum() <= 60


def test_what_stands_on_a_thing_is_as_far_as_that_thing():
    image = np.full((96, 128, 3), (200, 220, 240), np.uint8)
    image[60:] = (90, 140, 60)
    image[45:85, 44:84] = (180, 30, 30)  # a body, and a head on it
    image[25:45, 54:74] = (40, 40, 160)
    for name in range(4):
        disparity = layers_of(image, None, stream(0, 0, str(name))).disparity
        assert disparity[35, 64] == pytest.approx(disparity[65, 64], abs=0.05)
        assert disparity[35, 64] > disparity[35, 10] + 0.2, "nearer than the sky behind it"


def test_a_depth_map_beside_a_photograph_makes_its_layers(tmp_path):
    image, _ = sides()
    depth = np.where(np.arange(120) < 60, 20, 200).astype(np.uint8)[None].repeat(80, 0)
    root = folder(tmp_path / "p", **{"x": image, "x.depth": depth, "y": image, "y.depth": depth[:40]})
    good, bad = pairs(PhotoSource(photos=root, variants=1), "mff")
    pair = good.load()
    assert pair.files == ("x.png", "x.depth.png")
    assert pair.depth is not None
    assert (pair.depth[:, 0].mean(), pair.depth[:, -1].mean()) == pytest.approx((0.1, 1))
    a, b = (pair.pictures[name].astype(int) for name in "ab")
    clean = image.astype(int)
    assert np.abs(a - clean)[:, :50].mean() < 1 < np.abs(b - clean)[:, :50].mean()
    assert np.abs(b - clean)[:, 70:].mean() < 1 < np.abs(a - clean)[:, 70:].mean()
    with pytest.raises(UnreadableError, match=r"^y.depth.png is not of the size of y.png$"):
        bad.load()


def test_layers_share_each_pixel_and_a_grey_photograph_stays_grey(tmp_path):
    grey = photograph(96, 130, colour=False)
    layers = layers_of(grey, None, stream(0, 0, "x"))
    assert np.abs(sum(layers.masks) - 1).max() < 1e-5
    assert 0 <= layers.disparity.min() <= layers.disparity.max() <= 1
    source = PhotoSource(photos=folder(tmp_path / "p", x=grey, flat=np.full_like(grey, 90)), variants=1)
    for task in ("mef", "mff"):
        for pair in pairs(source, task):
            assert {picture.shape for picture in pair.load().pictures.values()} == {grey.shape}


def test_what_is_filled_stays_where_it_is_known_and_goes_on_evenly():
    image = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    known = (np.arange(64) < 20).astype(np.float32)[None].repeat(48, 0)
    out = filled(image, known)
    assert np.array_equal(out[:, :20], image[:, :20])
    assert 0.1 < out[:, 30:].min() <= out[:, 30:].max() <= image[0, 19] + 1e-6


@pytest.mark.parametrize(
    ("settings", "task", "message"),
    [
        ({}, "vif", "photos: no pair of vif can be made of one photograph"),
        ({"make": "refocused"}, "mef", "photos: make refocused is not for mef"),
        ({"align": True}, "mef", "photos: what is made of one photograph needs no align"),
        ({"make": "blurred"}, "mef", "make"),
        ({"variants": 0}, "mef", "variants"),
        ({"dataset": "a-b"}, "mef", "dataset"),
    ],
)
def test_a_wrong_setting_is_refused(settings, task, message):
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({**BASE, "task": task, "sources": [{"photos": "x", **settings}]})


def test_a_missing_or_empty_folder_and_a_link_that_leads_out(tmp_path, photos):
    with pytest.raises(UserError, match="no such folder of photographs"):
        list(PhotoSource(photos=tmp_path / "nowhere").pairs("mff"))
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no photographs in it"):
        list(PhotoSource(photos=tmp_path / "none").pairs("mff"))
    (tmp_path / "none/x.png").symlink_to(photos / "cat.png")
    assert [item.scene for item in PhotoSource(photos=tmp_path / "none").pairs("mff")] == ["photos-x"]


def test_all_variants_of_a_photograph_stand_on_one_side_of_a_split(tmp_path):
    root = folder(tmp_path / "p", **{f"n{number}": photograph(70, 70) for number in range(20)})
    sides = {split: pairs(PhotoSource(photos=root, split=split, held_out=0.4), "mff") for split in ("train", "test")}
    names = [{pair.photograph.name for pair in found} for found in sides.values()]
    assert names[0].isdisjoint(names[1])
    assert sum(map(len, sides.values())) == 80
    assert all(names)


def recipe(**changes) -> Recipe:
    return Recipe.model_validate({**BASE, "task": "mef", "sources": [{"builtin": "bracketed"}], **changes})


def test_pairs_of_photographs_weigh_half_of_all_others_together_unless_a_recipe_says_otherwise(tmp_path, photos):
    root = bracket_folder(tmp_path / "pairs")
    for settings, share in (({}, 1 / 3), ({"beside": 2}, 2 / 3), ({"weights": {"photos": 3}}, 3 / (3 + 3**0.5))):
        plan = make_plan(recipe(sources=[{"folder": str(root)}, {"photos": str(photos), **settings}]))
        weights = {pool.dataset: pool.weight for pool in plan.pools}
        assert weights["shots"] == pytest.approx(3**0.5)
        assert weights["photos"] / sum(weights.values()) == pytest.approx(share)
    alone = make_plan(recipe(sources=[{"photos": str(photos)}]))
    assert {render(alone, index).record["source"]["dataset"] for index in range(3)} == {"photos"}


def test_photographs_beside_the_pairs_of_data_are_used_where_the_recipe_asks_for_them(tmp_path, photos):
    image = photograph(80, 80)
    for task in ("mef", "vif"):
        write_pair(tmp_path / task / "real-1", image, image)
    assert photos.parent == tmp_path
    assert {pool.dataset for pool in make_plan(recipe(), tmp_path).pools} == {"real"}
    plan = make_plan(recipe(photos=0.25), tmp_path)
    assert {pool.dataset: pool.weight for pool in plan.pools} == {"real": 1, "photos": 0.25}
    kinds = [source["kind"] for source in plan.recipe.resolved()["tasks"]["mef"]["sources"]]
    assert kinds == ["folder", "photos"]
    named = recipe(sources=[{"photos": "nowhere", "variants": 1, "beside": 3}], photos=0.25)
    plan = make_plan(named, tmp_path)
    assert {pool.dataset: (pool.weight, len(pool.pairs)) for pool in plan.pools} == {"real": (1, 1), "photos": (3, 2)}
    with pytest.raises(ValueError, match="photos: no pair of vif can be made of one photograph"):
        recipe(task="vif", sources=[{"builtin": "synthetic_thermal"}], photos=0.5)
