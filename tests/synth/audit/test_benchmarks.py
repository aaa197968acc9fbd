"""The recipes of benchmarks, and the sets that they are made of."""

import gzip
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.audit.signature import SUFFIX, as_bytes, sign
from synth.dataset.description import describe
from synth.errors import UserError
from synth.pairs.public_sets import LAYOUTS
from synth.recipe.file import find_recipe, load_recipe, shipped
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.conftest import ROOT
from tests.synth.audit.holding import verify
from tests.synth.helpers import generate

BENCHMARKS = sorted(name for name in shipped(".yaml") if name.startswith("benchmark/"))


def lines(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().split("\n")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_recipes_of_benchmarks_ask_for_what_a_benchmark_has(name):
    recipe = load_recipe(find_recipe(name))
    assert f"benchmark/{recipe.name}" == name
    assert recipe.store == ("clean",)
    assert recipe.instructions.phrases == "test"
    assert recipe.instructions.per_pair > 1
    assert recipe.samples % recipe.instructions.per_pair == 0
    for part in recipe.tasks.values():
        for source in part.sources:
            if source.kind == "layout":
                assert source.way in {layout.name for layout in LAYOUTS}  # type: ignore[attr-defined]
                assert source.dataset is not None  # type: ignore[attr-defined]


def test_no_two_benchmarks_draw_alike():
    seeds = [load_recipe(find_recipe(name)).seed for name in BENCHMARKS]
    assert len(BENCHMARKS) == 9
    assert len(set(seeds)) == len(seeds)


def test_a_benchmark_is_found_by_its_name_and_by_no_other():
    assert find_recipe("benchmark/vif_msrs.yaml") == find_recipe("benchmark/vif_msrs")
    with pytest.raises(UserError, match=r"vif_msrs: no such recipe; did you mean 'benchmark/vif_msrs'\?"):
        find_recipe("vif_msrs")
    with pytest.raises(UserError, match="no such recipe"):
        find_recipe("benchmark/../mef_haze")


def road_set(root: Path, names: list[str]) -> Path:
    rng = np.random.default_rng(7)
    for number, name in enumerate(names):
        base = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC)
        for folder, picture in (("crop_LR_visible", base), ("cropinfrared", base[:, :, number % 3])):
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f"{name}.png"), picture)
    return root


def test_a_set_is_the_same_by_any_folders_name_and_one_with_other_files_is_told(tmp_path):
    names = [f"FLIR_{n:05d}" for n in range(5)]
    road_set(tmp_path / "one", names)
    road_set(tmp_path / "RoadScene-master", names[::-1])  # another order of the file system
    for name in names:  # the same pictures
        for folder in ("crop_LR_visible", "cropinfrared"):
            shutil.copy(tmp_path / "one" / folder / f"{name}.png", tmp_path / "RoadScene-master" / folder)

    text = find_recipe("benchmark/vif_roadscene").read_text(encoding="utf-8")
    (tmp_path / "r.yaml").write_text(text.replace("crop: {size: 256", "crop: {size: 64"))

    def rendered(root: Path, out: str) -> Path:
        generate(make_plan(load_recipe(tmp_path / "r.yaml", {"samples": 6}), root), tmp_path / out)
        return tmp_path / out

    file, full = tmp_path / f"road{SUFFIX}", tmp_path / f"full{SUFFIX}"
    made = Folder(rendered(tmp_path / "one", "a"))
    plan = make_plan(load_recipe(tmp_path / "r.yaml"), tmp_path / "one")
    file.write_bytes(as_bytes(sign(made)))
    full.write_bytes(as_bytes(sign(made, plan)))
    done = verify(rendered(tmp_path / "RoadScene-master", "b"), file)
    assert done.exit_code == 0, done.output
    assert '"scene":"roadscene-FLIR_0000' in lines(file)[1]
    for folder in ("crop_LR_visible", "cropinfrared"):
        (tmp_path / "one" / folder / "FLIR_00002.png").unlink()
    fewer = rendered(tmp_path / "one", "c")
    assert "roadscene: 4 pairs of vif here, 5 in the signature: files are missing" in verify(fewer, file).output
    words = ["--recipe", str(tmp_path / "r.yaml"), "--data", str(tmp_path / "one")]
    told = verify(fewer, full, *words).output
    assert "files are missing, so that other pairs are drawn: roadscene-FLIR_00002 in the signature alone" in told
    road_set(tmp_path / "one", [*names[:2], "FLIR_99999"])
    done = verify(other := rendered(tmp_path / "one", "d"), file)
    assert "its pairs have other names or marks than the signature's" in done.output
    told = verify(other, full, *words).output
    assert "signature's: roadscene-FLIR_00002 in the signature alone; roadscene-FLIR_99999 here alone" in told
    with pytest.raises(UserError, match="no pair laid out as msrs"):
        make_plan(load_recipe(find_recipe("benchmark/vif_msrs")), tmp_path / "one")


SETS = {  # as they unpack: images of two pairs, and what is not of the benchmark
    "vif_msrs": ("MSRS-main", "{split}/{role}/0000{n}D.png", ("vi", "ir"), ("test", "train")),
    "vif_llvip": ("LLVIP", "{role}/{split}/19000{n}.jpg", ("visible", "infrared"), ("test", "train")),
    "vif_roadscene": ("RoadScene", "{role}/FLIR_0000{n}.jpg", ("crop_LR_visible", "cropinfrared"), ("",)),
    "vif_tno": ("TNO_Image_Fusion_Dataset", "scene_{n}/{role}.bmp", ("VIS", "IR"), ("",)),
    "mef_mefb": ("MEFB", "Arno{n}/Arno{n}_{role}.jpg", ("A", "B"), ("",)),
    "mef_sice": ("Dataset_Part1", "{n}/{role}.JPG", ("1", "2"), ("",)),
    "mff_lytro": ("LytroDataset", "lytro-0{n}-{role}.jpg", ("A", "B"), ("",)),
    "mff_mffw": ("MFFW2", "{n}_{role}.jpg", ("A", "B"), ("",)),
}


@pytest.mark.parametrize("name", SETS)
def test_each_benchmark_takes_its_set_as_it_unpacks(name, tmp_path):
    folder, tree, roles, splits = SETS[name]
    for split in splits:
        for n in (1, 2):
            for light, role in enumerate(roles):
                file = tmp_path / folder / tree.format(split=split, role=role, n=n)
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), np.full((256, 300, 3), 60 + 100 * light, np.uint8))
    plan = make_plan(load_recipe(find_recipe(f"benchmark/{name}")), tmp_path / folder)
    (pool,) = plan.pools
    assert (pool.task, pool.dataset, len(pool.pairs)) == (name[:3], name[4:], 2)
    assert not plan.left_out


def test_every_set_of_the_document_is_one_of_the_recipes():
    text = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
    assert {f"benchmark/{name}" for name in SETS} | {"benchmark/demo"} == set(BENCHMARKS)
    for name in SETS:
        assert f"| `benchmark/{name}` |" in text


def set_at(root: Path, name: str, folder: str | None = None) -> Path:
    """A set of two pairs as it unpacks below a folder, under a name of its own."""
    usual, tree, roles, splits = SETS[name]
    for split in splits:
        for n in (1, 2):
            for light, role in enumerate(roles):
                file = root / (folder or usual) / tree.format(split=split, role=role, n=n)
                file.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(file), np.full((256, 300, 3), 60 + 100 * light + n, np.uint8))
    return root / (folder or usual)


@pytest.mark.parametrize("name", SETS)
def test_a_folder_above_the_set_stands_for_it(name, tmp_path):
    recipe = load_recipe(find_recipe(f"benchmark/{name}"))
    plans = [make_plan(recipe, set_at(tmp_path / "a", name)), make_plan(recipe, tmp_path / "a")]
    set_at(tmp_path / "b/c/d", name)
    plans.append(make_plan(recipe, tmp_path / "b"))
    scenes = [[pair.scene for pair in plan.pools[0].pairs] for plan in plans]
    assert scenes[0] == scenes[1] == scenes[2]
    assert len({json.dumps(describe(plan)["source_fingerprint"]) for plan in plans}) == 1


@pytest.mark.parametrize("name", ["vif_msrs", "vif_roadscene", "vif_tno", "mff_lytro"])
def test_a_folder_of_several_sets_is_refused(name, tmp_path):
    own = set_at(tmp_path, name)
    set_at(tmp_path, name, "copy")
    with pytest.raises(UserError, match=f"and a benchmark is of one set, {name[4:]} .*; give --data {own}$"):
        make_plan(load_recipe(find_recipe(f"benchmark/{name}")), tmp_path)


def test_a_split_or_a_single_scene_is_no_folder_above_the_set(tmp_path):
    root = set_at(tmp_path, "vif_msrs")
    shutil.rmtree(root / "train")
    (pool,) = make_plan(load_recipe(find_recipe("benchmark/vif_msrs")), root).pools
    assert [pair.scene for pair in pool.pairs] == ["msrs-test_00001D", "msrs-test_00002D"]
    root = set_at(tmp_path, "vif_tno")
    shutil.rmtree(root / "scene_1")
    (pool,) = make_plan(load_recipe(find_recipe("benchmark/vif_tno")), root).pools
    assert [pair.scene for pair in pool.pairs] == ["tno-scene_2"]
