"""A scene shows the same pictures in all of a dataset, though its files may change between two runs."""

import json

import pytest

from synth.audit.verify import find_faults
from synth.dataset.generate import close, retry
from synth.errors import UserError
from synth.recipe.schema import Recipe
from synth.sample import loading
from synth.sample.plan import make_plan
from synth.storage import Folder
from tests.synth.helpers import DATA, generate, hashes, photograph, rows_of, run_of, write_pair

CHANGED = r"shots-\d: its pictures \(a.png, b.png\) have changed since samples of it were made.*--overwrite"


def pairs(root, shift=0):
    """Three brackets, written anew as another process would find them."""
    loading.load.cache_clear()
    for number in range(3):
        image = photograph() // (number + 1)
        write_pair(root / f"shots-{number}", image // 2, image + shift)
    return root


def plan(root, samples):
    data = {**DATA, "samples": samples, "samples_per_shard": 4, "store": [], "sources": [{"folder": str(root)}]}
    return make_plan(Recipe.model_validate(data))


def pictures(out):
    found = {}
    for row in rows_of(out):
        if row["status"] == "ok":
            found.setdefault(row["scene"], set()).add(tuple(json.loads(row["record"])["source"]["sha256"]))
    return found


def test_a_dataset_is_not_made_larger_of_pictures_that_have_changed(tmp_path):
    root, out = pairs(tmp_path / "pairs"), tmp_path / "d"
    generate(plan(root, 8), out)
    before = hashes(out)
    pairs(root, shift=1)
    with pytest.raises(UserError, match=CHANGED):
        generate(plan(root, 16), out, extend=True)
    assert all(len(shown) == 1 for shown in pictures(out).values())
    assert {name: before[name] for name in before if name.endswith("tar")}.items() <= hashes(out).items()
    pairs(root)
    generate(plan(root, 16), out, extend=True)
    assert find_faults(Folder(out)).faults == [], "with the old files put back it goes on"


def test_nor_does_a_run_go_on_with_them(tmp_path):
    root, out = pairs(tmp_path / "pairs"), tmp_path / "d"
    generate(plan(root, 16), out, part=slice(0, 2))
    pairs(root, shift=1)
    with pytest.raises(UserError, match=CHANGED):
        generate(plan(root, 16), out)
    with pytest.raises(UserError, match=CHANGED):
        generate(plan(root, 16), out, part=slice(2, 4))


def test_nor_are_failed_samples_made_again_beside_old_ones_of_their_scene(tmp_path):
    root, out = pairs(tmp_path / "pairs"), tmp_path / "d"
    broken = root / "shots-1/b.png"
    whole = broken.read_bytes()
    generate(plan(root, 8), out, part=slice(0, 1))
    seen = {row["scene"] for row in rows_of(out)}
    assert "shots-1" in seen
    broken.write_bytes(b"no image")
    loading.load.cache_clear()
    generate(plan(root, 8), out)
    assert any(row["status"] == "failed" for row in rows_of(out))
    pairs(root, shift=1)
    with pytest.raises(UserError, match=CHANGED):
        retry(plan(root, 8), Folder(out), run_of())
    pairs(root)
    assert broken.read_bytes() == whole
    assert retry(plan(root, 8), Folder(out), run_of()).failed == 0


def mixed(tmp_path):
    """A dataset as two jobs make it that know nothing of each other: each of other pictures."""
    root, out = pairs(tmp_path / "pairs"), tmp_path / "d"
    generate(plan(root, 8), tmp_path / "first", part=slice(0, 1))
    pairs(root, shift=1)
    generate(plan(root, 8), out, part=slice(1, 2))
    for path in (tmp_path / "first").glob("000000.*"):
        path.rename(out / path.name)
    return root, out


def test_parts_of_two_minds_are_not_closed_and_verify_tells_the_scene_and_both_shards(tmp_path):
    root, out = mixed(tmp_path)
    with pytest.raises(
        UserError, match=r"scene shots-\d has other pictures in shard 000001 than in 000000.*--overwrite"
    ):
        close(plan(root, 8), Folder(out))
    with pytest.raises(UserError, match=r"has other pictures in shard 000001 than in 000000"):
        generate(plan(root, 8), out)
    verdict = find_faults(Folder(out))
    told = [str(fault) for fault in verdict.faults if "other pictures" in str(fault)]
    assert told
    assert all(line.startswith("000001: 00000000") and "than in 000000" in line for line in told)
    assert verdict.broken == {"000001"}


def test_a_new_file_of_a_scene_that_has_not_been_drawn_is_no_change(tmp_path):
    root, out = pairs(tmp_path / "pairs"), tmp_path / "d"
    generate(plan(root, 2), out)
    unseen = {f"shots-{number}" for number in range(3)} - set(pictures(out))
    if not unseen:
        pytest.skip("all scenes were drawn")
    for name in unseen:
        write_pair(root / name, photograph() // 3, photograph() // 2)
    generate(plan(root, 16), out, extend=True)
    assert find_faults(Folder(out)).faults == []
