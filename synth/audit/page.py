"""Samples as one HTML page that needs nothing but itself: pictures, instruction and parameters, and filters.

All text comes from a dataset that may be a stranger's: it is escaped, pictures are PNG or JPEG or refused, and the
page's own policy lets no script run but the page's, and loads nothing from anywhere.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Literal, get_args

from synth.audit.shown import Shown
from synth.dataset.shards import CLEAN
from synth.errors import UserError, with_kind
from synth.sample.record import MALFORMED, Entry, Record
from synth.scene.capture import IMAGES

KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
ORDER = (*IMAGES, "target", *CLEAN.values())
CAPTIONS = {"target": "target"} | {member: f"clean {name}" for name, member in CLEAN.items()}
Group = Literal["task", "kind", "effect"]
GROUPS: tuple[Group, ...] = get_args(Group)
Line = Literal["key", "group", "phrases", "phrase_split", "absent", "seed"]
Detail = Literal["scene", "images", "crop", "target", "source"]  # parts of a record that are shown line by line
LINES: tuple[Line, ...] = get_args(Line)
DETAILS: tuple[Detail, ...] = get_args(Detail)


def page(title: str, about: str, samples: Sequence[Shown]) -> str:
    """The page. title, about: plain text. Raises UserError where a picture is none, or a record is malformed."""
    script, style = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    try:
        articles = "\n".join(_article(sample) for sample in samples)
        filters = "\n".join(_filter(group, _counts(group, samples)) for group in GROUPS)
    except MALFORMED as error:
        raise UserError(
            f"{title}: a record as shards/FORMAT.md has none ({with_kind(error)}); run synth verify"
        ) from None
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
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
<header><h1>{escape(title)}</h1><p>{escape(about)}</p></header>
<nav aria-label="Filters"><div>
{filters}
<output></output>
</div></nav>
<main>
{articles}
<p class="none" hidden>No sample has all of that.</p>
</main>
<dialog aria-label="Picture"><img alt=""><p></p></dialog>
<script>{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _words(group: Group, record: Record) -> list[str]:
    """What a sample is found by."""
    if group == "effect":
        return list(dict.fromkeys(str(entry["effect"]) for entry in record["degradations"])) or ["none"]
    return [str(record[group])]


def _counts(group: Group, samples: Iterable[Shown]) -> Counter[str]:
    return Counter(word for sample in samples for word in _words(group, sample.record))


def _filter(group: Group, counts: Counter[str]) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="false" data-group="{group}" data-word="{escape(word)}">'
        f"{escape(word)} <small>{count}</small></button>"
        for word, count in sorted(counts.items())
    )
    return f"<fieldset><legend>{group}</legend>{buttons}</fieldset>"


def _article(sample: Shown) -> str:
    record = sample.record
    data = " ".join(f'data-{g}="{escape(json.dumps(_words(g, record)))}"' for g in GROUPS)
    pictures = "".join(_figure(name, sample) for name in ORDER if name in sample.pictures)
    facts = f"<b>{escape(str(record['task']))}</b> · <b>{escape(str(record['kind']))}</b> · " + escape(
        f"sample {record['index']} · {record['source']['scene']}"
    )
    return f"""<article {data}>
<h2>“{escape(str(record["instruction"]))}”</h2>
<p class="facts">{facts}</p>
<div class="pictures">{pictures}</div>
{_effects(record["degradations"])}
<details><summary>Everything else in the record</summary>
{_rest(record)}
</details>
</article>"""


def _figure(name: str, sample: Shown) -> str:
    record, data = sample.record, sample.pictures[name]
    kind = next((kind for magic, kind in KINDS.items() if data.startswith(magic)), None)
    if kind is None:
        raise UserError(f"sample {record['key']}: {name} is neither PNG nor JPEG; run synth verify")
    height, width = (int(number) for number in record["size"])
    caption = (CAPTIONS | {image: f"{image}: {record['images'][image]['modality']}" for image in IMAGES})[name]
    encoded, alt = base64.b64encode(data).decode(), escape(f"{caption}, sample {record['index']}")
    return (
        f'<figure><button type="button"><img src="data:{kind};base64,{encoded}" width="{width}" height="{height}" '
        f'alt="{alt}"></button>'
        f"<figcaption>{escape(caption)} · {len(data) / 1000:.0f} kB {kind.removeprefix('image/')}</figcaption></figure>"
    )


def _effects(entries: Sequence[Entry]) -> str:
    """A table of what fell on the pair: one row where both images were drawn the same."""
    if not entries:
        return '<p class="facts">Nothing fell on this pair.</p>'
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
    asked = str(entry["asked"])
    mark = f' class="{asked}"' if asked in ("remove", "keep") else ""
    asked += f" to {float(entry['factor']):g}" if "factor" in entry else ""
    params = ", ".join(f"{escape(str(k))} <code>{escape(_value(v))}</code>" for k, v in entry["params"].items())
    return (
        f'<tr><td class="name">{escape(str(entry["effect"]))}</td><td>{escape(" + ".join(images))}</td>'
        f"<td>{level}</td><td{mark}>{escape(asked)}</td><td>{params}</td></tr>"
    )


def _rest(record: Record) -> str:
    lines: list[tuple[str, Any]] = [(name, record[name]) for name in LINES]
    lines += [(f"{part} {name}", value) for part in DETAILS for name, value in record[part].items()]
    shown = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(_value(value))}</code></dd>" for name, value in lines)
    return f"<dl>{shown}</dl>"


def _value(value: Any) -> str:
    """A value of a record in short."""
    if isinstance(value, bool) or value is None:
        return "–" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(item)}" for name, item in value.items())
    return str(value)
