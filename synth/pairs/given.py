"""A place with pairs that is given beside a recipe (`--data`): what stands there takes the place of its sources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.errors import UserError
from synth.pairs.folder import NO_IMAGE, FolderSource
from synth.pairs.layout import LayoutSource
from synth.pairs.manifest import ManifestSource
from synth.pairs.photos import PhotoSource, maker_for
from synth.pairs.source import FileSource, LeftOut, Source
from synth.pairs.tables import is_table
from synth.storage import local_path
from synth.storage.bucket import Bucket
from synth.tasks import TASKS

SPLITTING = ("split", "held_out", "held_out_val")
PHOTOS = "photos"  # the folder of photographs beside those of the tasks


def source_at(root: Path | str, task: str, replaced: Sequence[Source]) -> FileSource:
    """The source of a task at a place: a manifest, or a folder or URL with `<task>/<stem>/` or `<stem>/`.

    A folder that has neither, and is laid out as a public data set is, is taken as that. The source keeps the weights
    of all that it replaces, and the settings of the first of them that is of files; where that names a layout, as those
    of benchmarks do, the way and the name of the data set too, whatever the folder is called. Raises UserError where
    there is no such folder, or it is not laid out in that way.
    """
    first = next((source for source in replaced if isinstance(source, FileSource)), None)
    settings = {} if first is None else first.model_dump(include=set(FileSource.model_fields))
    settings["weights"] = {name: weight for source in replaced for name, weight in source.weights.items()}
    if is_table(str(root)):
        return ManifestSource(manifest=str(root), **settings)
    folder = _folder_of(task, str(root))
    if isinstance(folder, Path) and not _holds_pairs(folder, task, settings.get("follow_links", False)):
        of_set = first.model_dump(include={"way", "dataset"}) if isinstance(first, LayoutSource) else {}
        laid_out = LayoutSource(layout=folder, **of_set, **settings)
        try:
            laid_out.listing(task)
        except UserError:
            if laid_out.way is not None:
                raise
            # it is no data set either: what a folder of pairs is, is told
        else:
            return laid_out
    return FolderSource(folder=folder, **settings)


def _holds_pairs(folder: Path, task: str, follow_links: bool) -> bool:
    """Whether there is a pair, or what would be one but for a reason that its source tells."""
    try:
        found = FolderSource(folder=folder, follow_links=follow_links).pairs(task)
        return any(not (isinstance(item, LeftOut) and item.reason.startswith(NO_IMAGE)) for item in found)
    except UserError:
        return False


def photographs_at(root: Path | str, task: str, beside: float, replaced: Sequence[Source]) -> PhotoSource | None:
    """The photographs at a place, `ROOT/photos/`, of which pairs of a task are made; None where there are none.

    beside: how often they are drawn for each other pair. The settings are those of the first source of photographs that
    it replaces, else the split, if any, of the first source.
    """
    path = local_path(str(root))
    if path is None or not (path / PHOTOS).is_dir() or maker_for(TASKS[task].capture) is None:
        return None
    given = next((source for source in replaced if isinstance(source, PhotoSource)), None)
    if given is not None:
        return given.model_copy(update={"photos": path / PHOTOS})
    first = next((source for source in replaced if isinstance(source, FileSource)), None)
    settings: dict[str, Any] = {} if first is None else first.model_dump(include={*SPLITTING, "follow_links"})
    return PhotoSource(photos=path / PHOTOS, beside=beside, **settings)


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
