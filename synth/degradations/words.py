"""An effect's parameters as people read them: "visibility 1.1 km", not `visibility_m: 1093.2`."""

import math
from typing import Any

LARGE, SMALL_DIGITS, LARGE_DIGITS = 10.0, 2, 3
"""Below the first a number has so many digits that count, from it on none behind the point and so many before it."""
LARGER = {"m": ("km", 1000.0), "g": ("kg", 1000.0), "ms": ("s", 1000.0)}
"""Of a unit, the next one, and from how many on it takes over."""
SHARE = "share of "
MOST = 40  # characters of a stranger's word


def number(value: float) -> str:
    """A number for the eye: 1.1, 25, 212, 12,300; the exact one stands in the record."""
    if not math.isfinite(value):
        return "unlimited" if value == math.inf else str(value)
    digits = LARGE_DIGITS if abs(value) >= LARGE else SMALL_DIGITS
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= LARGE else f"{rounded:.{SMALL_DIGITS}g}"


def amount(value: float, unit: str) -> str:
    """A number and its unit: "1.1 km", "30 mm/h"; of a share, "12% of columns"."""
    if unit == "share" or unit.startswith(SHARE):
        return f"{number(100 * value)}% {unit.removeprefix('share').strip()}".rstrip()
    larger, many = LARGER.get(unit, ("", math.inf))
    if abs(value) >= many:
        value, unit = value / many, larger
    if unit == "degrees":
        return f"{number(value)}°"
    one = abs(value) == 1 and unit.endswith("s") and unit.isalpha()
    return f"{number(value)} {unit.removesuffix('s') if one else unit}".rstrip()


def spoken(key: str, unit: str = "") -> str:
    """A name in code as words: `read_noise`, and `visibility_m` of unit m as visibility."""
    return (key.removesuffix(f"_{unit}") if unit else key).replace("_", " ").strip() or key


def of_quantity(key: str, value: float, unit: str, choices: tuple[int, ...]) -> str:
    """What a quantity is, where its effect says nothing better: "radius 3 px", "1.2 stops", "shaken".

    unit: of two choices it may name both ("dark or bright"), and then the one that was taken is said.
    """
    names = unit.split(" or ")
    if len(names) == len(choices) == 2 and value in choices:
        return names[choices.index(int(value))]
    if unit == key:
        return f"{key} {number(value)}" if not key.endswith("s") else amount(value, unit)
    return f"{spoken(key, unit)} {amount(value, unit)}"


def as_number(value: Any) -> float | None:
    """A value of a record as a number; None where it is none, or too large for one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def of_any(key: str, value: Any) -> str:
    """A parameter of an effect that nobody here knows; nothing of a seed, and of what is no plain value."""
    if "seed" in key.lower() or not isinstance(value, str | int | float):
        return ""
    known = as_number(value)
    text = str(value) if known is None else number(known)
    return f"{spoken(key)[:MOST]} {text[:MOST]}"
