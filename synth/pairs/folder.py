"""Clean pairs in folders: `<dataset>-<scene>/{a,b[,gt][,depth]}.<png or jpg …>`, one folder a pair."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from synth.errors import UserError
from synth.images import codecs
from synth.pairs.files import File, FilePair
from synth.pairs.remote import Remote
from synth.scene.scene import DepthKind
from synth.storage.bucket import Bucket

ROLES = ("a", "b", "gt", "depth")
OUTSIDE = "a link in it leads out of the source's folder"
SURROGATES = range(0xDC80, 0xDD00)  # what Python makes of the bytes of a name that are not UTF-8
NO_PAIRS = "no pairs in it; a pair is a folder <dataset>-<scene>/ with a.png and b.png (or jpg)"


def list_folder(
    root: Path | str, task: str, licence: str, depth_kind: DepthKind, moved: bool = False
) -> Iterator[FilePair | tuple[str, str]]:
    """The pairs below a folder by name; for a folder that is no pair, its name and why.

    root: a folder, or the URL of one. moved: b is to be moved onto a. A link that leads out of the root is not
    followed. Raises UserError where the folder is missing or holds no folders.
    """
    folders = _folders_at(root) if isinstance(root, str) else _folders_in(root)
    for folder, files in folders:
        if any(ord(letter) in SURROGATES for letter in folder):
            yield repr(folder), "its name is no text in UTF-8"
            continue
        if files is None:
            yield folder, OUTSIDE
            continue
        roles: dict[str, File] = {}
        for name in sorted(files):
            path = PurePosixPath(name)
            if path.suffix.lower() in codecs.SUFFIXES:
                roles.setdefault(path.stem, files[name])
        missing = [name for name in ("a", "b") if name not in roles]
        if missing:
            yield folder, f"no image {' and no image '.join(missing)}"
            continue
        used = roles["a"], roles["b"], roles.get("gt"), roles.get("depth")
        if any(isinstance(file, Path) and isinstance(root, Path) and _leads_out(file, root) for file in used):
            yield folder, OUTSIDE
            continue
        yield FilePair(task, folder.split("-", 1)[0], folder, licence, *used, depth_kind, moved)


def _folders_in(root: Path) -> Iterator[tuple[str, Mapping[str, File] | None]]:
    """The folders in a folder with their files, by name; None for one that leads out of it."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of pairs")
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    if not folders:
        raise UserError(f"{root}: {NO_PAIRS}")
    for folder in folders:
        if _leads_out(folder, root):
            yield folder.name, None
        else:
            yield folder.name, {path.name: path for path in folder.iterdir() if path.is_file()}


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


def _leads_out(path: Path, root: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(root.resolve())
