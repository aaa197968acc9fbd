"""`trainer doctor` says what a machine lacks, and what brings it."""

from __future__ import annotations

import shutil
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer import doctor
from trainer.doctor import Finding

Usage = namedtuple("Usage", ["total", "used", "free"])
GIB = 2**30


def without(monkeypatch: pytest.MonkeyPatch, *names: str, **others: str) -> None:
    """Packages are not there; others are, in another version."""
    known = doctor.version

    def version(name: str) -> str:
        if name in names:
            raise PackageNotFoundError(name)
        return others[name] if name in others else known(name)

    monkeypatch.setattr(doctor, "version", version)


def test_a_machine_that_has_all_is_sound(trainer_main):
    code, said, _ = trainer_main("doctor")
    assert code == 0
    lines = said.splitlines()
    assert "fused by the weights that ship" in lines[-1]
    assert not [line for line in lines if line.startswith("fault")]


def test_an_extra_that_lacks_is_a_note_with_its_command(monkeypatch):
    without(monkeypatch, "tensorboard")
    found = Finding("note", "not installed: TensorBoard (run.tensorboard)", "pip install 'mmaif[board]'")
    assert found in list(doctor.extras())


def test_packages_that_lack_or_are_old_are_faults(monkeypatch):
    without(monkeypatch, "diffusers", torch="2.5.1")
    faults = [str(found) for found in doctor.packages() if found.level == "fault"]
    assert sorted(faults) == [
        "fault diffusers is not installed: pip install 'diffusers>=0.38'",
        "fault torch 2.5.1 does not fit: pip install 'torch>=2.11'",
    ]


def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool, cuda: str | None, usable: int = 0) -> None:
    """A machine with or without the driver of a GPU, and a torch for CPUs or for CUDA."""
    (tmp_path / "version").touch() if there else None
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path / "version")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(usable))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: usable)
    card = namedtuple("Card", ["name", "total_memory"])("H100", 80 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: card)


def test_a_gpu_is_named_and_one_that_is_not_used_is_told_why(monkeypatch, tmp_path):
    driver(monkeypatch, tmp_path, there=False, cuda=None)
    assert [found.text.partition(":")[0] for found in doctor.gpu()] == ["no GPU that torch can use"]
    driver(monkeypatch, tmp_path, there=True, cuda=None)
    (found,) = doctor.gpu()
    assert "is a build for CPUs" in found.text
    assert found.cure.startswith("pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu")
    driver(monkeypatch, tmp_path, there=True, cuda="13.0")
    assert [found.cure for found in doctor.gpu()] == ["nvidia-smi"]
    driver(monkeypatch, tmp_path, there=True, cuda="13.0", usable=2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: False)
    assert [str(found) for found in doctor.gpu()] == [
        f"ok    GPU {number}: H100, 80 GiB, no bf16: --set training.precision=fp32" for number in range(2)
    ]


def test_no_torch_is_a_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [found.level for found in doctor.gpu()] == ["fault"]


def test_a_full_disk_and_little_shared_memory_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda *_: Usage(2**26, 0, 2**26))
    here, temporary, shared = doctor.room()
    assert {here.level, temporary.level} == {"fault"}
    assert str(shared).startswith("note  64 MiB of shared memory")
    assert "--shm-size" in shared.cure


def test_a_picture_that_is_wrong_and_weights_that_are_none_are_faults(monkeypatch, trainer_main):
    class Grey:
        def __call__(self, *_: object) -> np.ndarray:
            return np.full((256, 256, 3), 255, np.uint8)

    monkeypatch.setattr("trainer.inference.fuser.Fuser.from_pretrained", lambda *_: Grey())
    (found,) = doctor.self_test()
    assert "away from the scene" in found.text
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "WEIGHTS", "nowhere")
    code, said, _ = trainer_main("doctor")
    assert code == 1
    assert said.splitlines()[-1].startswith("fault self-test: UserError: --weights nowhere")


def test_a_library_that_torch_lacks_is_a_fault_and_the_rest_is_told(monkeypatch):
    def broken() -> None:
        raise OSError("libcublas.so.12: cannot open shared object file")

    monkeypatch.setattr(doctor, "gpu", broken)
    monkeypatch.setattr(doctor, "self_test", lambda: iter([Finding("ok", "self-test")]))
    told = [str(found) for found in doctor.findings()]
    assert any(line.startswith("fault broken: OSError: libcublas") for line in told)
    assert told[-1] == "ok    self-test"
