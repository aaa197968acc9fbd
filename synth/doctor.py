"""`synth doctor`: what of this machine the tool needs, what is there, and the command that brings what is not."""

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from synth.sample.render import Sample

Level = Literal["ok", "note", "fault"]

OURS = ("numpy", "scipy", "opencv-python", "scikit-image", "imgaug", "webdataset", "pyarrow", "pillow", "tifffile")
"""Packages whose versions are told; of the others only what does not fit."""
EXTRAS = {
    "heif": "HEIC pictures",
    "onnx": "networks of your own as targets, or for depth",
    "s3": "s3:// addresses",
    "ray": "clusters (--engine ray)",
}
"""Extras of the package that the tool takes, and what for."""
OTHER_OPENCV = ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Packages that lie in one folder with opencv-python."""
LEAST_DISK = 2**30
"""Bytes below which a disk is nearly full."""
PACKAGES = {"cv2": "opencv-python", "skimage": "scikit-image", "PIL": "pillow", "yaml": "PyYAML"}
"""Packages whose modules are called otherwise."""
RECIPE = "mef_haze"
TRIED = 8
"""Samples of the self-test."""


class Finding(NamedTuple):
    """What was looked at. cure: a command, where one helps."""

    level: Level
    text: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.level:<6}{self.text}" + (f": {self.cure}" if self.cure else "")


def findings() -> Iterator[Finding]:
    """One after another, the self-test last; a fault is what keeps the tool from working as it should."""
    yield Finding("ok", f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (packages, opencv, letters, extras, cores, room, self_test)
    for look in looks:
        try:
            yield from look()
        except Exception as error:  # a package that cannot be loaded must not keep the rest from being told
            yield Finding("fault", f"{look.__name__.replace('_', ' ')}: {told(error)}", cure_of(error))


def told(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def cure_of(error: Exception) -> str:
    """What helps where something cannot be loaded: the system's library, or the package."""
    if re.search(r"libGL|libgthread|libglib", str(error)):
        return "apt-get install libgl1 libglib2.0-0"
    name = ((isinstance(error, ImportError) and error.name) or "mmaif").partition(".")[0]
    return f"pip install --force-reinstall {PACKAGES.get(name, name)}"


def packages() -> Iterator[Finding]:
    """Whether what pip was asked for is there, in versions that fit."""
    if _version("mmaif") is None:
        yield Finding("note", "not installed by pip, so that versions are not compared", "pip install .")
        return
    there: dict[str, str] = {}
    for each in wanted():
        found = _version(each.name)
        if found is None or not each.specifier.contains(found, prereleases=True):
            what = "is not installed" if found is None else f"{found} does not fit"
            yield Finding("fault", f"{each.name} {what}", f"pip install '{each.name}{each.specifier}'")
        else:
            there[each.name] = found
    yield Finding("ok", ", ".join(f"{name} {there[name]}" for name in OURS if name in there))


def wanted(extra: str = "") -> list["Requirement"]:
    """What the package asks for by itself, or for an extra alone."""
    from packaging.requirements import Requirement

    try:
        known = [Requirement(text) for text in requires("mmaif") or ()]
    except PackageNotFoundError:
        return []
    if not extra:
        return [each for each in known if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each for each in known if each.marker is not None and each.marker.evaluate({"extra": extra})]


def opencv() -> Iterator[Finding]:
    """Whether OpenCV can be loaded, and stands alone."""
    try:
        import cv2  # noqa: F401
    except (ImportError, OSError) as error:
        missing = cure_of(error)
        cure = missing if missing.startswith("apt") else "pip install --force-reinstall opencv-python"
        yield Finding("fault", f"OpenCV cannot be loaded ({error})", cure)
    others = [name for name in OTHER_OPENCV if _version(name) is not None]
    if others:
        yield Finding(
            "fault",
            f"{' and '.join(others)} and opencv-python lie in one folder, where one breaks the other",
            f"pip uninstall -y opencv-python {' '.join(others)} && pip install opencv-python",
        )


def letters() -> Iterator[Finding]:
    """Whether sheets and charts have a font."""
    from PIL import features

    if not features.check("freetype2"):
        what = "Pillow has no FreeType, and without it sheets and charts no letters"
        yield Finding("fault", what, "pip install --force-reinstall pillow")


def extras() -> Iterator[Finding]:
    """What else can be had."""
    for extra, use in EXTRAS.items():
        if any(_version(each.name) is None for each in wanted(extra)):
            yield Finding("note", f"not installed: {use}", f"pip install 'mmaif[{extra}]'")


def cores() -> Iterator[Finding]:
    """Cores and memory that this process may use."""
    count, whole = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, os.cpu_count() or 1
    of_all = f" of {whole}" if count != whole else ""
    yield Finding("ok", f"{count} core{'s' * (count != 1)}{of_all}, {memory() / 2**30:.1f} GiB of memory")
    allowed = quota()
    if allowed is not None and allowed < count - 0.5:
        yield Finding(
            "note",
            f"this container may use {allowed:.3g} cores at a time, and as many processes as cores are started",
            f"--workers {max(1, round(allowed))}",
        )


def memory() -> float:
    """Bytes that there are in all, or that a container may use."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    limit = _control("memory.max").split()
    return min(pages * size, float(limit[0]) if limit and limit[0] != "max" else float("inf"))


def quota() -> float | None:
    """Cores that a container may use at a time; None where nothing bounds it."""
    parts = _control("cpu.max").split()
    return float(parts[0]) / float(parts[1]) if len(parts) == 2 and parts[0] != "max" else None


def _control(name: str) -> str:
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii")
    except OSError:
        return ""


def room() -> Iterator[Finding]:
    """Disk here, where shards go unless they are told where, and in the folder for temporary files."""
    for name, place in {"here": Path.cwd(), "for temporary files": Path(tempfile.gettempdir())}.items():
        free = shutil.disk_usage(place).free
        if free < LEAST_DISK:
            cure = "--out on another disk" if name == "here" else "TMPDIR=… on another disk"
            yield Finding("fault", f"{free / 2**30:.1f} GiB of disk left {name}, which shards soon fill", cure)
        else:
            yield Finding("ok", f"{free / 2**30:.0f} GiB of disk {name}")


def self_test() -> Iterator[Finding]:
    """Samples of a recipe that ships, each made twice: the same bytes, and how fast."""
    begun = time.perf_counter()
    try:
        import synth.dataset.generate  # with all that writes shards  # noqa: F401
        from synth.degradations.imgaug_shim import load_imgaug
        from synth.recipe.file import find_recipe, load_recipe
        from synth.sample.plan import make_plan
        from synth.sample.render import render

        load_imgaug()
        plan = make_plan(load_recipe(find_recipe(RECIPE)))
        render(plan, 0)
        loaded = time.perf_counter()
        first = [_bytes(render(plan, index)) for index in range(TRIED)]
        took = time.perf_counter() - loaded
        again = [_bytes(render(plan, index)) for index in range(TRIED)]
    except Exception as error:  # whatever it is, the tool does not work here
        yield Finding("fault", f"self-test: {RECIPE} cannot be made ({told(error)})", cure_of(error))
        return
    if first != again:
        yield Finding("fault", f"self-test: two renderings of {RECIPE} differ; please report it")
        return
    yield Finding(
        "ok",
        f"self-test: {TRIED} samples of {RECIPE} made twice, the same bytes, {TRIED / took:.0f} a second on one core "
        f"({time.perf_counter() - begun:.1f} s in all)",
    )


def _bytes(sample: "Sample") -> tuple[bytes, bytes, bytes, str]:
    return sample.a.tobytes(), sample.b.tobytes(), sample.target.tobytes(), repr(sample.record)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
