"""No document names a command, an option or a key that does not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from synth.recipe.schema import Recipe
from tests.conftest import ROOT
from trainer.config import Config

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "shards").glob("*.md"),
        *(ROOT / "trainer/weights").glob("*/README.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
NUMBERS = {"N": "4"}
"""What stands for a number in documents, and what is given for it here."""
RECKONED = re.compile(r"\$\(\(.*?\)\)")
TRAINER = re.compile(r"^(?:\w+=\S+ )*torchrun .*? -m (?=trainer )")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def program(called: str) -> Any:
    from typer.main import get_command

    if called == "synth":
        from synth.cli import app
    else:
        from trainer.cli import app
    return get_command(app)


def lines(path: Path) -> Iterator[tuple[str, bool]]:
    """Commands of a document, and whether they stand whole: in blocks of the shell they do, in sentences not always."""
    text = path.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in ("bash", "sh", "console"):
            block = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block, flags=re.MULTILINE | re.DOTALL).replace("\\\n", " ")
            for line in block.splitlines():
                for part in re.split(r" && | \|\| | \| |; ", line):
                    yield re.sub(r"^\$ ", "", part.strip()), True
    for code in CODE.findall(FENCE.sub("", text)):
        yield code.strip(), False


def words(line: str) -> list[str] | None:
    """A command of either program in words, what stands for something filled; None where it is another's."""
    line = TRAINER.sub("", RECKONED.sub("1", line))
    line = re.sub(r"^(?:python -m |\.venv/bin/|\$\(BIN\)/)(?=synth |trainer )", "", line)
    if not re.match(r"(synth|trainer) [a-z]", line):
        return None
    try:
        split = shlex.split(line, comments=True)
    except ValueError:  # an apostrophe of the sentence
        return None
    cut = next((at for at, word in enumerate(split) if word in (">", "2>&1", "&")), len(split))
    return [NUMBERS.get(word, word) for word in split[:cut]]


def fault(line: str, whole: bool) -> str | None:
    """What is wrong with a command; None where nothing is, or it is no command of ours.

    whole: whether all that it needs must be there. Else the names of its options alone are looked at.
    """
    split = words(line)
    if split is None:
        return None
    command, rest = program(split[0]), split[1:]
    while (inner := getattr(command, "commands", None)) is not None:
        if not rest or rest[0] not in inner:
            return f"no command {' '.join(split[:2])}"
        command, rest = inner[rest[0]], rest[1:]
    options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
    unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options]
    if unknown:
        return f"no option {unknown[0]}"
    if whole and "--help" not in rest:
        try:
            command.make_context(split[0], rest)
        except Exception as error:
            if not hasattr(error, "format_message"):
                return str(error)
            return str(error.format_message())
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_of_a_document_are_taken(path):
    told = {line: found for line, whole in lines(path) if (found := fault(line, whole))}
    assert told == {}


def test_what_does_not_exist_is_found():
    assert fault("synth generate --recipie x", True) == "no option --recipie"
    assert fault("trainer tune --shards x", False) == "no command trainer tune"
    assert "--recipe" in str(fault("synth generate --limit 3", True))
    assert fault("synth generate --limit 3", False) is None
    assert "--limit" in str(fault("synth generate --recipe x --limit many", True))
    assert fault("torchrun --nproc-per-node 2 -m trainer train --shard x", True) == "no option --shard"
    count = sum(words(line) is not None for path in DOCUMENTS for line, _ in lines(path))
    assert count > 150, "documents are no longer read"


SETTING = re.compile(r"--set '?([\w.]+)=([^\s'`]*)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_settings_of_a_document_are_keys_of_a_config(path):
    schema = Config.model_json_schema()
    for key, _ in SETTING.findall(path.read_text(encoding="utf-8")):
        if key != "KEY":
            assert reached(schema, schema, key.split(".")), f"--set {key}"


def reached(schema: dict[str, Any], at: dict[str, Any], keys: list[str]) -> bool:
    """Whether keys lead somewhere in a schema."""
    if "$ref" in at:
        at = schema["$defs"][at["$ref"].rpartition("/")[2]]
    choices = at.get("anyOf", []) + at.get("oneOf", [])
    if not keys or any(reached(schema, choice, keys) for choice in choices):
        return True
    return keys[0] in at.get("properties", {}) and reached(schema, at["properties"][keys[0]], keys[1:])


OWN = ("vignette", "side_by_side", "medical")
"""What examples bring with them."""


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_recipes_of_a_document_are_taken(path):
    """Whole ones, with a name; of what a reader brings himself it is not known here."""
    for language, block in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "yaml" and re.search(r"^name: ", block, re.MULTILINE) and not any(own in block for own in OWN):
            Recipe.model_validate(yaml.safe_load(block))
