"""Datasets on disk: whole shards, the same bytes whoever makes them, and nothing lost."""

import hashlib
import json
import tarfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError

import pytest

from synth.dataset.description import difference, metadata, version_of
from synth.dataset.shards import read_facts, read_rows
from synth.errors import UserError
from synth.storage import Folder
from tests.synth.helpers import (
    bracket_folder,
    generate,
    hashes,
    missing_shards,
    photograph,
    plan,
    rows_of,
    write_pair,
)


def test_one_worker_and_four_make_the_same_bytes(made, tmp_path):
    generate(plan(), tmp_path / "d", workers=4)
    assert hashes(tmp_path / "d") == hashes(made)
    assert set(hashes(made)) == {f"{n:06d}.{kind}" for n in range(5) for kind in ("tar", "parquet")} | {
        "dataset.json",
        "README.md",
    }


def test_the_way_a_folder_of_pairs_is_named_changes_no_byte(tmp_path):
    for place in ("here", "a much longer name/there"):
        pairs = bracket_folder(tmp_path / place / "pairs")
        chosen = plan(sources=[{"folder": str(pairs)}], samples=6)
        generate(chosen, tmp_path / place / "out")
    first, second = (hashes(tmp_path / place / "out") for place in ("here", "a much longer name/there"))
    assert first == second
    everything = b"".join(path.read_bytes() for path in (tmp_path / "here/out").iterdir())
    assert str(tmp_path).encode() not in everything, "no path of the machine in the output"


def test_what_is_missing_is_made_again_to_the_same_bytes(made, tmp_path):
    out = tmp_path / "d"
    generate(plan(), out)
    (out / "000001.parquet").unlink()  # a tar without its sidecar is not there
    (out / "000003.tar").unlink()
    (out / ".part-123-000004.tar").write_bytes(b"left by a killed run")
    assert missing_shards(plan(), out) == [1, 3]
    assert generate(plan(), out).made == 2
    assert hashes(out) == hashes(made)


def test_a_finished_dataset_is_left_as_it_is(made):
    before = {path: path.stat().st_mtime_ns for path in made.glob("0*")}
    assert generate(plan(), made).made == 0
    assert {path: path.stat().st_mtime_ns for path in made.glob("0*")} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "other"}, 'name is "t" there, "other" here'),
        ({"seed": 4}, "recipe.seed is 3 there, 4 here"),
        ({"samples": 30}, "recipe.samples is 22 there, 30 here"),
        ({"crop": {"size": 64}}, "recipe.crop.size is 48 there, 64 here"),
        ({"sources": [{"builtin": "bracketed", "split": "all"}]}, 'mef.sources[0].split is "train" there, "all" here'),
        ({"degradations": {"always": ["rain"]}}, "recipe.tasks.mef.degradations.always[0].rain is null there, {"),
    ],
)
def test_another_recipes_shards_are_refused_and_the_difference_shown(made, changes, message):
    before = hashes(made)
    with pytest.raises(
        UserError, match=r"another dataset: .*; choose another --out, or replace it with --overw"
    ) as caught:
        generate(plan(**changes), made)
    assert message in str(caught.value)
    assert hashes(made) == before


def test_a_difference_may_be_a_setting_that_is_not_here():
    """As in a dataset of another version of the tool."""
    there = {"recipe": {"sources": [{"split": "all", "lens": 3}]}, "recipe_sha256": "x", "complete": True}
    here = {"recipe": {"sources": [{"split": "all"}]}, "recipe_sha256": "y"}
    assert difference(there, here) == "recipe.sources[0].lens is 3 there, and is not here"
    assert difference({**here, "complete": True}, here) is None
    two = {"recipe": {"sources": [{"split": "all"}, {"split": "all"}]}}
    assert difference(two, here) == f"recipe.sources is {json.dumps(two['recipe']['sources'])} there, " + (
        '[{"split": "all"}] here'
    )


def test_overwrite_replaces_another_recipes_shards_and_no_other_file(made, tmp_path):
    out = tmp_path / "d"
    generate(plan(seed=8, samples=40), out)
    for mine in ("notes.txt", "2024-backup.tar", "2024-table.parquet"):
        (out / mine).write_text("mine")
    generate(plan(), out, overwrite=True)
    for mine in ("notes.txt", "2024-backup.tar", "2024-table.parquet"):
        assert (out / mine).read_text() == "mine"
        (out / mine).unlink()
    assert hashes(out) == hashes(made)


def test_overwrite_leaves_what_is_no_dataset(tmp_path):
    (tmp_path / "dataset.json").write_text('{"mine": 1}')
    (tmp_path / "000000.tar").write_bytes(b"mine")
    with pytest.raises(UserError, match="--overwrite leaves what is no dataset of this tool"):
        generate(plan(), tmp_path, overwrite=True)
    assert (tmp_path / "000000.tar").read_bytes() == b"mine"


def test_nobodys_own_readme_is_written_over(tmp_path):
    (tmp_path / "README.md").write_text("# My project")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"README.md is no dataset's card"):
            generate(plan(), tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "# My project"


def test_a_sidecar_of_which_any_byte_changed_is_never_a_traceback(made, tmp_path):
    """pyarrow calls some of them an OSError, others a UnicodeDecodeError: a disk that fails is neither."""
    data, storage = (made / "000002.parquet").read_bytes(), Folder(tmp_path)
    unread = 0
    for place in range(0, len(data), max(1, len(data) // 800)):
        spoiled = bytearray(data)
        spoiled[place] ^= 0x90
        storage.write("000002.parquet", bytes(spoiled))
        unread += read_facts(storage, "000002.parquet") is None
        with suppress(UserError):
            read_rows(storage, "000002.parquet")
    assert unread > 20
    (tmp_path / "000003.parquet").mkdir()
    for ask in (read_facts, read_rows):
        with pytest.raises(IsADirectoryError):
            ask(storage, "000003.parquet")


@pytest.mark.parametrize("damage", ["tar cut", "sidecar cut", "sidecar empty", "sidecar gone"])
def test_a_damaged_shard_is_made_again_and_the_others_stay(made, tmp_path, damage):
    out = tmp_path / "d"
    generate(plan(), out)
    victim = out / ("000002.tar" if damage.startswith("tar") else "000002.parquet")
    data = victim.read_bytes()
    victim.unlink()
    if damage != "sidecar gone":
        victim.write_bytes(b"" if damage == "sidecar empty" else data[: len(data) // 2])
    assert missing_shards(plan(), out) == [2]
    assert generate(plan(), out).made == 1
    assert hashes(out) == hashes(made)


def test_a_tar_whose_bytes_changed_is_not_certified(tmp_path):
    out = tmp_path / "d"
    generate(plan(), out)
    data = bytearray((out / "000001.tar").read_bytes())
    data[5000] ^= 1
    (out / "000001.tar").write_bytes(data)
    with pytest.raises(UserError, match=r"000001.tar: not the bytes that were written"):
        generate(plan(), out)


def test_an_image_that_claims_to_be_huge_is_a_row_too(tmp_path):
    import struct
    import zlib

    pairs = bracket_folder(tmp_path / "pairs")
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100)))):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    for name in ("a", "b"):
        (pairs / f"shots-1/{name}.png").write_bytes(chunks)
    summary = generate(plan(sources=[{"folder": str(pairs)}]), tmp_path / "d")
    assert 0 < summary.failed < 22
    assert all("Mpx" in reason for reason in summary.reasons)


def test_a_sidecar_of_other_libraries_is_refused(made, monkeypatch):
    monkeypatch.setattr("synth.dataset.description.version", lambda _: "0.0.0")
    with pytest.raises(UserError, match=r"libraries.\w+ is .* there, \"0.0.0\" here"):
        generate(plan(), made)


def test_opencv_by_another_package_is_the_same_library(monkeypatch):
    def installed(name):
        if name != "opencv-python-headless":
            raise PackageNotFoundError(name)
        return "5.0.0.93"

    monkeypatch.setattr("synth.dataset.description.version", installed)
    assert version_of("opencv-python") == "5.0.0.93"
    with pytest.raises(PackageNotFoundError):
        version_of("numpy")


def test_the_sidecar_points_at_the_bytes(made):
    seen = 0
    for side in sorted(made.glob("*.parquet")):
        facts = read_facts(Folder(made), side.name)
        assert facts.metadata.items() >= metadata(plan()).items()
        assert not facts.failed
        data = side.with_suffix(".tar").read_bytes()
        with tarfile.open(side.with_suffix(".tar")) as tar:
            members = {member.name: member for member in tar}
        for row in read_rows(Folder(made), side.name):
            for name in ("a", "b", "clean_a", "clean_b", "json", "target"):
                part = data[row[f"{name}_offset"] : row[f"{name}_offset"] + row[f"{name}_size"]]
                assert hashlib.sha256(part).hexdigest() == row[f"{name}_sha256"]
                assert members[row[f"{name}_name"]].offset_data == row[f"{name}_offset"]
                seen += 1
            assert json.loads(row["record"])["key"] == row["key"] == f"{row['index']:09d}"
    assert seen == 22 * 6


def test_tars_hold_no_time_owner_or_host(made):
    with tarfile.open(made / "000000.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


def test_an_unreadable_image_is_a_row_with_its_reason_and_the_run_goes_on(tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    (pairs / "shots-1/b.png").write_bytes((pairs / "shots-1/b.png").read_bytes()[:500])
    chosen = plan(sources=[{"folder": str(pairs)}])
    summary = generate(chosen, tmp_path / "d")
    rows = rows_of(tmp_path / "d")
    failed = [row for row in rows if row["status"] == "failed"]
    assert [row["index"] for row in rows] == list(range(22)), "keys have no gaps"
    assert 0 < len(failed) < 22
    assert summary.failed == len(failed)
    assert {row["scene"] for row in failed} == {"shots-1"}
    assert {row["scene"] for row in rows if row["status"] == "ok"} == {"shots-0", "shots-2"}
    for row in failed:
        assert row["reason"].startswith("b.png: ")
        assert str(tmp_path) not in row["reason"]
        assert row["a_offset"] is row["json_offset"] is None


def test_a_grey_and_a_colour_pair_make_samples(tmp_path):
    grey, colour = photograph(80, 90, False), photograph(80, 90)
    write_pair(tmp_path / "p/x-1", grey, grey // 2)
    write_pair(tmp_path / "p/x-2", colour, grey // 2)
    generate(plan(task="vif", sources=[{"folder": str(tmp_path / "p")}]), tmp_path / "d")
    rows = rows_of(tmp_path / "d")
    channels = {row["scene"]: json.loads(row["record"])["images"] for row in rows}
    assert (channels["x-1"]["a"]["channels"], channels["x-1"]["b"]["channels"]) == (1, 1)
    assert (channels["x-2"]["a"]["channels"], channels["x-2"]["b"]["channels"]) == (3, 1)


@pytest.mark.slow
def test_real_pairs_make_samples_of_every_task(tmp_path, research_data):
    for task in ("vif", "mef", "mff"):
        changes = {"crop": {"size": 160}, "samples": 8, "store": [], "name": task, "task": task}
        changes["sources"] = [{"folder": str(research_data / "pairs/train" / task)}]
        summary = generate(plan(**changes), tmp_path / task)
        assert (summary.samples, summary.failed) == (8, 0)
