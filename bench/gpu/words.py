"""All that instructions can be made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

from synth.tasks import TASKS

PLACEHOLDER = re.compile(r"\{\w*\}")


def sentences() -> Iterator[str]:
    """Every phrase of phrases.yaml without its placeholders, and the tasks' own words: each word that `synth` can
    write, and the points that end its sentences."""
    text = (resources.files("synth.instructions") / "phrases.yaml").read_text(encoding="utf-8")
    for phrase in _leaves(yaml.safe_load(text)):
        yield PLACEHOLDER.sub(" ", phrase)
    for task in TASKS.values():
        for names in task.words.values():
            yield from names
    yield ". , ; : ? ! ' - ( )"


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value)
    else:
        yield str(node)
