"""Texts as editors, spreadsheets and language models leave them."""

import codecs
import re

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
