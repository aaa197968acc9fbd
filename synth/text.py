"""Texts as editors, spreadsheets and language models leave them."""

import codecs
import re
from typing import Any

import yaml

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""What a file may begin with, and what it is then written in."""


def text_of(data: bytes) -> str:
    """UTF-8 with or without a byte-order mark, or UTF-16 with one, which is left out. Raises ValueError."""
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{error.reason} at byte {error.start}; save it as UTF-8") from None
    if "\0" in text[:64]:
        raise ValueError("no text, or UTF-16 without a byte-order mark; save it as UTF-8")
    return text


def lines_of(text: str) -> list[str]:
    """As files count them: by LF, CR LF and CR alone. (`str.splitlines` takes U+2028 and others for ends too, which
    stand inside of sentences, as JSON may have them.) A byte-order mark where files were joined is left out."""
    lines = re.split(r"\r\n|\n|\r", text)
    return [line.removeprefix("\ufeff") for line in (lines if lines[-1] else lines[:-1])]


class YamlLoader(yaml.SafeLoader):
    """YAML's safe loader, to which `1e3` and `1e-3` are numbers, as in YAML 1.2 and JSON; YAML 1.1 takes them for text,
    since it wants a point, and a sign in the exponent."""


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def yaml_value(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError, ValueError."""
    return yaml.load(text, YamlLoader)
