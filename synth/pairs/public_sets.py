"""The layouts of public data sets: which words of folders and names tell the images of a pair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from synth.pairs.split import Split
from synth.pairs.tables import WORDS
from synth.tasks import TASKS

Role: TypeAlias = Literal["a", "b", "gt", "depth"]
By: TypeAlias = Literal["folders", "names", "stacks"]

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
