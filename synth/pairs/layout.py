"""Clean pairs in a public data set as it unpacks (layouts.py)."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from synth.errors import UserError
from synth.pairs.files import FilePair
from synth.pairs.layouts import Found, Listing, images_below, in_order_of_light, in_words, recognise, side_in
from synth.pairs.source import FileSource, LeftOut, LocalPath, Remark
from synth.pairs.split import side_of


class LayoutSource(FileSource):
    """A folder whose pairs are told by the names of its folders and files, as public data sets have them.

    Without splits of its own, a share `held_out` of its scenes is for test, as for folders of pairs.
    """

    kind = "layout"
    own_splits = True

    layout: LocalPath
    """The folder, as it was unpacked."""
    way: str | None = None
    """In which of the ways of docs/datasets.md it is laid out, where that is not to be found out."""
    dataset: str | None = Field(default=None, pattern=r"^[^-/]+$")
    """What its pairs are called in records and weights; without it, as the folder is."""

    def pairs(self, task: str) -> Iterator[FilePair | LeftOut | Remark]:
        """By the names of their scenes."""
        listing = self.listing(task)
        for remark in remarks_of(self.layout, listing):
            yield Remark(remark)
        several: dict[str, int] = {}
        dataset = self.dataset or name_of(self.layout)
        for pair in listing.pairs:
            scene = scene_of(dataset, pair, several)
            side = pair.split or side_of(scene, self.held_out, self.held_out_val)
            if self.split in ("all", side):
                yield file_pair(self, task, dataset, scene, pair)

    def listing(self, task: str | None) -> Listing:
        """Its pairs by their names. Raises UserError where there is no such folder, or none of them is known."""
        root = self.layout
        if not root.is_dir():
            raise UserError(f"{root}: no such folder of a data set; --data DIR names where it was unpacked")
        names, unused = images_below(root, self.follow_links)
        if unused and not names:
            raise UserError(f"{root}: {unused[0]}")
        listing = recognise(root, names, task, self.way)
        return with_light(root, with_remarks(listing, unused))


def with_remarks(listing: Listing, said: tuple[str, ...]) -> Listing:
    """A listing that says more of what is not used."""
    return Listing(listing.layout, listing.pairs, listing.lonely, (*listing.remarks, *said)) if said else listing


def with_light(root: Path, listing: Listing) -> Listing:
    """A listing whose stacks of exposures have their darker end first."""
    if listing.layout.by != "stacks":
        return listing
    pairs = tuple(in_order_of_light(root, pair) for pair in listing.pairs)
    return Listing(listing.layout, pairs, listing.lonely, listing.remarks)


def remarks_of(root: Path, listing: Listing) -> Iterator[str]:
    """What is said of a data set: how it was read, and what of it is not used."""
    layout = listing.layout
    yield f"{name_of(root)}: {len(listing.pairs)} pairs of {layout.task}, laid out as {layout.name} ({layout.tree})"
    yield from (f"left out: {what}" for what in listing.left_out())


def name_of(root: Path) -> str:
    """What a data set is called by its folder, or, where that is the folder of a split, by the one above it."""
    there = root.resolve()
    return in_words((there.parent if side_in(there.name) else there).name).lower() or "layout"


def scene_of(dataset: str, pair: Found, several: dict[str, int]) -> str:
    """A pair's scene; further pairs of one end in `-p1`, `-p2`, …. several: how many there are, counted here."""
    scene = f"{dataset}-{pair.scene}"
    several[scene] = several.get(scene, -1) + 1
    return f"{scene}-p{several[scene]}" if several[scene] else scene


def file_pair(source: FileSource, task: str, dataset: str, scene: str, pair: Found) -> FilePair:
    """A pair of a source by the names of its files."""
    root: Path = getattr(source, source.kind)
    files = {role: root / name for role, name in pair.files.items()}
    return FilePair(
        *(task, dataset, scene, source.licence, (files["a"], files["b"]), files.get("gt"), files.get("depth")),
        *(source.depth_kind, source.align),
    )
