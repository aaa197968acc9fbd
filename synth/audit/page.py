"""Samples as one HTML page that needs nothing but itself: pictures, what was asked and what came of it, and filters.

All text comes from a dataset that may be a stranger's: it is escaped, pictures are PNG or JPEG or refused, and the
page's own policy lets no script run but the page's, and loads nothing from anywhere.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Literal, get_args

from synth.audit.shown import Shown
from synth.audit.told import FATES, KINDS, as_text, briefly, by_fate, extras, modality, named, seen_on, task_title
from synth.dataset.shards import CLEAN
from synth.dataset.stats import in_bytes
from synth.errors import UserError, with_kind
from synth.sample.record import MALFORMED, Entry, Record
from synth.scene.capture import IMAGES

SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
NAMES = {member: f"clean {name}" for name, member in CLEAN.items()}
Group = Literal["task", "kind", "effect", "outcome"]
GROUPS: tuple[Group, ...] = get_args(Group)
Line = Literal["key", "group", "phrases", "phrase_split", "absent", "seed"]
Detail = Literal["scene", "images", "crop", "target", "source"]  # parts of a record that are shown line by line
LINES: tuple[Line, ...] = get_args(Line)
DETAILS: tuple[Detail, ...] = get_args(Detail)
LONG = 48  # samples, from which on cards are laid out, and their pictures decoded, only as they come near
LAZY = ' loading="lazy" decoding="async"'
SCALES = {"fit": "fit", "1": "1×", "2": "2×", "4": "4×"}
KEYS = (
    ("← →", "sample", "the sample before or after"),
    ("↑ ↓", "picture", "one picture alone, then another, then all again"),
    ("+ −", "zoom", "larger, smaller"),
    ("1 2 4", "times native size", "so many times native size"),
    ("0", "fit", "as large as there is room"),
    ("Esc", "close", "back to the page"),
)
"""Of the view that a picture opens: the keys, and what they do, in short and in full."""


def page(title: str, about: str, samples: Sequence[Shown]) -> str:
    """The page. title, about: plain text. Raises UserError where a picture is none, or a record is malformed."""
    script, style = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    try:
        long = len(samples) > LONG
        articles = "\n".join(_article(siblings, long) for siblings in pairs(samples))
        filters = "\n".join(_filter(group, _counts(group, samples)) for group in GROUPS)
    except MALFORMED as error:
        raise UserError(
            f"{title}: a record as shards/FORMAT.md has none ({with_kind(error)}); run synth verify"
        ) from None
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    size = in_bytes(len(articles))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header class="top">
<h1>{escape(title)}</h1>
<p>{escape(" · ".join(filter(None, (about, f"this file has {size}"))))}</p>
{_help(samples)}
</header>
<nav aria-label="Filters"><div class="inner"><details class="filters" open><summary>Filters</summary><div>
{filters}
</div></details><p class="count"><output></output><button type="button" class="reset" hidden>Show all</button></p></div>
</nav>
<main{' class="long"' if long else ""}>
{articles}
<p class="none" hidden>No sample has all of that.</p>
</main>
{_view()}
<script>{script}</script>
</body>
</html>
"""


def pairs(samples: Iterable[Shown]) -> list[list[Shown]]:
    """Samples, those together that stand next to each other and show one degraded pair under several sentences."""
    found: list[list[Shown]] = []
    for sample in samples:
        if found and _siblings(found[-1][0], sample):
            found[-1].append(sample)
        else:
            found.append([sample])
    return found


def _siblings(one: Shown, other: Shown) -> bool:
    """Of one group, and as that promises with the same inputs."""
    same = all(one.pictures.get(name) == other.pictures.get(name) for name in IMAGES)
    return same and all(str(one.record[key]) == str(other.record[key]) for key in ("group", "task"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _help(samples: Sequence[Shown]) -> str:
    """How to read the page, behind a click: the keys, and the kinds of request that are on it."""
    present = {str(sample.record["kind"]) for sample in samples if "kind" in sample.record}
    keys = "".join(f"<dt><kbd>{keys}</kbd></dt><dd>{does}</dd>" for keys, _, does in KEYS)
    kinds = "".join(f"<dt>{kind}</dt><dd>{means}</dd>" for kind, means in KINDS.items() if kind in present)
    return f"""<p>A picture opens all pictures of its sample, to be zoomed and moved together.</p>
<details class="help"><summary>Keys, and what the words mean</summary>
<div><section><p><b>Keys, once a picture is open</b></p><dl>{keys}</dl>
<p>Drag or scroll to move, pinch or Ctrl and scroll to zoom.</p></section>
<section><p><b>Kinds of request</b></p><dl>{kinds}</dl></section></div></details>"""


def _view() -> str:
    scales = "".join(
        f'<button type="button" aria-pressed="false" data-scale="{scale}">{name}</button>'
        for scale, name in SCALES.items()
    )
    keys = " · ".join(f"<kbd>{keys}</kbd> {does}" for keys, does, _ in KEYS)
    return f"""<dialog aria-labelledby="view-title">
<div class="bar">
<button type="button" class="step" data-step="-1" aria-label="Sample before">‹</button>
<button type="button" class="step" data-step="1" aria-label="Sample after">›</button>
<p id="view-title" aria-live="polite"></p>
<div class="solo" role="group" aria-label="Picture"></div>
<div class="scale" role="group" aria-label="Zoom">{scales}</div>
<button type="button" class="close" aria-label="Close">×</button>
</div>
<div class="panes"></div>
<p class="keys">{keys}</p>
</dialog>"""


def _words(group: Group, record: Record) -> list[str]:
    """What a sample is found by."""
    if group == "effect":
        return list(dict.fromkeys(str(entry["effect"]) for entry in record["degradations"])) or ["none"]
    if group == "outcome":
        return list(by_fate(record)) or ["none"]
    return [str(record[group])]


def _counts(group: Group, samples: Iterable[Shown]) -> Counter[str]:
    return Counter(word for sample in samples for word in _words(group, sample.record))


def _filter(group: Group, counts: Counter[str]) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="false" data-group="{group}" data-word="{escape(word)}">'
        f"{escape(named(word) if group == 'effect' else word)} <small>{count}</small></button>"
        for word, count in sorted(counts.items())
    )
    return f'<fieldset><legend>{group}</legend><div class="words">{buttons}</div></fieldset>'


def _article(siblings: Sequence[Shown], lazy: bool) -> str:
    """A card. lazy: whether the browser leaves its pictures alone until they come near."""
    many = len(siblings) > 1
    data = "" if many else _found_by(siblings[0].record)
    numbers = f"sample{'s' * many}\u00a0{', '.join(str(sample.record['index']) for sample in siblings)}"
    return f"""<article{data} data-name="{escape(numbers)}"{' class="group"' if many else ""}>
{_of_siblings(siblings, numbers, lazy) if many else _of_one(siblings[0], numbers, lazy)}
<details class="record"><summary>Severities, seeds and the rest of the record</summary>
{"".join(_rest(sample, many) for sample in siblings)}
</details>
</article>"""


def _found_by(record: Record) -> str:
    """Attributes of a sample by which filters find it."""
    return "".join(f' data-{group}="{escape(json.dumps(_words(group, record)))}"' for group in GROUPS)


def _of_one(sample: Shown, number: str, lazy: bool) -> str:
    """A sentence, its pictures, and what it did."""
    record = sample.record
    pictures = "".join(_figure(name, sample, lazy) for name in (*IMAGES, "target", *NAMES) if name in sample.pictures)
    return f"""<h2>“{escape(str(record["instruction"]))}”</h2>
<p class="facts">{_facts(record, str(record["kind"]), number)}</p>
<div class="pictures">{pictures}</div>
{_fates(record)}"""


def _of_siblings(siblings: Sequence[Shown], numbers: str, lazy: bool) -> str:
    """A pair once, and beside it what each sentence makes of it."""
    first = siblings[0]
    inputs = "".join(_figure(name, first, lazy) for name in (*IMAGES, *NAMES) if name in first.pictures)
    targets = "".join(
        f"<section{_found_by(sample.record)}>{_figure('target', sample, lazy, f'target {number}')}"
        f"<h3>“{escape(str(sample.record['instruction']))}”</h3>{_fates(sample.record, brief=True)}</section>"
        for number, sample in enumerate(siblings, 1)
    )
    fell = seen_on(first.record)
    return f"""<h2>One pair, {len(siblings)} sentences</h2>
<p class="facts">{_facts(first.record, numbers)}</p>
{f'<p class="fell"><b>On the pair:</b> {escape(fell)}</p>' if fell else ""}
<div class="pictures"><div class="inputs">{inputs}</div>{targets}</div>"""


def _facts(record: Record, *more: str) -> str:
    return " · ".join(map(escape, (task_title(record), *more, str(record["source"]["scene"]))))


def _figure(name: str, sample: Shown, lazy: bool, label: str = "") -> str:
    """A picture that opens the view. label: what stands below it, if not its name."""
    record, data = sample.record, sample.pictures[name]
    mime = next((kind for magic, kind in SIGNATURES.items() if data.startswith(magic)), None)
    if mime is None:
        raise UserError(f"sample {record['key']}: {name} is neither PNG nor JPEG; run synth verify")
    height, width = (int(number) for number in record["size"])
    of = modality(record, name)
    told = _outcome(record, brief=bool(label)) if name == "target" else of
    label = label or NAMES.get(name, name)
    described = f"{label}{f', {of}' if of else ''}, sample {record['index']}"
    asked = f' data-asked="{escape(str(record["instruction"]))}"' if name == "target" else ""
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure class="{"target" if name == "target" else "input"}" data-label="{escape(label)}" '
        f'data-told="{escape(told)}"{asked}>'
        f'<button type="button" aria-label="Open {escape(described)}"><img src="data:{mime};base64,{encoded}" '
        f'width="{width}" height="{height}" alt="{escape(described)}"{LAZY if lazy else ""}></button>'
        f"<figcaption><b>{escape(label)}</b>{f' {escape(of)}' if of else ''}</figcaption></figure>"
    )


def _outcome(record: Record, brief: bool) -> str:
    """What became of what fell on a pair, in one line; what was kept first, as there may be no room for the rest."""
    some = briefly(record) if brief else {fate: map(str, some) for fate, some in reversed(by_fate(record).items())}
    return " · ".join(f"{fate}: {'; '.join(each)}" for fate, each in some.items()) or "nothing fell on this pair"


def _fates(record: Record, brief: bool = False) -> str:
    """What was removed, lessened and kept; what was kept is said of every sample. brief: without parameters."""
    found = {fate: list(map(str, some)) for fate, some in by_fate(record).items()}
    if brief:
        found = {fate: ["; ".join(briefly(record)[fate])] for fate in found}
    rows = [
        (fate if fate in FATES.values() else "other", fate, "".join(f"<span>{escape(one)}</span>" for one in some))
        for fate, some in found.items()
    ]
    if not found:
        rows.append(("other", "clean", "nothing fell on this pair"))
    elif "kept" not in found:
        rows.append(("other", "kept", "nothing"))
    rows += [("other", what, escape(which)) for what, which in extras(record)]
    shown = "".join(f'<div class="{look}"><dt>{escape(what)}</dt><dd>{which}</dd></div>' for look, what, which in rows)
    return f'<dl class="fates">{shown}</dl>'


def _rest(sample: Shown, named: bool) -> str:
    record = sample.record
    head = f"<h3>Sample {escape(str(record['index']))}: “{escape(str(record['instruction']))}”</h3>" if named else ""
    return f'<div class="rest">{head}{_effects(record["degradations"])}{_lines(sample)}</div>'


def _effects(entries: Sequence[Entry]) -> str:
    """A table of what fell on the pair, as it was drawn: one row where both images were drawn the same."""
    if not entries:
        return ""
    merged: dict[str, tuple[Entry, list[str]]] = {}
    for entry in entries:
        same = json.dumps({key: value for key, value in entry.items() if key != "image"}, sort_keys=True)
        merged.setdefault(same, (entry, []))[1].append(str(entry["image"]))
    rows = "".join(_effect(entry, images) for entry, images in merged.values())
    head = "".join(f"<th>{name}</th>" for name in ("effect", "on", "severity", "asked", "parameters"))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _effect(entry: Entry, images: Sequence[str]) -> str:
    severity = entry["severity"]
    level = "as set"
    if severity is not None:
        level = f'<meter min="0" max="1" value="{float(severity):.4f}"></meter>{float(severity):.2f}'
    asked = str(entry["asked"]) + (f" to {float(entry['factor']):g}" if "factor" in entry else "")
    params = ", ".join(f"{escape(str(k))} <code>{escape(as_text(v))}</code>" for k, v in entry["params"].items())
    return (
        f'<tr><td class="name">{escape(str(entry["effect"]))}</td><td>{escape(" + ".join(images))}</td>'
        f"<td>{level}</td><td>{escape(asked)}</td><td>{params}</td></tr>"
    )


def _lines(sample: Shown) -> str:
    record = sample.record
    lines: list[tuple[str, Any]] = [(name, record[name]) for name in LINES]
    lines += [(f"{part} {name}", value) for part in DETAILS for name, value in record[part].items()]
    lines += [("files", ", ".join(f"{name} {in_bytes(len(data))}" for name, data in sample.pictures.items()))]
    shown = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(as_text(value))}</code></dd>" for name, value in lines)
    return f"<dl>{shown}</dl>"
