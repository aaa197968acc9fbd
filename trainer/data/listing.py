"""From what the user names to tars: brace ranges, globs, dataset folders, here or anywhere, and pipes."""

from __future__ import annotations

import os
import re
from collections import Counter
from glob import glob
from pathlib import Path
from typing import Any

from trainer.addresses import beside, inside, path_of, split
from trainer.data.format import KINDS, check_format
from trainer.data.places import is_pipe, is_remote, matching, names_in, read
from trainer.errors import UserError
from trainer.files import parse_json

SIDECAR = re.compile(r"\d+\.parquet")
"""Names of the sidecars of a dataset's shards."""


def expand(urls: list[str]) -> list[str]:
    """Tars in order: braces and globs expanded, dataset folders replaced by their shards. Raises UserError.

    What lies beside a tar that is named, and is no shard itself, is passed over: `out/*` names it too.
    """
    from braceexpand import braceexpand

    names: list[str] = []
    for pattern in urls:
        path = pattern.removeprefix("file://")
        if not is_pipe(path) and not is_remote(path) and os.path.lexists(path):  # so it is called
            names.append(path)
            continue
        try:
            each = list(braceexpand(path))
        except ValueError:
            raise UserError(f"--shards {pattern}: braces do not match; write {{000000..000003}}.tar") from None
        names += [name for url in each for name in _globbed(url)]
    folders_of_tars = {path_of(beside(url, "")) for url in names if _is_tar(url)}
    tars: list[str] = []
    for url in names:
        if _is_tar(url):
            tars.append(url)
        elif path_of(beside(url.rstrip("/"), "")) not in folders_of_tars or not _is_no_shard(url):
            tars += _shards_of_folder(url)
    url, times = max(Counter(map(path_of, tars)).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise UserError(f"--shards: {url} is named {'twice' if times == 2 else f'{times} times'}; name each shard once")
    return tars


def _globbed(url: str) -> list[str]:
    """The tars and dataset folders that fit a pattern with *, ? or [; any other name as it is. Raises UserError."""
    if url.startswith("~/") and not is_pipe(url):
        url = str(Path(url).expanduser())
    if is_pipe(url) or not any(mark in path_of(url) for mark in "*?["):
        return [url]
    if is_remote(url):
        if not any(mark in path_of(url) for mark in "*?"):  # a server may have brackets in names
            return [url]
        found = matching(url)
    else:
        if os.path.lexists(url):  # so it is called
            return [url]
        found = sorted(glob(url, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
    fit = [name for name in found if _is_tar(name) or (_is_dir(name) and (Path(name) / "dataset.json").is_file())]
    if not fit:
        what = f"{len(found)} names fit, and none is" if found else "nothing fits it,"
        raise UserError(f"--shards {url}: {what} a .tar or a dataset folder; check the pattern")
    return fit


def _is_tar(url: str) -> bool:
    return path_of(url).endswith(".tar") or is_pipe(url)


def _is_no_shard(url: str) -> bool:
    """Whether it is here, and neither a tar nor a dataset folder."""
    if is_remote(url):
        return False
    try:
        return Path(url).is_file() or (_is_dir(url) and not (Path(url) / "dataset.json").exists())
    except OSError:  # no file can have such a name
        return False


def _shards_of_folder(folder: str) -> list[str]:
    """Those that dataset.json lists; where it lists none (a dataset in the making), those whose sidecars are there."""
    address, query = split(folder)
    folder = (address.rstrip("/") if address.strip("/") else address[:1]) + query
    if not is_remote(folder) and not _is_dir(folder):
        there = bool(folder) and _is_no_shard(folder)
        raise UserError(
            f"--shards {folder}: {'a file, and no .tar' if there else 'not there'}; give a .tar, a dataset folder, "
            "or an http(s) or s3 URL of either"
        )
    path = inside(folder, "dataset.json")
    try:
        dataset = parse_json(read(path), path, "write the dataset again, or name the tars")
    except FileNotFoundError:
        raise UserError(f"--shards {folder}: no dataset.json in it; {_way_out(folder)}") from None
    check_format(dataset.get("version"), dataset.get("kind"), path, KINDS)
    names = _names(dataset, path) or [
        name.removesuffix("parquet") + "tar"
        for name in names_in(address if query else folder)
        if SIDECAR.fullmatch(name)  # no copy of one, as "000000 (1).parquet"
    ]
    if not names:
        raise UserError(f"--shards {folder}: no finished shard in it (a tar counts once its .parquet is there)")
    return [inside(folder, name) for name in names]


def _way_out(folder: str) -> str:
    """What to name in place of a folder that is no dataset: the datasets in it, or its tars."""
    if not is_remote(folder):
        inner = sorted(str(path.parent) for path in Path(folder).glob("*/dataset.json"))
        if inner:
            more = f" and {len(inner) - 3} more" if len(inner) > 3 else ""
            return f"name the datasets in it that you want ({' '.join(inner[:3])}{more}), or all as '{folder}/*'"
        if any(Path(folder).glob("*.tar")):
            return f"name its tars as '{folder}/*.tar'"
    return f"name the tars ({folder}/{{000000..000003}}.tar)"


def _is_dir(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except OSError:  # no file can have such a name
        return False


def _names(dataset: dict[str, Any], path: str) -> list[str]:
    shards = dataset.get("shards", [])
    if not isinstance(shards, list) or not all(
        isinstance(shard, dict) and isinstance(shard.get("name"), str) for shard in shards
    ):
        raise UserError(f"{path}: shards: a list of shards with their names is needed; name the tars")
    return [shard["name"] for shard in shards]
