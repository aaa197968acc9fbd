"""Public data sets as they unpack: which image belongs to which, told by the names of their folders and files.

Nothing here opens a picture but to see which end of a stack of exposures is the darker one.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import cv2

from synth.errors import UserError, hint, listed
from synth.images import codecs
from synth.pairs.public_sets import LAYOUTS, ROLES_OF, Layout, Role
from synth.pairs.source import is_text
from synth.pairs.split import Split, named_side

SKIPPED = ("__MACOSX", "Thumbs.db")
TOKENS = re.compile(r"[A-Za-z]+|\d+")
PARTED = re.compile(r"[\s\-._]+")
LONGEST_STACK = 20  # exposures of a scene: more numbered files are frames of a film
NAMED = 3  # images that are named of those without a partner


@dataclass(frozen=True)
class Found:
    """A pair. files: by role, from the root. scene: from the root, without the data set's name."""

    scene: str
    files: Mapping[Role, str]
    split: Split | None


@dataclass(frozen=True)
class Listing:
    """What a layout takes of a folder, and what it leaves. lonely: images without a partner, by role."""

    layout: Layout
    pairs: tuple[Found, ...]
    lonely: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()

    def left_out(self) -> Iterator[str]:
        """What is not used, in words, with the names of a few."""
        for role, names in self.lonely.items():
            shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
            yield f"{len(names)} of {role} without a partner: {shown}"
        yield from self.remarks


def recognise(root: Path, names: Sequence[str], task: str | None = None, layout: str | None = None) -> Listing:
    """The layout of a folder, and its pairs.

    names: of its images, as `images_below` lists them. task, layout: where the user says so. Raises UserError where no
    layout takes a pair of it, or several do and the task is not clear.
    """
    known = [known for known in LAYOUTS if layout in (None, known.name) and task in (None, known.task)]
    if not known:
        there = [known.name for known in LAYOUTS]
        if layout not in there:
            raise UserError(f"--layout {layout}: no such layout{hint(layout, there)}")
        raise UserError(f"--layout {layout} is none of {task}")
    path = str(root.resolve())
    tried = [_list(one, root, names) for one in known]
    told = [
        one
        for one in tried
        if layout is not None
        or (task is not None and one.layout.by != "stacks")
        or re.search(one.layout.marks, f"{Path(path).name}\n" + "\n".join(names), re.IGNORECASE)
    ]
    best = max(told, key=lambda one: len(one.pairs), default=None)
    if best is not None and best.pairs:
        return _beside(best, told)
    if unclear := sorted({one.layout.task for one in tried if one.pairs and one.layout.by != "stacks"}):
        count = max(len(one.pairs) for one in tried)
        raise UserError(
            f"{root}: {count} pairs, whose names do not tell of which task; say --task {' or --task '.join(unclear)}"
        )
    raise UserError(_nothing(root, names, tried))


def _beside(best: Listing, others: Sequence[Listing]) -> Listing:
    """The best listing, which says how many pairs another layout takes of the images that it does not."""
    counts = {one.layout.name: len(_others(one, best)) for one in others}
    name = max(counts, key=lambda name: counts[name])
    if not counts[name]:
        return best
    said = f"{counts[name]} pairs that are laid out as {name}; --layout {name} takes them"
    return Listing(best.layout, best.pairs, best.lonely, (*best.remarks, said))


def _others(one: Listing, best: Listing) -> list[Found]:
    """The pairs of a layout of whose images the best takes none."""
    used = {name for pair in best.pairs for name in pair.files.values()}
    return [pair for pair in one.pairs if not used & set(pair.files.values())]


def _nothing(root: Path, names: Sequence[str], tried: Sequence[Listing]) -> str:
    way_out = "say which belong together, as --a 'vi/{scene}.png' --b 'ir/{scene}.png' --task vif"
    if not names:
        return f"{root}: no images in it"
    seen = max(tried, key=lambda one: min(len(one.lonely.get(role, ())) for role in ("a", "b")))
    counts = {role: len(seen.lonely.get(role, ())) for role in ("a", "b")}
    if all(counts.values()):
        first = " and ".join(seen.lonely[role][0] for role in ("a", "b"))
        return (
            f"{root}: {counts['a']} images of a and {counts['b']} of b (layout {seen.layout.name}), none of one name "
            f"(the first: {first}); {way_out}"
        )
    if len(tried) == 1:
        return f"{root}: {len(names)} images, no pair laid out as {seen.layout.name} ({seen.layout.tree}); {way_out}"
    known = listed(layout.name for layout in LAYOUTS)
    return f"{root}: {len(names)} images, laid out in no way that is known ({known}); {way_out}"


def images_below(root: Path, follow_links: bool) -> tuple[list[str], tuple[str, ...]]:
    """The images below a folder, as paths from it, in order; and what is said of those that are not used: links
    that lead out of it, which are not followed unless `follow_links` says so, and names that are no text. Links in a
    circle end."""
    there = root.resolve()
    found: list[str] = []
    outside = nameless = 0
    seen: set[str] = set()

    def walk(folder: Path, inner: PurePosixPath) -> None:
        nonlocal outside, nameless
        real = os.path.realpath(folder)
        if real in seen:
            return
        seen.add(real)
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name in SKIPPED:
                continue
            path = Path(entry.path)
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
                leads_out = entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(there)
            except OSError:  # links in a circle
                continue
            image = is_file and path.suffix.lower() in codecs.SUFFIXES
            if not is_text(entry.name):
                nameless += is_folder or image
            elif leads_out and not follow_links:
                outside += is_folder or image
            elif is_folder:
                walk(path, inner / entry.name)
            elif image:
                found.append(str(inner / entry.name))

    walk(root, PurePosixPath())
    said = [
        f"{outside} links that lead out of the folder; `follow_links: true` (--follow-links) allows that",
        f"{nameless} files or folders whose names are no text in UTF-8",
    ]
    return sorted(found), tuple(what for count, what in zip((outside, nameless), said, strict=True) if count)


def _list(layout: Layout, root: Path, names: Sequence[str]) -> Listing:
    if layout.by == "stacks":
        return _of_stacks(layout, root, names)
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    twice = []
    for name in names:
        placed = _placed(layout, name)
        if placed is not None:
            role, key = placed
            if groups.setdefault(key, {}).setdefault(role, name) != name:
                twice.append(name)
    return _listing(layout, root, groups, twice)


def _listing(
    layout: Layout, root: Path, groups: Mapping[tuple[str, ...], Mapping[str, str]], twice: Sequence[str]
) -> Listing:
    whole = {key: files for key, files in groups.items() if "a" in files and "b" in files}
    alone: dict[str, tuple[str, ...]] = {}
    for role in ("a", "b"):
        names = tuple(files[role] for key, files in sorted(groups.items()) if key not in whole and role in files)
        if names:
            alone[role] = names
    pairs = []
    above = side_in(root.resolve().name)
    for key, files in sorted(whole.items()):
        folders = [part for part in key[:-1] if part]
        sides = [layout.sides.get(part.lower()) or side_in(part) for part in folders]
        split = next((side for side in reversed(sides) if side is not None), above)
        parts = folders if layout.films and folders else [part for part in key if part]
        roles: dict[Role, str] = {role: files[role] for role in ("a", "b", "gt", "depth") if role in files}
        pairs.append(Found("_".join(map(in_words, parts)) or "pair", roles, split))
    remarks = []
    if twice:
        remarks.append(f"{len(twice)} images that have the name of another but for the ending: {twice[0]}")
    with_side = [pair for pair in pairs if pair.split is not None]
    if with_side and len(with_side) < len(pairs):
        first = next(pair for pair in pairs if pair.split is None)
        remarks.append(
            f"{len(pairs) - len(with_side)} pairs in no folder of a split, where others are in one: {first.files['a']}"
        )
        pairs = with_side
    return Listing(layout, tuple(pairs), alone, tuple(remarks))


def side_in(folder: str) -> Split | None:
    """The side that a folder's name means, whole or in one of its words: `train_rgb`."""
    return named_side(folder) or next(filter(None, map(named_side, TOKENS.findall(folder))), None)


def is_of_layout(layout: Layout, folder: str) -> bool:
    """Whether a folder's name is one of a layout's own: of a side, or of a role."""
    if folder.lower() in layout.sides or side_in(folder) is not None:
        return True
    return layout.by == "folders" and _role(layout.name, folder) is not None


def in_words(part: str) -> str:
    """A part of a scene's name: without hyphens, which tell data sets from scenes and pairs from one another."""
    return re.sub(r"[^\w.]+", "_", part)


def _placed(layout: Layout, name: str) -> tuple[Role, tuple[str, ...]] | None:
    """The role of an image, and what it has in common with its partner: its folders and its name without the role."""
    above, _, file = name.rpartition("/")
    stem = file.rpartition(".")[0]
    if layout.by == "names":
        found = _role(layout.name, stem)
        if found is None or (layout.marks and not found[1]):  # a.png and b.png are a folder of pairs of this tool's own
            return None
        return found[0], (*above.split("/"), found[1]) if above else ("", found[1])
    placed = _folder_role(layout.name, above)
    return None if placed is None else (placed[0], (*placed[1], _without(layout, placed[0], stem)))


@lru_cache(maxsize=1 << 14)
def _folder_role(layout: str, above: str) -> tuple[Role, tuple[str, ...]] | None:
    """The role that a folder on the way to an image tells, the nearest first, and the way without what tells it."""
    folders = above.split("/")
    for exact in (True, False):  # a folder that is called so, before one in whose name it stands
        for at in reversed(range(len(folders))):
            if (found := _role(layout, folders[at], parts_too=not exact)) is not None:
                return found[0], (*folders[:at], found[1], *folders[at + 1 :])
    return None


def _role(layout: str, part: str, parts_too: bool = True) -> tuple[Role, str] | None:
    """The role that a name tells, whole or by the last of its words that does, and the rest of the name."""
    roles, (plain, tokens) = ROLES_OF[layout], _tokens(part)
    if (role := roles.get(plain)) is not None:
        return role, ""
    for word, start, end in tokens if parts_too else ():
        if (role := roles.get(word)) is not None:
            return role, f"{part[:start].rstrip('_-. ')}_{part[end:].lstrip('_-. ')}".strip("_")
    return None


@lru_cache(maxsize=1 << 17)
def _tokens(part: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """A name in small letters, its parts joined by lines, and its words, the last first, with where they stand."""
    words = ((match[0].lower(), match.start(), match.end()) for match in TOKENS.finditer(part))
    return PARTED.sub("_", part.lower()), tuple(words)[::-1]


def _without(layout: Layout, role: Role, stem: str) -> str:
    """A name without the word of its role at one of its ends: `00001_vis`, `001_A` in a folder `imageA`."""
    letters = {"a": ("a",), "b": ("b",), "gt": ("f", "gt"), "depth": ()}[role] if layout.name == "real_mff" else ()
    words = (*layout.words.get(role, ()), *letters)
    pieces = PARTED.split(stem)
    if len(pieces) > 1 and pieces[-1].lower() in words:
        return stem[: -len(pieces[-1]) - 1]
    if len(pieces) > 1 and pieces[0].lower() in words:
        return stem[len(pieces[0]) + 1 :]
    return stem


def _of_stacks(layout: Layout, root: Path, names: Sequence[str]) -> Listing:
    """Numbered exposures of a scene in a folder of its own: the darkest and the brightest end of each."""
    folders: dict[PurePosixPath, list[str]] = {}
    for name in names:
        folders.setdefault(PurePosixPath(name).parent, []).append(name)
    truths = {
        (path.parent, PurePosixPath(name).stem): name
        for path, inside in folders.items()
        if path.name.lower() in layout.words["gt"]
        for name in inside
    }
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for path, inside in folders.items():
        numbers = {int(stem): name for name in inside if (stem := PurePosixPath(name).stem).isdecimal()}
        whole = len(numbers) == len(inside) and sorted(numbers) == [
            *range(min(numbers, default=0), max(numbers, default=0) + 1)
        ]
        if path.name.lower() in layout.words["gt"] or not whole or not 2 <= len(numbers) <= LONGEST_STACK:
            continue
        dark, bright = numbers[min(numbers)], numbers[max(numbers)]
        files = {"a": dark, "b": bright}
        truth = truths.get((path.parent, path.name))
        groups[(*path.parts, "")] = files | ({} if truth is None else {"gt": truth})
    listing = _listing(layout, root, groups, ())
    return listing


def in_order_of_light(root: Path, pair: Found) -> Found:
    """A pair of exposures, the darker one first: data sets count them up or down."""
    lights = [_light(root / pair.files[role]) for role in ("a", "b")]
    if None in lights or lights[0] <= lights[1]:  # type: ignore[operator]
        return pair
    files: dict[Role, str] = {**pair.files, "a": pair.files["b"], "b": pair.files["a"]}
    return Found(pair.scene, files, pair.split)


def _light(path: Path) -> float | None:
    """The mean grey level of a picture, at an eighth of its size."""
    logged = codecs.log_level(0)
    try:
        small = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    finally:
        codecs.log_level(logged)
    return None if small is None else float(small.mean())
