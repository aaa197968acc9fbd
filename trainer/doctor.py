"""`trainer doctor`: what of this machine the trainer needs, what is there, and the command that brings what is not."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from packaging.requirements import Requirement

Level = Literal["ok", "note", "fault"]

EXTRA = "trainer"
OURS = ("torch", "diffusers", "transformers", "sentence-transformers", "safetensors", "numpy", "opencv-python")
"""Packages whose versions are told; of the others only what does not fit."""
EXTRAS = {
    "app": "the page (trainer app)",
    "export": "ONNX files (trainer export)",
    "quality": "BRISQUE in trainer evaluate",
    "board": "TensorBoard (run.tensorboard)",
    "heif": "HEIC pictures",
    "s3": "s3:// addresses",
}
"""Extras of the package that the trainer takes, and what for."""
PACKAGES = {"cv2": "opencv-python", "PIL": "pillow", "yaml": "PyYAML", "sentence_transformers": "sentence-transformers"}
"""Packages whose modules are called otherwise."""
LEAST_DISK = 2**30
"""Bytes below which a disk is nearly full."""
LEAST_SHARED = 2**28
"""Bytes of shared memory below which processes that read shards for a run fail; containers often have 64 MiB."""
SHARED = Path("/dev/shm")
NVIDIA = Path("/proc/driver/nvidia/version")
"""There where the driver of a GPU is loaded."""
WEIGHTS = "release"
PROMPT = "remove the haze and fuse them"
NEAR = 0.1
"""How far the self-test's picture may lie from the scene on average, of 1; haze alone is .25 away from it."""


class Finding(NamedTuple):
    """What was looked at. cure: a command, where one helps."""

    level: Level
    text: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.level:<6}{self.text}" + (f": {self.cure}" if self.cure else "")


def findings() -> Iterator[Finding]:
    """One after another, the self-test last; a fault is what keeps the trainer from working as it should."""
    yield Finding("ok", f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (packages, extras, cores, gpu, room, self_test)
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
        yield Finding("note", "not installed by pip, so that versions are not compared", "pip install '.[trainer]'")
        return
    there: dict[str, str] = {}
    for each in (*wanted(), *wanted(EXTRA)):
        found = _version(each.name)
        if found is None or not each.specifier.contains(found, prereleases=True):
            what = "is not installed" if found is None else f"{found} does not fit"
            yield Finding("fault", f"{each.name} {what}", f"pip install '{each.name}{each.specifier}'")
        else:
            there[each.name] = found
    yield Finding("ok", ", ".join(f"{name} {there[name]}" for name in OURS if name in there))


def wanted(extra: str = "") -> list[Requirement]:
    """What the package asks for by itself, or for an extra alone."""
    from packaging.requirements import Requirement

    try:
        known = [Requirement(text) for text in requires("mmaif") or ()]
    except PackageNotFoundError:
        return []
    if not extra:
        return [each for each in known if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each for each in known if each.marker is not None and each.marker.evaluate({"extra": extra})]


def extras() -> Iterator[Finding]:
    """What else can be had."""
    for extra, use in EXTRAS.items():
        if any(_version(each.name) is None for each in wanted(extra)):
            yield Finding("note", f"not installed: {use}", f"pip install 'mmaif[{extra}]'")


def cores() -> Iterator[Finding]:
    """Cores and memory that this process may use, and in what the processor computes."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{count} core{'s' * (count != 1)}, {memory() / 2**30:.1f} GiB of memory"
    if "torch" in sys.modules or _version("torch") is not None:
        try:
            import torch

            text += f", {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
        except (ImportError, OSError):
            pass  # what comes next tells
    yield Finding("ok", text)


def memory() -> float:
    """Bytes that there are in all, or that a container may use."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        limit = "max"
    return min(pages * size, float("inf") if limit == "max" else float(limit))


def gpu() -> Iterator[Finding]:
    """GPUs that torch sees, and why it sees none where there is one."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("fault", f"torch cannot be loaded ({error})", "pip install --force-reinstall torch")
        return
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            of_it = torch.cuda.get_device_properties(number)
            bf16 = "" if torch.cuda.is_bf16_supported(False) else ", no bf16: --set training.precision=fp32"
            yield Finding("ok", f"GPU {number}: {of_it.name}, {of_it.total_memory / 2**30:.0f} GiB{bf16}")
    elif NVIDIA.exists() and torch.version.cuda is None:
        cure = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
        yield Finding("note", f"a GPU's driver is there, and torch {torch.__version__} is a build for CPUs", cure)
    elif NVIDIA.exists():
        what = (
            f"a GPU's driver is there, and torch, built for CUDA {torch.version.cuda}, cannot use it (an old driver?)"
        )
        yield Finding("note", what, "nvidia-smi")
    else:
        yield Finding("note", "no GPU that torch can use: fusing takes seconds a picture, training days")


def room() -> Iterator[Finding]:
    """Disk here, where runs go unless they are told where, and memory that processes share."""
    for name, place in {"here": Path.cwd(), "for temporary files": Path(tempfile.gettempdir())}.items():
        free = shutil.disk_usage(place).free
        if free < LEAST_DISK:
            cure = "--out on another disk" if name == "here" else "TMPDIR=… on another disk"
            yield Finding("fault", f"{free / 2**30:.1f} GiB of disk left {name}, which checkpoints soon fill", cure)
        else:
            yield Finding("ok", f"{free / 2**30:.0f} GiB of disk {name}")
    if SHARED.is_dir() and (shared := shutil.disk_usage(SHARED).total) < LEAST_SHARED:
        what = f"{shared / 2**20:.0f} MiB of shared memory, too little for processes that read shards"
        yield Finding("note", what, "docker run --shm-size 4g …, or --set run.workers=0")


def self_test() -> Iterator[Finding]:
    """A made pair in haze, fused by the weights that ship, under a sentence: near the scene, and how fast."""
    begun = time.perf_counter()
    try:
        import numpy as np

        from trainer.inference.fuser import Fuser

        fuser = Fuser.from_pretrained(WEIGHTS, "cpu")
        scene, near, far = hazy_pair()
        loaded = time.perf_counter()
        fused = fuser(near, far, PROMPT)
        took = time.perf_counter() - loaded
        away = float(np.abs(fused.astype(np.float32) - scene).mean()) / 255
    except Exception as error:  # whatever it is, the trainer does not work here
        yield Finding("fault", f"self-test: {told(error)}", cure_of(error))
        return
    if not away < NEAR:
        yield Finding(
            "fault", f"self-test: the fused picture is {away:.2f} away from the scene, {NEAR} at most is right"
        )
        return
    yield Finding(
        "ok",
        f"self-test: a pair of 256 px fused by the weights that ship in {took:.1f} s on the CPU, loaded in "
        f"{loaded - begun:.1f} s",
    )


def hazy_pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A made scene, float32 in [0, 255], and two exposures of it in haze, uint8; all (256, 256, 3)."""
    import numpy as np

    y, x = np.mgrid[0:1:256j, 0:1:256j]
    tiles = 0.25 + 0.5 * ((np.floor(8 * x) + np.floor(8 * y)) % 2)
    scene = np.stack([tiles * (0.6 + 0.4 * x), tiles, tiles * (0.6 + 0.4 * y)], axis=2)
    hazy = (scene**2.2 * 0.45 + 0.8 * 0.55) * np.array([0.4, 1.2])[:, None, None, None]
    dark, bright = (255 * np.clip(hazy, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return (255 * scene).astype(np.float32), dark, bright


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
