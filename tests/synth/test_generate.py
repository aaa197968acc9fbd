"""Datasets on disk: whole shards, the same bytes whoever makes them, and nothing lost."""

import errno
import hashlib
import json
import os
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from synth.dataset import metadata, survey
from synth.engines.local import LocalEngine
from synth.errors import StoppedError, UserError
from synth.generate import FailureLimit, close, retry
from synth.generate import generate as make
from synth.plan import Plan, make_plan
from synth.recipe import Recipe
from synth.shards import read_facts, read_rows
from synth.storage import Folder, open_storage
from tests.synth.helpers import NO_LIMIT, bracket_folder, generate, hashes, photograph, quiet, write_pair

DATA = {
    "name": "t",
    "task": "mef",
    "seed": 3,
    "samples": 22,
    "samples_per_shard": 5,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 48},
    "degradations": {"always": ["haze"], "some": {"count": {1: 1}, "of": ["noise", "jpeg", "blur"]}},
    "store": ["clean"],
}


def plan(**changes) -> Plan:
    return make_plan(Recipe.model_validate({**DATA, **changes}))


def missing_shards(chosen: Plan, out: Path) -> list[int]:
    standing = survey(Folder(out), chosen.shards)
    return [shard.number for shard in chosen.shards if not standing.holds(shard)]


def rows_of(folder: Path) -> list[dict]:
    sides = sorted(path.name for path in folder.glob("*.parquet"))
    return [row for side in sides for row in read_rows(Folder(folder), side)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "d"
    generate(plan(), out)
    return out


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
        ({"sources": [{"builtin": "bracketed", "split": "all"}]}, "sources"),
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


def test_a_folder_is_one_runs_at_a_time_but_parts_share_it(tmp_path):
    folder = Folder(tmp_path)
    with folder.claimed():
        for shared in (False, True):
            with pytest.raises(UserError, match="another run is writing there"), folder.claimed(shared):
                pass
    busy = pytest.raises(UserError, match="another run is writing there")
    with folder.claimed(shared=True), folder.claimed(shared=True), busy, folder.claimed():
        pass
    with folder.claimed():
        pass


def test_a_file_system_without_locks_is_used_as_it_is(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    with Folder(tmp_path).claimed(), Folder(tmp_path).claimed(shared=True):
        pass


def test_files_that_other_runs_rename_meanwhile_hide_no_others(tmp_path, monkeypatch):
    """Runs of parts write into one folder: what one of them listed may be gone once it is looked at."""

    class Entry:
        def __init__(self, entry):
            self.name, self._entry = entry.name, entry
            self.is_file = entry.is_file

        def stat(self):
            if self.name.startswith(".part-"):
                (tmp_path / self.name).unlink()
            return self._entry.stat()

    class Scan:
        def __init__(self, folder):
            self._entries = scandir(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._entries.close()

        def __iter__(self):
            return map(Entry, self._entries)

    scandir = os.scandir
    for name in ("000000.tar", ".part-1-000001.tar", "000002.tar"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("os.scandir", Scan)
    assert Folder(tmp_path).sizes() == {"000000.tar": 1, "000002.tar": 1}


def test_unfinished_files_of_two_machines_have_different_names(tmp_path, monkeypatch):
    """Parts of a dataset are made in containers, where every run is process 1."""
    monkeypatch.setattr("os.getpid", lambda: 1)
    one, other = Folder(tmp_path), Folder(tmp_path)
    with one.create("dataset.json") as first, other.create("dataset.json") as second:
        first.write(b"whole")
        second.write(b"wh")
    assert (tmp_path / "dataset.json").read_bytes() == b"whole", "the last to be finished, and all of it"
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3:/bucket/x", r"^s3:/bucket/x: neither a path nor a URL; .* s3://bucket/x$"),
        ("s3://", r"^s3://: names no place"),
        ("memory:///", r"^memory:///: names no place"),
        ("://x", r"^://x: names no place"),
    ],
)
def test_a_url_that_is_none_is_refused(place, message):
    with pytest.raises(UserError, match=message):
        open_storage(place)


def test_a_file_in_the_place_of_a_folder_is_said_by_all_that_claim_it(tmp_path):
    (tmp_path / "file").touch()
    for how in (Folder(tmp_path / "file").prepare, Folder(tmp_path / "file").claimed().__enter__):
        with pytest.raises(UserError, match="file: is a file; --out names a folder"):
            how()


def test_an_interrupted_run_leaves_whole_shards_and_an_open_dataset(made, tmp_path):
    def interrupt(done: int, total: int) -> None:
        assert total == 22
        if done == 12:
            raise KeyboardInterrupt

    out = tmp_path / "d"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make(plan(), Folder(out), LocalEngine(1), interrupt, NO_LIMIT)
    assert missing_shards(plan(), out) == [2, 3, 4]
    assert not list(out.glob(".part-*"))
    assert json.loads((out / "dataset.json").read_text())["complete"] is False
    assert generate(plan(), out).made == 3
    assert hashes(out) == hashes(made)


@pytest.mark.parametrize("before", [3, 10, 21])
def test_an_extended_dataset_equals_one_made_at_once(made, tmp_path, before):
    out = tmp_path / "d"
    generate(plan(samples=before), out)
    stood = {path: path.stat().st_mtime_ns for path in out.glob("0*") if int(path.stem) < before // 5}
    assert generate(plan(), out, extend=True).samples == 22
    assert {path: path.stat().st_mtime_ns for path in stood} == stood, "whole shards are not touched"
    assert hashes(out) == hashes(made)


def test_a_dataset_does_not_grow_unasked_or_shrink(made):
    with pytest.raises(UserError, match=r"samples is 22 there, 30 here \(--extend makes it larger\)"):
        generate(plan(samples=30), made)
    with pytest.raises(UserError, match="samples is 22 there, 20 here; choose"):
        generate(plan(samples=20), made, extend=True)


def test_parts_made_by_several_runs_are_one_dataset(made, tmp_path):
    out = tmp_path / "d"
    assert generate(plan(), out, part=slice(2, 4)) is None
    assert json.loads((out / "dataset.json").read_text())["complete"] is False
    with pytest.raises(UserError, match=r"3 of 5 shards are missing: 0:2, 4:5 \(as --shard-range"):
        close(plan(), Folder(out))
    for part in (slice(0, 2), slice(4, 9)):
        generate(plan(), out, workers=2, part=part)
    assert close(plan(), Folder(out)).samples == 22
    assert hashes(out) == hashes(made)


def test_mended_sources_and_retry_give_the_bytes_of_a_run_that_never_failed(tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}], samples=42)
    generate(chosen, tmp_path / "whole", workers=2)  # in other processes, that remember no picture
    whole = {name: (pairs / name).read_bytes() for name in ("shots-1/b.png", "shots-2/a.png")}
    for name, data in whole.items():
        (pairs / name).write_bytes(data[:500])
    assert generate(chosen, tmp_path / "d", workers=2).failed > 0
    (pairs / "shots-1/b.png").write_bytes(whole["shots-1/b.png"])
    (pairs / "shots-0/a.png").write_bytes(b"changed since: what stands is not read again")
    again = retry(chosen, Folder(tmp_path / "d"), LocalEngine(2), quiet, NO_LIMIT)
    assert again.failed > 0
    assert all(reason.startswith("a.png: ") for reason in again.reasons)
    (pairs / "shots-2/a.png").write_bytes(whole["shots-2/a.png"])
    assert retry(chosen, Folder(tmp_path / "d"), LocalEngine(2), quiet, NO_LIMIT).failed == 0
    assert hashes(tmp_path / "d") == hashes(tmp_path / "whole")
    untouched = {path: path.stat().st_mtime_ns for path in (tmp_path / "d").glob("0*")}
    assert retry(chosen, Folder(tmp_path / "d"), LocalEngine(2), quiet, NO_LIMIT).made == 0
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched


def test_retry_copies_no_byte_that_changed(tmp_path):
    pairs = bracket_folder(tmp_path / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}])
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    generate(chosen, tmp_path / "d")
    (pairs / "shots-1/b.png").write_bytes(data)
    for tar in (tmp_path / "d").glob("*.tar"):
        spoiled = bytearray(tar.read_bytes())
        spoiled[700] ^= 1
        tar.write_bytes(spoiled)
    with pytest.raises(UserError, match="not the bytes that were written; mend it: synth verify --repair"):
        retry(chosen, Folder(tmp_path / "d"), LocalEngine(1), quiet, NO_LIMIT)


def test_a_dataset_is_open_while_retry_makes_its_shards_anew(tmp_path):
    """Else what a killed one leaves is called complete, with the hashes of shards that are no more."""
    pairs = bracket_folder(tmp_path / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}])
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    generate(chosen, tmp_path / "d")
    (pairs / "shots-1/b.png").write_bytes(data)

    def kill(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    def complete() -> bool:
        return json.loads((tmp_path / "d/dataset.json").read_text())["complete"]

    assert complete()
    with pytest.raises(KeyboardInterrupt):
        retry(chosen, Folder(tmp_path / "d"), LocalEngine(1), kill, NO_LIMIT)
    assert not complete()
    assert retry(chosen, Folder(tmp_path / "d"), LocalEngine(1), quiet, NO_LIMIT).failed == 0
    assert complete()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_stops_once_too_many_pairs_fail(tmp_path, workers):
    pairs = bracket_folder(tmp_path / "pairs")
    for number in range(3, 40):
        write_pair(pairs / f"bad-{number}", photograph(), photograph())
        (pairs / f"bad-{number}/a.png").write_bytes(b"")
    chosen = plan(sources=[{"folder": str(pairs)}], samples=400)
    storage = Folder(tmp_path / "d")
    storage.prepare()
    limit = FailureLimit(pairs=10, share=0.05)
    with pytest.raises(StoppedError, match=r"1\d of 40 pairs cannot be read, over the limit of 10 pairs and 5%"):
        make(chosen, storage, LocalEngine(workers), quiet, limit)
    with pytest.raises(StoppedError, match="pairs cannot be read"):  # those of the shards that stand are counted
        make(chosen, storage, LocalEngine(workers), quiet, limit)
    assert len(list((tmp_path / "d").glob("*.parquet"))) < 40
    assert not FailureLimit(10, 0.05).reached(9, 20)
    assert not FailureLimit(10, 0.05).reached(10, 200)
    assert FailureLimit(10, 0.05).reached(11, 200)


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
    monkeypatch.setattr("synth.dataset.version", lambda _: "0.0.0")
    with pytest.raises(UserError, match=r"libraries.\w+ is .* there, \"0.0.0\" here"):
        generate(plan(), made)


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
