"""What the pictures of a record show, in one neutral sentence: what someone would ask who wants all of it gone."""

from collections.abc import Mapping, Sequence
from typing import Any

from synth.degradations.base import REGISTRY
from synth.instructions.grammar import MOST_NAMED
from synth.instructions.phrases import NEUTRAL, PLACES, phrase
from synth.scene.capture import IMAGES


def describe(record: Mapping[str, Any]) -> str:
    """The neutral sentence for a record (shards/FORMAT.md), whatever its own instruction asks of it.

    It names the effects in the order in which they fell, the first three of them, and where one is that is in one image
    alone: "remove the haze and remove the noise in the second image and fuse the images". What is said alike, as both
    kinds of noise are, is said once; an effect of no severity is not there. Raises KeyError where it is no record.
    """
    said: dict[str, set[str]] = {}
    for entry in record["degradations"]:
        if entry["severity"] != 0:
            said.setdefault(_clause(entry), set()).add(entry["image"])
    named = [text.format(s="", w=_where(images)) for text, images in list(said.items())[:MOST_NAMED]]
    if not named:
        return _text("clean")
    return _text("wrapped").format(work=_joined(named))


def _clause(entry: Mapping[str, Any]) -> str:
    effect = REGISTRY.get(entry["effect"])
    name, way = entry["effect"] if effect is None else effect.said_as, entry.get("way")
    for known in (f"{name}.{way}", name):
        if known in NEUTRAL:
            return _text(known)
    return f"remove the {str(name).replace('_', ' ')}{{w}}"


def _where(images: set[str]) -> str:
    return f" {PLACES[IMAGES.index(min(images))][0]}" if len(images) == 1 else ""


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else str(phrase(f"join.{len(parts)}.01")).format(*parts)


def _text(name: str) -> str:
    return str(phrase(NEUTRAL[name]))
