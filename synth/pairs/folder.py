"""Clean pairs in folders: `<dataset>-<scene>/{a,b[,gt][,depth]}.<png or jpg …>`, one folder a pair.

`pair.yaml` beside the pictures may say more of a pair: `indoor: true` keeps weather out of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from synth.errors import UserError, listed
from synth.images import codecs
from synth.pairs import facts
from synth.pairs.files import ROLES, File, FilePair
from synth.pairs.remote import Remote
from synth.pairs.source import NO_TEXT, FileSource, LeftOut, Remark, is_hidden, is_text
from synth.paths import home, in_a_circle
from synth.storage.bucket import Bucket
from synth.tasks import TASKS

OUTSIDE = "a link in it leads out of the source's folder; `follow_links: true` (--follow-links) allows that"
NO_IMAGE = "no image"
NO_PAIRS = (
    "no pairs in it; a pair is a folder <dataset>-<scene>/ with a.png and b.png (or jpg); "
    "of other layouts `synth manifest` makes a table"
)


def _place(value: Any) -> Path | str:
    """A URL as it stands, and anything else as a path. Raises ValueError where it is neither."""
    if isinstance(value, Path):
        return home(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} must be a path or a URL")
    return value if "://" in value else home(Path(value))


class FolderSource(FileSource):
    """A folder with a folder for each pair, on this machine or behind a URL."""

    kind = "folder"
    later = FileSource.later | {"dataset"}

    folder: Annotated[Path | str, BeforeValidator(_place)]
    """`<dataset>-<scene>/{a,b[,gt][,depth]}.*` below it, one folder a pair; pairs of one scene end in `-p0`, `-p1`, ….
    `pair.yaml` in it may say `indoor: true`: weather does not fall on that pair.
    Relative to the working directory; a link that leads out of it is not followed unless `follow_links` says so."""
    dataset: str = Field(default="folder", pattern=r"^[^-/]+$")
    """What pairs are called, in records and weights, whose folders have no hyphen in their names."""

    def pairs(self, task: str) -> Iterator[FilePair | LeftOut | Remark]:
        """By the names of their folders."""
        for item in self._all(task):
            if isinstance(item, Remark) or self.takes(item.scene):
                yield item

    def _all(self, task: str) -> Iterator[FilePair | LeftOut | Remark]:
        root, outside = self.folder, 0
        for folder, files in _folders_at(root) if isinstance(root, str) else _folders_in(root, self.follow_links):
            if is_hidden(folder):
                continue
            if not is_text(folder):
                yield LeftOut(repr(folder), NO_TEXT)
                continue
            if files is None:
                yield LeftOut(folder, OUTSIDE)
                continue
            names = TASKS[task].capture.modalities
            found = _of_roles(files, (*names, *ROLES))
            twice = next((role for role, of_role in found.items() if len(of_role) > 1), None)
            if twice is not None:
                yield LeftOut(folder, f"{len(found[twice])} files could be its {twice}: {listed(found[twice])}")
                continue
            roles = {role: files[name] for role, [name] in found.items()}
            dangling = next((file for file in roles.values() if isinstance(file, Path) and not file.exists()), None)
            if dangling is not None:
                yield LeftOut(folder, f"{dangling.name} is a link to a file that is not there")
                continue
            missing = [name for name in names if name not in roles]
            if missing:
                yield LeftOut(folder, f"{NO_IMAGE} {' and no image '.join(missing)}")
                continue
            images = tuple(roles[name] for name in names)
            gt, depth = (roles.get(role) for role in ROLES)
            beside = files.get(facts.NAME)
            used = [file for file in (*images, gt, depth, beside) if isinstance(file, Path)]
            if isinstance(root, Path) and any(leads_out(file, root) for file in (root / folder, *used)):
                if not self.follow_links:
                    yield LeftOut(folder, OUTSIDE)
                    continue
                outside += 1
            try:
                indoor = facts.read_facts(beside).get("indoor") if beside is not None else None
            except ValueError as error:
                yield LeftOut(folder, str(error))
                continue
            dataset = folder.split("-", 1)[0] if "-" in folder else self.dataset
            settings = self.depth_kind, self.align
            yield FilePair(task, dataset, folder, self.licence, images, gt, depth, *settings, indoor=indoor)
        if outside:
            yield Remark(f"{task}: {outside} pairs lie behind links that lead out of their folder, which are followed")


def _of_roles(files: Iterable[str], roles: Sequence[str]) -> dict[str, list[str]]:
    """The image files of each role that has any. `A.png` is taken where there is no `a.png`."""
    found: dict[str, list[str]] = {}
    images = [name for name in sorted(files) if PurePosixPath(name).suffix.lower() in codecs.SUFFIXES]
    for role in roles:
        exact = [name for name in images if PurePosixPath(name).stem == role]
        if of_role := exact or [name for name in images if PurePosixPath(name).stem.lower() == role]:
            found[role] = of_role
    return found


def _folders_in(root: Path, follow_links: bool) -> Iterator[tuple[str, Mapping[str, File] | None]]:
    """The folders in a folder with their files, by name; None for one that leads out of it and must not."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    if not folders:
        raise UserError(f"{root}: {NO_PAIRS}")
    for folder in folders:
        if not follow_links and leads_out(folder, root):
            yield folder.name, None
        else:
            yield folder.name, {path.name: path for path in folder.iterdir() if path.is_file() or not path.exists()}


def _folders_at(url: str) -> Iterator[tuple[str, Mapping[str, File]]]:
    """The same of a URL."""
    folders: dict[str, dict[str, File]] = {}
    try:
        below = Bucket(url).find()
    except OSError as error:
        raise UserError(f"{url}: cannot be listed: {error}") from None
    for path in below:
        folder, slash, name = path.partition("/")
        if slash and "/" not in name:
            folders.setdefault(folder, {})[name] = Remote(f"{url.rstrip('/')}/{path}")
    if not folders:
        raise UserError(f"{url}: {NO_PAIRS}")
    yield from sorted(folders.items())


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is a link out of a source's folder, or one of a circle, which leads nowhere."""
    return path.is_symlink() and (in_a_circle(path) or not path.resolve().is_relative_to(root.resolve()))
