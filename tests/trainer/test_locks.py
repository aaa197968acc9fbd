"""Two runs do not write into one folder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trainer.conftest import Command
from trainer.errors import UserError
from trainer.locks import LOCK, FolderLock, check_free

HOLD = """
import os, sys, time
from pathlib import Path
from trainer.locks import FolderLock
lock = FolderLock(Path(sys.argv[1]))
if os.fork() == 0:
    print("held", flush=True)
    os.close(1)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The folder that another process holds, which has forked a process of its own, and both."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield tmp_path / "run", process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_folder_that_another_holds_is_refused_and_free_once_that_is_killed(
    holder: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    folder, process = holder
    for take in (FolderLock, check_free):
        with pytest.raises(UserError, match="another run is writing there"):
            take(folder)
    process.kill()
    process.wait()  # what it forked lives on
    FolderLock(folder).release()


def test_each_program_that_writes_a_folder_says_so(
    dataset: Path, tmp_path: Path, config_file: Callable[..., str], trainer_main: Command
) -> None:
    held = FolderLock(tmp_path / "run")
    begun = time.monotonic()
    for command in (["train", "--shards", dataset], ["encode", "--shards", dataset]):
        code, _, err = trainer_main(*command, "--config", config_file(), "--out", tmp_path / "run")
        assert code == 2
        assert err.splitlines()[-1] == (
            f"trainer: --out {tmp_path}/run: another run is writing there; wait for it, or choose another folder"
        )
    assert time.monotonic() - begun < 20
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [LOCK]
    held.release()
    assert not any((tmp_path / "run").iterdir())
    code, _, err = trainer_main(
        "train", "--shards", dataset, "--config", config_file(), "--out", tmp_path / "run", "--stop-after", 4
    )
    assert code == 0, err
    assert LOCK not in [path.name for path in (tmp_path / "run").iterdir()]
    FolderLock(tmp_path / "run").release()  # the run let go of it


def test_a_file_system_without_locks_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    FolderLock(tmp_path).release()
    check_free(tmp_path)


def test_of_many_at_once_one_at_a_time_has_it(tmp_path: Path) -> None:
    inside, most, taken = 0, 0, 0
    counting = threading.Lock()

    def again() -> None:
        nonlocal inside, most, taken
        for _ in range(200):
            try:
                lock = FolderLock(tmp_path)
            except UserError:
                continue
            with counting:
                inside, taken = inside + 1, taken + 1
                most = max(most, inside)
            time.sleep(0)
            with counting:
                inside -= 1
            lock.release()

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, taken > 4) == (1, True)
