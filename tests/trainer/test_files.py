"""What is written is whole at every moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.errors import UserError
from trainer.files import atomically, read_json


def test_what_fails_while_being_written_leaves_the_old_in_place(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomically(tmp_path / "state", fail)
    assert (tmp_path / "state").read_text() == "old"


def test_what_takes_the_place_of_a_folder_is_whole_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"

    def fill(text: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            folder.mkdir()
            (folder / "a").write_text(text)

        return write

    atomically(weights, fill("old"))
    replace = Path.replace

    def killed(*_: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        atomically(weights, fill("new"))
    assert [(path / "a").read_text() for path in tmp_path.iterdir() if path.name.endswith("old")] == ["old"]
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ZeroDivisionError):
        atomically(weights, lambda _: 1 / 0)
    assert (weights / "a").read_text() == "old", "brought back"
    atomically(weights, fill("new"))
    assert (weights / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_key_twice_in_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"version": 2, "text": {"max_tokens": 40, "max_tokens": 8}}')
    with pytest.raises(UserError, match=r"here: max_tokens stands twice in one mapping; copy it again"):
        read_json(tmp_path / "a.json", "here", "copy it again")
