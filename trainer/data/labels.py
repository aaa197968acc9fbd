"""What the effect head is to find: the effects in a sample's record, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

IMAGES = ("a", "b")
LEAST = 1e-3
"""Severity from which an effect counts as there."""


def labels_of(record: Mapping[str, Any], effects: Sequence[str]) -> Tensor:
    """(2, E) float32, for a and b: 0 where an effect is absent, its severity in (0, 1] where it is there, NaN where it
    is there and was drawn in physical units.

    effects: names as records have them (`haze`), or with the way in which an effect went wrong (`exposure.dark`). What
    a record has besides them is passed over.
    """
    found = torch.zeros(2, len(effects))
    if not effects:
        return found
    for entry in record.get("degradations", ()):
        name, way, severity = entry["effect"], entry.get("way"), entry["severity"]
        for known in (name, f"{name}.{way}"):
            if known in effects and (severity is None or severity >= LEAST):
                place = IMAGES.index(entry["image"]), effects.index(known)
                found[place] = float("nan") if severity is None else severity
    return found
