"""Pairs by a user's own patterns of names: `vi/{scene}.png` and `ir/{scene}.png`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from synth.errors import UserError
from synth.pairs.layouts import Found, Listing, in_words
from synth.pairs.public_sets import Layout, Role
from synth.pairs.split import named_side
from synth.tasks import TASKS

FIELD = re.compile(r"\{(\w+)\}|(\*\*/|\*)|([^{*]+|\{)")


def by_patterns(patterns: Mapping[Role, str], names: Sequence[str], task: str) -> Listing:
    """The pairs of a user's own patterns: `vi/{scene}.png`. A `{field}` stands for any part of a name without a slash,
    and is the same for all images of a pair, `*` for what may differ, `**/` for folders; `{split}` names the side.

    Raises UserError where a pattern lacks {scene}, or no pair is found.
    """
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    twice = []
    fields: dict[str, list[str]] = {}
    for role, pattern in patterns.items():
        form, fields[role] = _compiled(role, pattern)
        for name in names:
            if (match := form.fullmatch(name)) is not None:
                key = tuple(match[at] for at in sorted(fields[role]))
                if groups.setdefault(key, {}).setdefault(role, name) != name:
                    twice.append(name)
    asked = {role: sorted(found) for role, found in fields.items()}
    if len({tuple(found) for found in asked.values()}) > 1:
        shown = "; ".join(f"--{role} has {', '.join(found)}" for role, found in asked.items())
        raise UserError(f"the patterns have different fields ({shown}): each is the same for all images of a pair")
    order = asked["a"]
    matched = Counter(role for files in groups.values() for role in files)
    pairs: list[Found] = []
    alone: dict[str, list[str]] = {"a": [], "b": []}
    for key, files in sorted(groups.items()):
        if "a" not in files or "b" not in files:
            for role in ("a", "b"):
                alone[role] += [files[role]] if role in files else []
            continue
        values = dict(zip(order, key, strict=True))
        side = values.pop("split", None)
        split = None if side is None else named_side(side)
        if side is not None and split is None:
            raise UserError(f"{files['a']}: split {side!r}; it is train, val or test")
        roles: dict[Role, str] = {role: files[role] for role in patterns if role in files}
        scene = values.pop("scene")
        parts = [*([] if side is None else [side]), *values.values(), scene]
        pairs.append(Found("_".join(map(in_words, parts)), roles, split))
    pairs.sort(key=lambda pair: pair.scene)
    if not pairs:
        counts = ", ".join(f"--{role} {pattern!r} {matched[role]}" for role, pattern in patterns.items())
        raise UserError(f"no pair: of {len(names)} images, {counts}, and none have equal fields")
    remarks = (f"{len(twice)} images whose fields are those of another: {twice[0]}",) if twice else ()
    first, second = TASKS[task].capture.modalities.values()
    layout = Layout("patterns", (first, second), "names", {}, " + ".join(patterns.values()))
    return Listing(layout, tuple(pairs), {role: tuple(names) for role, names in alone.items() if names}, remarks)


def _compiled(role: str, pattern: str) -> tuple[re.Pattern[str], list[str]]:
    text, fields = "", []
    for name, wild, plain in FIELD.findall(pattern.removeprefix("./")):
        if name and name in fields:
            text += f"(?P={name})"
        elif name:
            fields.append(name)
            text += f"(?P<{name}>[^/]+)"
        else:
            text += {"**/": "(?:.+/)?", "*": "[^/]*"}.get(wild, re.escape(plain))
    if "scene" not in fields:
        raise UserError(f"--{role} {pattern!r}: no {{scene}} in it, which tells one pair from another")
    try:
        return re.compile(text, re.IGNORECASE), fields
    except re.error as error:
        raise UserError(f"--{role} {pattern!r}: no pattern: {error}") from None
