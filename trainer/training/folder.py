"""A run's folder: what may become one, what it was made from, and how it is taken."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainer.config import Resumable
from trainer.errors import UserError
from trainer.files import atomically, read_yaml, remove
from trainer.locks import LOCK, FolderLock, check_free
from trainer.schema import parse
from trainer.training.checkpoint import WAY_OUT, OtherRun, check_identity, has_checkpoint

CONFIG = "config.yaml"
"""By which a folder is known as a run's, or else by a checkpoint: it is there before the first step."""
WRITES = ("weights", "checkpoints", "log.jsonl", "sheets", "snapshots")
"""What a run writes, besides its config."""


def check_folder(out: Path, config: Resumable | None) -> None:
    """Whether a run of this config (None: of any) can be, or go on, in `out`; writes nothing.

    Raises UserError where `out` cannot be a run's folder, OtherRun that says what differs.
    """
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"--out {out}: is a file; name a folder")
        above = next((parent for parent in out.parents if parent.exists()), Path())
        if not above.is_dir():
            raise UserError(f"--out {out}: {above} is a file, not a folder; name another place")
        named, begun = (out / CONFIG).is_file(), has_checkpoint(out)
        if out.is_dir() and any(path.name != LOCK for path in out.iterdir()) and not named and not begun:
            raise UserError(
                f"--out {out}: holds something else (neither {CONFIG} nor checkpoints of a run); "
                "name an empty or new folder"
            )
        if out.is_dir():
            check_free(out)
        if config is None or not (named or begun):
            return
        begun = begun or (out / "weights").is_dir()
    except OSError as error:
        raise UserError(f"--out {out}: cannot be used ({error.strerror or error}); name another folder") from None
    if not named:
        check_identity(out, {})  # one of another version says so
        raise OtherRun(f"--out {out}: holds checkpoints, and no {CONFIG} that says of what run; {WAY_OUT}")
    try:
        different = config.differences(parse(type(config), read_yaml(out / CONFIG), str(out / CONFIG)))
    except UserError as error:
        raise OtherRun(f"--out {out}: holds no run of this command ({error}); {WAY_OUT}") from None
    if different and begun:  # else nothing was done under that config
        raise OtherRun(f"--out {out}: holds a run of another config: {different}; {WAY_OUT}")


def lock_folder(out: Path) -> FolderLock:
    """Makes the folder, and holds it. Raises UserError, also where another run holds it."""
    try:
        return FolderLock(out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error}); name another folder") from None


def claim_folder(out: Path, config: Resumable, remove_first: Iterable[str]) -> None:
    """Saves the resolved config in the folder, once what another run left there is removed, by name.

    Raises UserError.
    """
    try:
        for name in remove_first:
            for path in (out / name, out / f".{name}.part", out / f".{name}.old"):
                remove(path)
        atomically(out / CONFIG, lambda path: path.write_text(config.to_yaml(), encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error}); name another folder") from None
