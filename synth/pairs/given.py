"""A place with pairs that is given beside a recipe (`--data`): what stands there takes the place of its sources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.errors import UserError
from synth.pairs.folder import NO_IMAGE, FolderSource
from synth.pairs.layout import LayoutSource
from synth.pairs.layouts import NAMED, Found, in_words, is_of_layout
from synth.pairs.manifest import ManifestSource
from synth.pairs.photos import PhotoSource, maker_for
from synth.pairs.public_sets import Layout
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
    of benchmarks do, the way and the name of the data set too, whatever the folder is called; and a folder that holds
    that of the set alone stands for it. Raises UserError where there is no such folder, it is not laid out in that way,
    or holds other sets too.
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
            return _its_own_folder(laid_out, task)
    return FolderSource(folder=folder, **settings)


def _its_own_folder(source: LayoutSource, task: str) -> LayoutSource:
    """The same set at its own folder, where one above it is given: names of scenes, and so all that is drawn, follow
    from the way below that. Only where way and name of the set are said.

    Raises UserError where all pairs stand in folders that are none of the set's, of several sets.
    """
    while source.way is not None and source.dataset is not None:
        listing = source.listing(task)
        tops = {name.partition("/")[0] if "/" in name else "" for pair in listing.pairs for name in pair.files.values()}
        foreign = "" not in tops and not any(is_of_layout(listing.layout, top) for top in tops)
        if not foreign:
            break
        if len(tops) > 1:
            _refuse_several(source, listing.layout, tops)
            break
        inner = source.model_copy(update={"layout": source.layout / tops.pop()})
        try:
            same = [_files(inner, found) for found in inner.listing(task).pairs]
        except UserError:
            break
        if len(same) < 2 or sorted(same) != sorted(_files(source, found) for found in listing.pairs):
            break
        source = inner
    return source


def _files(source: LayoutSource, pair: Found) -> tuple[str, ...]:
    return (*sorted(f"{role} {source.layout / name}" for role, name in pair.files.items()), str(pair.split))


def _refuse_several(source: LayoutSource, layout: Layout, tops: set[str]) -> None:
    """Raises UserError where folders are those of several sets: no scenes have folders in that layout, or one of them
    is called as the set, and what holds them is not."""
    wanted = in_words(str(source.dataset)).lower()
    called = sorted(top for top in tops if wanted in in_words(top).lower())
    above = wanted in in_words(source.layout.resolve().name).lower()
    if layout.by == "folders" or (called and not above):
        shown = ", ".join(sorted(tops)[:NAMED]) + (", …" if len(tops) > NAMED else "")
        way_out = f"--data {source.layout / called[0]}" if len(called) == 1 else "the set's own folder"
        raise UserError(
            f"--data {source.layout}: holds pairs in {shown}, and a benchmark is of one set, {source.dataset} "
            f"({layout.tree}); give {way_out}"
        )


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
