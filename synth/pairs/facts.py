"""What a person says of a pair beside its pictures: `pair.yaml` in its folder, or a column of a manifest."""

from typing import Any

import yaml

from synth.errors import UnreadableError, hint, in_one_line
from synth.images.headers import File

NAME = "pair.yaml"
KNOWN = ("indoor",)
MOST_BYTES = 4096
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""For cells of a CSV file."""


def read_facts(file: File) -> dict[str, bool]:
    """What a `pair.yaml` says: `indoor: true`. Raises ValueError with the key, the value and the rule."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        said = yaml.safe_load(data.decode("utf-8")) if len(data) <= MOST_BYTES else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError, UnreadableError) as error:
        raise ValueError(f"{NAME}: cannot be read: {in_one_line(error, 120)}") from None
    if not isinstance(said, dict):
        raise ValueError(f"{NAME}: holds no `key: value` (in {MOST_BYTES} bytes)")
    unknown = [key for key in said if key not in KNOWN]
    if unknown:
        raise ValueError(f"{NAME}: {unknown[0]}: unknown key{hint(unknown[0], KNOWN)}")
    return {key: truth(f"{NAME}: {key}", value) for key, value in said.items()}


def truth(what: str, value: Any) -> bool:
    """A yes or no, as YAML, parquet or CSV has it. Raises ValueError."""
    found = value if isinstance(value, bool) else WORDS.get(str(value).removesuffix(".0").lower())
    if found is None:
        raise ValueError(f"{what}: {value!r} must be true or false")
    return found
