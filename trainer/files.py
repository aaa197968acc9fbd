"""Files that others may have touched: mappings read from JSON and YAML, and writing that is whole or not there."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.errors import NAMED_WRONGLY, UserError


def read_json(path: Path, where: str, way_out: str) -> dict[str, Any]:
    """The mapping in a JSON file. Raises FileNotFoundError, UserError that begins with `where`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{where}: cannot be read ({error.strerror or error}); {way_out}") from None
    return parse_json(data, where, way_out)


def parse_json(data: bytes | memoryview, where: str, way_out: str) -> dict[str, Any]:
    """The mapping that the bytes hold as JSON. Raises UserError that begins with `where`."""
    try:
        values = json.loads(bytes(data), object_pairs_hook=_each_once)
    except RecursionError:
        raise UserError(f"{where}: nested too deeply; {way_out}") from None
    except _TwiceError as error:
        raise UserError(f"{where}: {error} stands twice in one mapping; {way_out}") from None
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({one_line(error)}); {way_out}") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}: holds a {type(values).__name__}, a mapping is needed; {way_out}")
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError."""
    from trainer import plain_yaml

    try:
        values = plain_yaml.load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # not YAML, or a date or a number that none can be
        raise UserError(f"{path}: cannot be read as YAML: {one_line(error)}; see trainer/configs/") from None
    if not isinstance(values, dict):
        held = "nothing" if values is None else type(values).__name__
        raise UserError(f"{path}: holds {held}; a config is a mapping of sections, see trainer/configs/")
    return values


def atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Lets `write` make a file or folder under a temporary name beside `path`, then puts it in place of it.

    What stood there stays until the new is whole and on the disk; a folder is renamed aside, then removed.
    """
    temporary, aside = (path.with_name(f".{path.name}.{end}") for end in ("part", "old"))
    if aside.exists() and not path.exists():  # an earlier call was killed between its two renames
        aside.rename(path)
    remove(temporary)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    write(temporary)
    for written in [*temporary.rglob("*"), temporary]:
        _sync(written)
    if path.is_dir():
        remove(aside)
        path.rename(aside)
    temporary.replace(path)
    _sync(path.parent)
    remove(aside)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file of the user's whole or not at all, whoever else writes there; the folder is made where it is
    missing. Raises UserError where another name mends it, else OSError with the path, as of a full disk.
    """
    part = path.with_name(f".part-{secrets.token_hex(8)}")  # of any length of name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            _sync(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in NAMED_WRONGLY:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from None
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); name another place") from None


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def one_line(error: object) -> str:
    """What an error says, or its kind where it says nothing, in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"


class _TwiceError(ValueError):
    """Names a key that stands twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(one_line(next(name for name in names if names.count(name) > 1)))
    return values


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
