"""From what the user names to tars: brace ranges, dataset folders, here or anywhere, and pipes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from trainer.data.format import KINDS, check_format
from trainer.data.places import is_pipe, is_remote, names_in, read
from trainer.errors import UserError
from trainer.files import parse_json


def expand(urls: list[str]) -> list[str]:
    """Tars in order: braces expanded, dataset folders replaced by their shards. Raises UserError."""
    from braceexpand import braceexpand

    tars: list[str] = []
    for pattern in urls:
        try:
            names = list(braceexpand(pattern.removeprefix("file://")))
        except ValueError:
            raise UserError(f"--shards {pattern}: braces do not match; write {{000000..000003}}.tar") from None
        for url in names:
            tars += [url] if url.endswith(".tar") or is_pipe(url) else _shards_of_folder(url)
    url, times = max(Counter(tars).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise UserError(f"--shards: {url} is named {'twice' if times == 2 else f'{times} times'}; name each shard once")
    return tars


def _shards_of_folder(folder: str) -> list[str]:
    """Those that dataset.json lists; where it lists none (a dataset in the making), those whose sidecars are there."""
    folder = folder.rstrip("/") if folder.strip("/") else folder[:1]
    if not is_remote(folder) and not _is_dir(folder):
        raise UserError(
            f"--shards {folder}: not there; give a .tar, a dataset folder, or an http(s) or s3 URL of either"
        )
    path = f"{folder}/dataset.json"
    try:
        dataset = parse_json(read(path), path, "write the dataset again, or name the tars")
    except FileNotFoundError:
        raise UserError(
            f"--shards {folder}: no dataset.json in it; name the tars ({folder}/{{000000..000003}}.tar)"
        ) from None
    check_format(dataset.get("version"), dataset.get("kind"), path, KINDS)
    names = _names(dataset, path) or [
        name.removesuffix("parquet") + "tar" for name in names_in(folder) if name.endswith(".parquet")
    ]
    if not names:
        raise UserError(f"--shards {folder}: no finished shard in it (a tar counts once its .parquet is there)")
    return [f"{folder}/{name}" for name in names]


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
