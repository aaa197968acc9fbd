"""Runs that are cut short, made longer, made in parts, and made again where they failed."""

import json
from pathlib import Path

import pytest

from synth.dataset.generate import FailureLimit, close, retry
from synth.dataset.generate import generate as make
from synth.errors import StoppedError, UserError
from synth.sample.plan import Plan
from synth.storage import Folder
from tests.synth.helpers import (
    bracket_folder,
    generate,
    hashes,
    missing_shards,
    photograph,
    plan,
    run_of,
    write_pair,
)


def test_an_interrupted_run_leaves_whole_shards_and_an_open_dataset(made, tmp_path):
    def interrupt(done: int, total: int) -> None:
        assert total == 22
        if done == 12:
            raise KeyboardInterrupt

    out = tmp_path / "d"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make(plan(), Folder(out), run_of(progress=interrupt))
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
    again = retry(chosen, Folder(tmp_path / "d"), run_of(2))
    assert again.failed > 0
    assert all(reason.startswith("a.png: ") for reason in again.reasons)
    (pairs / "shots-2/a.png").write_bytes(whole["shots-2/a.png"])
    assert retry(chosen, Folder(tmp_path / "d"), run_of(2)).failed == 0
    assert hashes(tmp_path / "d") == hashes(tmp_path / "whole")
    untouched = {path: path.stat().st_mtime_ns for path in (tmp_path / "d").glob("0*")}
    assert retry(chosen, Folder(tmp_path / "d"), run_of(2)).made == 0
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched


def failed_and_mended(folder: Path) -> Plan:
    """Of a dataset in `d` with failed samples, whose source is whole by now."""
    pairs = bracket_folder(folder / "pairs")
    chosen = plan(sources=[{"folder": str(pairs)}])
    data = (pairs / "shots-1/b.png").read_bytes()
    (pairs / "shots-1/b.png").write_bytes(b"")
    generate(chosen, folder / "d")
    (pairs / "shots-1/b.png").write_bytes(data)
    return chosen


def test_retry_copies_no_byte_that_changed(tmp_path):
    chosen = failed_and_mended(tmp_path)
    for tar in (tmp_path / "d").glob("*.tar"):
        spoiled = bytearray(tar.read_bytes())
        spoiled[700] ^= 1
        tar.write_bytes(spoiled)
    with pytest.raises(UserError, match="not the bytes that were written; mend it: synth verify --repair"):
        retry(chosen, Folder(tmp_path / "d"), run_of())


def test_a_dataset_is_open_while_retry_makes_its_shards_anew(tmp_path):
    """Else what a killed one leaves is called complete, with the hashes of shards that are no more."""
    chosen = failed_and_mended(tmp_path)

    def kill(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    def complete() -> bool:
        return json.loads((tmp_path / "d/dataset.json").read_text())["complete"]

    assert complete()
    with pytest.raises(KeyboardInterrupt):
        retry(chosen, Folder(tmp_path / "d"), run_of(progress=kill))
    assert not complete()
    assert retry(chosen, Folder(tmp_path / "d"), run_of()).failed == 0
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
        make(chosen, storage, run_of(workers, limit=limit))
    with pytest.raises(StoppedError, match="pairs cannot be read"):  # those of the shards that stand are counted
        make(chosen, storage, run_of(workers, limit=limit))
    assert len(list((tmp_path / "d").glob("*.parquet"))) < 40
    assert not FailureLimit(10, 0.05).reached(9, 20)
    assert not FailureLimit(10, 0.05).reached(10, 200)
    assert FailureLimit(10, 0.05).reached(11, 200)
