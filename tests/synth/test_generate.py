"""Datasets on disk: whole shards, the same bytes whoever makes them, and nothing lost."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from synth.engines import local
from synth.errors import UserError
from synth.generate import Summary, claimed, finish, metadata, missing_shards
from synth.plan import Plan, make_plan
from synth.recipe import Recipe
from synth.shards import read_metadata, read_rows
from tests.synth.helpers import bracket_folder, photograph, write_pair

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


def generate(chosen: Plan, out: Path, workers: int = 1) -> Summary:
    missing = missing_shards(chosen, out)
    local.run(chosen, missing, out, workers, lambda _: None)
    return finish(chosen, out, len(missing))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "d"
    generate(plan(), out)
    return out


def test_one_worker_and_four_make_the_same_bytes(made, tmp_path):
    generate(plan(), tmp_path / "d", workers=4)
    assert hashes(tmp_path / "d") == hashes(made)
    assert len(hashes(made)) == 2 * 5 + 1


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
    assert [shard.number for shard in missing_shards(plan(), out)] == [1, 3]
    assert json.loads((out / "dataset.json").read_text())["complete"] is False
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
        missing_shards(plan(**changes), made)
    assert message in str(caught.value)
    assert hashes(made) == before


def test_overwrite_replaces_another_recipes_shards_and_no_other_file(made, tmp_path):
    out = tmp_path / "d"
    generate(plan(seed=8, samples=40), out)
    for mine in ("notes.txt", "2024-backup.tar", "2024-table.parquet"):
        (out / mine).write_text("mine")
    missing = missing_shards(plan(), out, overwrite=True)
    local.run(plan(), missing, out, 1, lambda _: None)
    finish(plan(), out, len(missing))
    for mine in ("notes.txt", "2024-backup.tar", "2024-table.parquet"):
        assert (out / mine).read_text() == "mine"
        (out / mine).unlink()
    assert hashes(out) == hashes(made)


def test_overwrite_leaves_what_is_no_dataset(tmp_path):
    (tmp_path / "dataset.json").write_text('{"mine": 1}')
    (tmp_path / "000000.tar").write_bytes(b"mine")
    with pytest.raises(UserError, match="--overwrite leaves what is no dataset of this tool"):
        missing_shards(plan(), tmp_path, overwrite=True)
    assert (tmp_path / "000000.tar").read_bytes() == b"mine"


@pytest.mark.parametrize("damage", ["tar cut", "sidecar cut", "sidecar empty", "sidecar gone"])
def test_a_damaged_shard_is_made_again_and_the_others_stay(made, tmp_path, damage):
    out = tmp_path / "d"
    generate(plan(), out)
    victim = out / ("000002.tar" if damage.startswith("tar") else "000002.parquet")
    data = victim.read_bytes()
    victim.unlink()
    if damage != "sidecar gone":
        victim.write_bytes(b"" if damage == "sidecar empty" else data[: len(data) // 2])
    assert [shard.number for shard in missing_shards(plan(), out)] == [2]
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


def test_a_folder_is_one_runs_at_a_time(tmp_path):
    with claimed(tmp_path), pytest.raises(UserError, match="another run is writing there"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_an_image_that_claims_to_be_huge_is_a_row_too(tmp_path):
    import struct
    import zlib

    pairs = bracket_folder(tmp_path / "pairs")
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    for name in ("a", "b"):
        (pairs / f"shots-1/{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    summary = generate(plan(sources=[{"folder": str(pairs)}]), tmp_path / "d")
    assert 0 < summary.failed < 22
    assert all("decoded" in reason for reason in summary.reasons)


def test_a_sidecar_of_other_libraries_is_refused(made, monkeypatch):
    import synth.generate

    monkeypatch.setattr(synth.generate, "version", lambda _: "0.0.0")
    with pytest.raises(UserError, match=r"libraries.numpy is .* there, \"0.0.0\" here"):
        missing_shards(plan(), made)


def test_the_sidecar_points_at_the_bytes(made):
    seen = 0
    for side in sorted(made.glob("*.parquet")):
        assert read_metadata(side).items() >= metadata(plan()).items()
        data = side.with_suffix(".tar").read_bytes()
        with tarfile.open(side.with_suffix(".tar")) as tar:
            members = {member.name: member for member in tar}
        for row in read_rows(side):
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
    rows = [row for side in sorted((tmp_path / "d").glob("*.parquet")) for row in read_rows(side)]
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
    rows = [row for side in (tmp_path / "d").glob("*.parquet") for row in read_rows(side)]
    channels = {row["scene"]: json.loads(row["record"])["images"] for row in rows}
    assert (channels["x-1"]["a"]["channels"], channels["x-1"]["b"]["channels"]) == (1, 1)
    assert (channels["x-2"]["a"]["channels"], channels["x-2"]["b"]["channels"]) == (3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["everything", "parent", "worker"])
def test_a_killed_run_goes_on_to_the_bytes_of_an_unbroken_one(tmp_path, victim):
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 300, "crop": {"size": 96}}))
    command = [sys.executable, "-m", "synth", "generate", "--recipe", str(recipe), "--workers", "2", "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    run = subprocess.Popen([*command, str(tmp_path / "d")], stderr=subprocess.PIPE, start_new_session=True)
    while len(list((tmp_path / "d").glob("*.parquet"))) < 3:
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    children = [int(word) for word in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    if victim == "everything":
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    elif victim == "parent":
        run.kill()
        run.wait()
        gone = time.monotonic() + 20
        while any(Path(f"/proc/{child}/cmdline").exists() and _runs(child) for child in children):
            assert time.monotonic() < gone, "workers outlive their parent"
            time.sleep(0.05)
    else:
        os.kill(children[-1], signal.SIGKILL)
        _, said = run.communicate(timeout=60)
        assert run.returncode == 2
        assert b"a worker process died" in said
    for tar in (tmp_path / "d").glob("0*.tar"):
        with tarfile.open(tar) as opened:
            opened.getmembers()
    subprocess.run([*command, str(tmp_path / "d")], check=True, capture_output=True)
    assert hashes(tmp_path / "d") == hashes(tmp_path / "whole")


def _runs(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_ctrl_c_stops_a_run_at_once_and_says_how_to_go_on(tmp_path):
    recipe = tmp_path / "t.yaml"
    recipe.write_text(json.dumps({**DATA, "samples": 2000, "crop": {"size": 96}}))
    command = [sys.executable, "-m", "synth", "generate", "--recipe", str(recipe), "--workers", "2", "--out"]
    run = subprocess.Popen([*command, str(tmp_path / "d")], stderr=subprocess.PIPE, start_new_session=True)
    while len(list((tmp_path / "d").glob("*.parquet"))) < 3:
        assert run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 130
    assert b"interrupted; finished shards stay: run the same command to go on" in said
    assert b"Traceback" not in said
    assert len(list((tmp_path / "d").glob("*.parquet"))) < 100, "of 400"


@pytest.mark.slow
def test_real_pairs_make_samples_of_every_task(tmp_path, research_data):
    for task in ("vif", "mef", "mff"):
        changes = {"crop": {"size": 160}, "samples": 8, "store": [], "name": task, "task": task}
        changes["sources"] = [{"folder": str(research_data / "pairs/train" / task)}]
        summary = generate(plan(**changes), tmp_path / task)
        assert (summary.samples, summary.failed) == (8, 0)
