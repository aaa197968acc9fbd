"""A place with pairs that is given beside a recipe (`--data`): what stands there takes the place of its sources."""

from collections.abc import Sequence
from pathlib import Path

from synth.errors import UserError
from synth.pairs.folder import FolderSource
from synth.pairs.manifest import ManifestSource
from synth.pairs.source import FileSource, Source
from synth.storage import local_path
from synth.storage.bucket import Bucket


def source_at(root: Path | str, task: str, replaced: Sequence[Source]) -> FileSource:
    """The source of a task at a place: a manifest, or a folder or URL with `<task>/<stem>/` or `<stem>/`.

    It keeps the weights of all sources that it replaces, and the settings of the first of them that is of files. Raises
    UserError where there is no such folder.
    """
    first = next((source for source in replaced if isinstance(source, FileSource)), None)
    settings = {} if first is None else first.model_dump(include=set(FileSource.model_fields))
    settings["weights"] = {name: weight for source in replaced for name, weight in source.weights.items()}
    if str(root).endswith((".parquet", ".csv")):
        return ManifestSource(manifest=str(root), **settings)
    return FolderSource(folder=_folder_of(task, str(root)), **settings)


def _folder_of(task: str, root: str) -> Path | str:
    """Where below `root` the pairs of a task stand."""
    if (path := local_path(root)) is None:
        inner = f"{root.rstrip('/')}/{task}"
        try:
            return inner if Bucket(inner).exists() else root
        except OSError as error:
            raise UserError(f"--data {root}: cannot be listed: {error}") from None
    if not path.is_dir():
        raise UserError(f"--data {path}: no such folder")
    return path / task if (path / task).is_dir() else path
