"""Public data sets as they unpack: which image belongs to which, told by the names of their folders and files.

Nothing here opens a picture but to see which end of a stack of exposures is the darker one.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeAlias

import cv2

from synth.errors import UserError, hint, listed
from synth.images import codecs
from synth.pairs.source import is_text
from synth.pairs.split import Split, named_side
from synth.pairs.tables import WORDS
from synth.tasks import TASKS

Role: TypeAlias = Literal["a", "b", "gt", "depth"]
By: TypeAlias = Literal["folders", "names", "stacks"]

SKIPPED = ("__MACOSX", "Thumbs.db")
TOKENS = re.compile(r"[A-Za-z]+|\d+")
PARTED = re.compile(r"[\s\-._]+")
LONGEST_STACK = 20  # exposures of a scene: more numbered files are frames of a film
NAMED = 3  # images that are named of those without a partner
TRUTHS = ("gt", "label", "labels", "ground_truth", "groundtruth", "full_clear", "fusion", "reference")


@dataclass(frozen=True)
class Layout:
    """How a data set lays out its pairs.

    shows: what a and b are of; that tells the task. by: what tells an image's role: a folder on its way, its own name,
    or its place in a numbered stack. words: of each role, in small letters. marks: what stands in a path of it, where
    the words alone do not tell the task. films: the images of a folder are frames of one scene. sides: a folder's side,
    where the set has its own.
    """

    name: str
    shows: tuple[str, str]
    by: By
    words: Mapping[Role, tuple[str, ...]]
    tree: str
    marks: str = ""
    films: bool = False
    sides: Mapping[str, Split] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The task whose pairs are of these two."""
        return next(name for name, task in TASKS.items() if (*task.capture.modalities.values(),) == self.shows)


VISIBLE, INFRARED = (*WORDS["visible"], "images_rgb"), (*WORDS["infrared"], "t", "thermal_8_bit", "images_thermal")
NEAR, FAR, UNDER, OVER = (WORDS[modality] for modality in ("near", "far", "under", "over"))
THERMAL, FOCUS, BRACKET = ("visible", "infrared"), ("near", "far"), ("under", "over")
KAIST_SIDES: dict[str, Split] = {f"set{n:02d}": "train" if n < 6 else "test" for n in range(12)}
Words: TypeAlias = tuple[str, ...]


def _roles(a: Words, b: Words, gt: Words = ()) -> dict[Role, Words]:
    return {"a": a, "b": b, "gt": gt}


def _folders(name: str, shows: tuple[str, str], tree: str, words: dict[Role, Words], **more: Any) -> Layout:
    return Layout(name, shows, "folders", words, tree, **more)


def _names(name: str, shows: tuple[str, str], tree: str, words: dict[Role, Words], **more: Any) -> Layout:
    return Layout(name, shows, "names", words, tree, **more)


LAYOUTS = (
    _folders("llvip", THERMAL, "{visible,infrared}/{train,test}/010001.jpg", _roles(("visible",), ("infrared",))),
    _folders("msrs", THERMAL, "{train,test}/{vi,ir}/00001D.png", _roles(("vi",), ("ir",))),
    _folders("m3fd", THERMAL, "{Vis,Ir}/00000.png", _roles(("vis",), ("ir",))),
    _folders(
        *("roadscene", THERMAL, "{crop_LR_visible,cropinfrared}/FLIR_00006.jpg"),
        _roles(("crop_lr_visible",), ("cropinfrared",)),
    ),
    _folders(
        *("kaist", THERMAL, "set00/V000/{visible,lwir}/I00000.jpg", _roles(("visible",), ("lwir",))),
        films=True,
        sides=KAIST_SIDES,
    ),
    _folders("pst900", THERMAL, "{train,test}/{rgb,thermal}/1.png", _roles(("rgb",), ("thermal",))),
    _folders("visible_infrared", THERMAL, "{RGB,T}/1.png, and other words", _roles(VISIBLE, INFRARED)),
    _names("tno", THERMAL, "SCENE/{VIS,IR}.bmp, SCENE_{vis,ir}.png", _roles(("vis",), ("ir",))),
    _names("flir", THERMAL, "FLIR_00002_{RGB.jpg,PreviewData.jpeg}", _roles(("rgb",), ("previewdata", "preview"))),
    _names("epfl_nir", THERMAL, "country/0000_{rgb,nir}.tiff", _roles(("rgb",), ("nir",))),
    _names(
        *("visible_infrared_names", THERMAL, "1_{co,th}.png, 1_{RGB,T}.jpg, and other words"),
        _roles((*VISIBLE, "co"), (*INFRARED, "th", "flir", "preview")),
    ),
    _folders(
        *("mfi_whu", FOCUS, "{source_1,source_2,full_clear}/001.jpg"),
        _roles(("source_1",), ("source_2",), ("full_clear",)),
    ),
    _folders(
        *("real_mff", FOCUS, "{imageA,imageB,Fusion}/001_{A,B,F}.png"), _roles(("imagea",), ("imageb",), ("fusion",))
    ),
    _folders("near_far", FOCUS, "{near,far[,gt]}/1.png", _roles(NEAR, FAR, TRUTHS)),
    _folders("under_over", BRACKET, "{under,over[,gt]}/1.png", _roles(UNDER, OVER, TRUTHS)),
    _names("near_far_names", FOCUS, "1_{near,far}.png", _roles(NEAR, FAR, TRUTHS)),
    _names("under_over_names", BRACKET, "1_{under,over}.png", _roles(UNDER, OVER, TRUTHS)),
    _names("lytro", FOCUS, "lytro-01-{A,B}.jpg, and MFFW", _roles(("a",), ("b",)), marks=r"lytro|mffw|mff|focus"),
    _names("mefb", BRACKET, "Arno/Arno_{A,B}.jpg", _roles(("a",), ("b",)), marks=r"mef|expos|hdr"),
    Layout(
        *("sice", BRACKET, "stacks", _roles((), (), ("label", "labels", "gt")), "1/{1,…,7}.JPG, Label/1.JPG"),
        marks=r"sice|label|expos|hdr|bracket",
    ),
)
"""From the particular to the general: of those that take as many pairs, the first is it."""
ROLES_OF: dict[str, dict[str, Role]] = {
    layout.name: {word: role for role, words in layout.words.items() for word in words} for layout in LAYOUTS
}


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


FIELD = re.compile(r"\{(\w+)\}|(\*\*/|\*)|([^{*]+|\{)")


def by_patterns(patterns: Mapping[Role, str], names: Sequence[str], task: str) -> Listing:
    """The pairs of a user's own patterns: `vi/{scene}.png`. A `{field}` stands for any part of a name without a slash,
    and is the same for all images of a pair, `*` for what may differ, `**/` for folders; `{split}` names the side.

    Raises UserError where a pattern lacks {scene}, or no pair is found.
    """
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    twice = []
    fields: dict[str, list[str]] = {}
    for role, pattern in patterns.items():
        form, fields[role] = _compiled(role, pattern)
        for name in names:
            if (match := form.fullmatch(name)) is not None:
                key = tuple(match[at] for at in sorted(fields[role]))
                if groups.setdefault(key, {}).setdefault(role, name) != name:
                    twice.append(name)
    asked = {role: sorted(found) for role, found in fields.items()}
    if len({tuple(found) for found in asked.values()}) > 1:
        shown = "; ".join(f"--{role} has {', '.join(found)}" for role, found in asked.items())
        raise UserError(f"the patterns have different fields ({shown}): each is the same for all images of a pair")
    order = asked["a"]
    matched = Counter(role for files in groups.values() for role in files)
    pairs: list[Found] = []
    alone: dict[str, list[str]] = {"a": [], "b": []}
    for key, files in sorted(groups.items()):
        if "a" not in files or "b" not in files:
            for role in ("a", "b"):
                alone[role] += [files[role]] if role in files else []
            continue
        values = dict(zip(order, key, strict=True))
        side = values.pop("split", None)
        split = None if side is None else named_side(side)
        if side is not None and split is None:
            raise UserError(f"{files['a']}: split {side!r}; it is train, val or test")
        roles: dict[Role, str] = {role: files[role] for role in patterns if role in files}
        scene = values.pop("scene")
        parts = [*([] if side is None else [side]), *values.values(), scene]
        pairs.append(Found("_".join(map(in_words, parts)), roles, split))
    pairs.sort(key=lambda pair: pair.scene)
    if not pairs:
        counts = ", ".join(f"--{role} {pattern!r} {matched[role]}" for role, pattern in patterns.items())
        raise UserError(f"no pair: of {len(names)} images, {counts}, and none have equal fields")
    remarks = (f"{len(twice)} images whose fields are those of another: {twice[0]}",) if twice else ()
    first, second = TASKS[task].capture.modalities.values()
    layout = Layout("patterns", (first, second), "names", {}, " + ".join(patterns.values()))
    return Listing(layout, tuple(pairs), {role: tuple(names) for role, names in alone.items() if names}, remarks)


def _compiled(role: str, pattern: str) -> tuple[re.Pattern[str], list[str]]:
    text, fields = "", []
    for name, wild, plain in FIELD.findall(pattern.removeprefix("./")):
        if name and name in fields:
            text += f"(?P={name})"
        elif name:
            fields.append(name)
            text += f"(?P<{name}>[^/]+)"
        else:
            text += {"**/": "(?:.+/)?", "*": "[^/]*"}.get(wild, re.escape(plain))
    if "scene" not in fields:
        raise UserError(f"--{role} {pattern!r}: no {{scene}} in it, which tells one pair from another")
    try:
        return re.compile(text, re.IGNORECASE), fields
    except re.error as error:
        raise UserError(f"--{role} {pattern!r}: no pattern: {error}") from None
