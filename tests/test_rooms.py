"""The house: which rooms there are, and that imports go one way through them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

SYNTH = (
    *(
        "errors",
        "text",
        "paths",
        "usage",
        "streams",
        "storage",
        "images",
        "scene",
        "degradations",
        "targets",
        "tasks",
        "instructions",
        "pairs",
    ),
    *("recipe", "sample", "dataset", "engines", "options", "console", "audit", "doctor", "cli"),
)
"""The rooms of synth, in order: each may import those before it."""
TRAINER = (
    *(
        "addresses",
        "errors",
        "usage",
        "console",
        "plain_yaml",
        "files",
        "locks",
        "schema",
        "pretrained",
        "device",
        "stopping",
        "similarity",
        "frozen",
        "model",
        "data",
        "objectives",
        "config",
    ),
    *("inference", "page", "evaluation", "training", "encoding", "autoencoder", "doctor", "cli"),
)
"""The same of trainer."""


def modules(package: str) -> dict[str, Path]:
    """The modules of a package by name; a package's own file under the package's name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a module imports: at its top, inside functions, and for types alone."""
    package = name.split(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def room_of(name: str) -> str | None:
    """The room of a module; None for the package's own face, which stands above all rooms."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


@pytest.mark.parametrize(("package", "rooms"), [("synth", SYNTH), ("trainer", TRAINER)])
def test_imports_go_one_way_from_room_to_room(package, rooms):
    known = modules(package)
    assert {room_of(name) for name in known} - {None} == set(rooms), "every room has its place in the list"
    for name, path in known.items():
        room = room_of(name)
        for other in imports(name, path, known) if room else ():
            there = room_of(other)
            assert there is not None, f"{name} imports the face of {package}"
            assert rooms.index(there) <= rooms.index(room), f"{name} imports {other}, which stands above it"


@pytest.mark.parametrize("package", ["synth", "trainer"])
def test_no_circle_of_imports(package):
    known = modules(package)
    graph = {name: {other for other in imports(name, path, known) if other != name} for name, path in known.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(("package", "without"), [("synth", ("torch", "trainer")), ("trainer", ("synth",))])
def test_a_program_does_not_know_the_other(package, without):
    for path in modules(package).values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & set(without), path


def test_synth_never_loads_torch():
    """Nor does what it imports: all of its modules, in a process of their own."""
    names = [name for name in modules("synth") if not name.endswith("__main__")]
    code = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_room_but_the_tasks_knows_a_task_by_name():
    """Built-in sources are each for one task; all else asks the registry."""
    from synth.tasks import TASKS

    for name, path in modules("synth").items():
        if room_of(name) == "tasks" or name == "synth.pairs.builtin":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in TASKS, f"{name}:{node.lineno} names {node.value}"
