"""The house: who may import whom, and how much a function may ask for."""

from __future__ import annotations

import ast

from tests.conftest import ROOT

ROOMS = [
    *("errors", "files", "schema", "pretrained", "device"),
    *("frozen", "model", "data", "objectives", "config"),
    *("inference", "evaluation", "training", "autoencoder", "cli"),
]
"""Each imports from those before it and from itself alone."""
MOST_ARGUMENTS = 6


def files() -> dict[str, ast.Module]:
    """Every module of the trainer but the two at its door, by its dotted name."""
    found = {}
    for path in sorted((ROOT / "trainer").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] not in ("__init__", "__main__"):
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imported(tree: ast.Module) -> list[str]:
    """What a module imports of the trainer, inside functions too, and for types alone."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "trainer":
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.split(".")[0] == "trainer"]
    return names


def test_rooms_import_one_way() -> None:
    wrong = []
    for name, tree in files().items():
        here = ROOMS.index(name.split(".")[1])
        for other in imported(tree):
            room = other.split(".")[1] if "." in other else ""
            if room in ROOMS and ROOMS.index(room) > here:
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_modules_import_each_other_in_no_circle() -> None:
    modules = files()
    packages = {name.removesuffix(".__init__") for name in modules if name.endswith(".__init__")}
    graph = {
        name.removesuffix(".__init__"): {
            other for other in imported(tree) if other in modules or (other in packages and other not in name)
        }
        for name, tree in modules.items()
    }
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way, name))
        if name not in done:
            for other in sorted(graph.get(name, ())):
                walk(other, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_a_function_asks_for_six_things_at_most_or_says_why() -> None:
    long = []
    for name, tree in files().items():
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            command = any("command" in ast.unparse(mark) for mark in node.decorator_list)
            wanted = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([argument for argument in wanted if argument.arg not in ("self", "cls")])
            if count > MOST_ARGUMENTS and not command:
                long.append(f"{name}.{node.name}: {count}")
    # config.json of a diffusers model holds the arguments of its constructor, so they cannot be bundled
    assert long == ["trainer.autoencoder.network.__init__: 8", "trainer.model.dit.__init__: 8"]


def test_every_room_is_listed() -> None:
    paths = (ROOT / "trainer").iterdir()
    there = {path.stem for path in paths if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__", "__main__"} == set(ROOMS)
