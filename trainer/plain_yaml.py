"""YAML as people mean it: PyYAML's safe loader without its traps, and the dumper that fits it.

A key that stands twice is refused with both lines, wherever anchors and merges put it. `1e-3` is a number, as in YAML
1.2 and JSON. What YAML 1.1 reads as another number than it says is refused: 010 (8) and 1:30 (90).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

FLOAT = "tag:yaml.org,2002:float"
EXPONENT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+")
"""Numbers that YAML 1.1 takes for text, besides those that it knows: no dot, or no sign in the exponent."""
TRAPS = {
    re.compile(r"[-+]?0[0-7_]+"): "YAML reads it as octal; write the number without the leading zero",
    re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"): "YAML counts it by sixties; write one number, "
    "or put it in quotes",
}
"""Numbers that are not what they look like."""


def load(data: bytes | str) -> Any:
    """The one document of a text, or of bytes in UTF-8 or, with a byte-order mark, UTF-16; None of an empty one.

    Raises ValueError in one line, with the line of the text where it is known.
    """
    try:
        return yaml.load(data, _Loader)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_told(error)) from None
    except yaml.reader.ReaderError as error:
        raise ValueError(f"character {error.position}: {error.reason}") from None


def dump(values: Any) -> str:
    """A document that `load` reads back, and so does any loader of YAML; keys in their order."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False))


class _Loader(yaml.SafeLoader):
    def get_single_node(self) -> yaml.Node | None:
        # before anything is made of it: to make a mapping of merges PyYAML writes them into its node
        root = super().get_single_node()
        for node in _nodes(root):
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
            elif isinstance(node, yaml.ScalarNode) and node.tag in ("tag:yaml.org,2002:int", FLOAT):
                _check_number(node)
        return root


class _Dumper(yaml.SafeDumper):
    """Puts a text in quotes that the loader would take for a number."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(FLOAT, re.compile(f"^(?:{EXPONENT.pattern})$"), list("-+.0123456789"))


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Each node of a document once, in no order."""
    found, waiting = set[int](), [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if id(node) in found:
            continue
        found.add(id(node))
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _check_keys(mapping: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line = (key.tag, key.value), key.start_mark.line + 1
        if name in lines:
            where = f"line {line}" if lines[name] == line else f"lines {lines[name]} and {line}"
            way_out = "merge several as <<: [*a, *b]" if key.value == "<<" else "leave one of them"
            said = f"{where}: {key.value} stands twice; {way_out}"
            raise yaml.constructor.ConstructorError(None, None, said, None)
        lines[name] = line


def _check_number(scalar: yaml.ScalarNode) -> None:
    for trap, told in TRAPS.items():
        if trap.fullmatch(scalar.value):
            raise yaml.constructor.ConstructorError(None, None, f"{scalar.value}: {told}", scalar.start_mark)


def _told(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    if "'\\t'" in problem:
        problem = "a tab, and YAML indents by spaces"
    return problem if mark is None else f"line {mark.line + 1}: {problem}"
