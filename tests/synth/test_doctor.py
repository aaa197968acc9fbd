"""`synth doctor` says what a machine lacks, and what brings it."""

import os
import shutil
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError

import pytest
from PIL import features
from typer.testing import CliRunner

from synth import doctor
from synth.cli import app
from synth.doctor import Finding

Usage = namedtuple("Usage", ["total", "used", "free"])
GIB = 2**30


def without(monkeypatch: pytest.MonkeyPatch, *names: str, **others: str) -> None:
    """Packages are not there; others are, in another version."""
    known = doctor.version
    others = {name.replace("_", "-"): number for name, number in others.items()}

    def version(name: str) -> str:
        if name in names:
            raise PackageNotFoundError(name)
        return others[name] if name in others else known(name)

    monkeypatch.setattr(doctor, "version", version)


def test_a_machine_that_has_all_is_sound():
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok    Python 3.")
    assert "8 samples of mef_haze made twice, the same bytes" in lines[-1]
    assert not [line for line in lines if line.startswith("fault")]


def test_an_extra_that_lacks_is_a_note_with_its_command(monkeypatch):
    without(monkeypatch, "pillow-heif")
    assert list(doctor.extras()) == [Finding("note", "not installed: HEIC pictures", "pip install 'mmaif[heif]'")]


def test_packages_that_lack_or_are_old_are_faults(monkeypatch):
    without(monkeypatch, "simplejpeg", pyarrow="19.0")
    faults = [str(found) for found in doctor.packages() if found.level == "fault"]
    assert sorted(faults) == [
        "fault pyarrow 19.0 does not fit: pip install 'pyarrow>=23'",
        "fault simplejpeg is not installed: pip install 'simplejpeg>=1.8'",
    ]


def test_a_checkout_on_the_path_is_told_from_an_installation(monkeypatch):
    without(monkeypatch, "mmaif")
    assert [found.level for found in doctor.packages()] == ["note"]


def test_two_opencvs_and_one_that_does_not_load_are_faults(monkeypatch):
    without(monkeypatch, opencv_python_headless="5.0.0")
    (found,) = doctor.opencv()
    assert found.level == "fault"
    assert found.cure == "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python"
    monkeypatch.undo()

    class NoGL:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cv2":
                raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(sys, "meta_path", [NoGL(), *sys.meta_path])
    (found,) = doctor.opencv()
    assert found.cure == "apt-get install libgl1 libglib2.0-0"


def test_a_pillow_without_letters_is_a_fault(monkeypatch):
    assert list(doctor.letters()) == []
    monkeypatch.setattr(features, "check", lambda name: name != "freetype2")
    (found,) = doctor.letters()
    assert (found.level, found.cure) == ("fault", "pip install --force-reinstall pillow")


def test_a_full_disk_is_a_fault(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: Usage(90 * GIB, 89.5 * GIB, GIB / 2))
    here, temporary = doctor.room()
    assert str(here).startswith("fault 0.5 GiB of disk left here, which shards soon fill: --out")
    assert "TMPDIR" in temporary.cure


@pytest.mark.parametrize(
    ("files", "cores", "said"),
    [
        ({"cpu.max": "150000 100000", "memory.max": str(2 * GIB)}, 4, ["4 cores", "2.0 GiB of memory", "--workers 2"]),
        ({"cpu.max": "max 100000", "memory.max": "max"}, 1, ["1 core"]),
        ({}, 3, ["3 cores"]),
    ],
)
def test_a_containers_bounds_are_told(monkeypatch, files, cores, said):
    monkeypatch.setattr(doctor, "_control", lambda name: files.get(name, ""))
    monkeypatch.setattr(os, "sched_getaffinity", lambda *_: set(range(cores)), raising=False)
    text = "\n".join(map(str, doctor.cores()))
    assert all(part in text for part in said)
    assert ("--workers" in text) == ("--workers 2" in said)


def test_a_fault_is_exit_code_1(monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no such\nfile")

    monkeypatch.setattr("synth.sample.render.render", broken)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].startswith(
        "fault self-test: mef_haze cannot be made (RuntimeError: no such file)"
    )


def test_renderings_that_differ_are_a_fault(monkeypatch):
    numbers = iter(range(100))
    monkeypatch.setattr(doctor, "_bytes", lambda *_: next(numbers))
    (found,) = doctor.self_test()
    assert found.level == "fault"


def test_a_look_that_fails_is_a_fault_and_the_rest_is_told(monkeypatch):
    def broken() -> None:
        raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")

    monkeypatch.setattr(doctor, "opencv", broken)
    told = [str(found) for found in doctor.findings()]
    assert any(line.startswith("fault broken: ImportError: libGL") and line.endswith("libglib2.0-0") for line in told)
    assert told[-1].startswith("ok    self-test")


def test_the_package_that_cannot_be_loaded_is_named():
    assert doctor.cure_of(ImportError("x", name="skimage.data")) == "pip install --force-reinstall scikit-image"
    assert doctor.cure_of(ValueError("x")) == "pip install --force-reinstall mmaif"
    assert doctor.cure_of(AttributeError("x", name="sctypes")) == "pip install --force-reinstall mmaif"
