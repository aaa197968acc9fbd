"""Where datasets stand: whole files, one run at a time, and names that are places."""

import errno
import os

import pytest

from synth.errors import UserError
from synth.storage import Folder, open_storage


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
