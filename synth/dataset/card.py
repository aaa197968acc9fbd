"""The dataset card: README.md beside the shards, for a person who finds them, with the front matter of dataset hubs.

It follows from dataset.json and the rows alone: no clock, no host and no path is in it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from synth.dataset.description import read_dataset
from synth.dataset.shards import CLEAN, MEMBERS
from synth.dataset.stats import Stats, gather, in_bytes, ranked
from synth.errors import UserError
from synth.pairs.source import with_placeholder
from synth.scene.capture import IMAGES
from synth.storage import Storage
from synth.tasks import TASKS

CARD = "README.md"
MADE_BY = "Made by `synth` of MMAIF"
BAR = 24  # characters of the longest bar
MOST_ROWS = 60  # of a table; the rest is one line
LONGEST = 200  # characters of a cell
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
KINDS = {
    "full": "names all that is to be removed",
    "partial": "names some of it; the target keeps the rest",
    "lessen": "names something that is only to be weakened",
    "general": "asks to clean without naming anything",
    "keep": "asks for fusion alone; the target keeps everything",
    "clean": "nothing is degraded",
}


def titles() -> dict[str, str]:
    """What the pairs of each task are, for people."""
    return {name: task.title for name, task in TASKS.items()}


def write_card(storage: Storage) -> None:
    """Write the card of a finished dataset beside its shards. Raises UserError where it is none."""
    described = read_dataset(storage)
    if described is None or described.get("complete") is not True:
        raise UserError(f"{storage.url}: no finished dataset")
    storage.write(CARD, card(described, gather(storage, records=False)).encode())


def is_card(data: bytes) -> bool:
    """Whether a README.md is one of this tool's cards, and no one's own."""
    return MADE_BY.encode() in data


def card(described: Mapping[str, Any], stats: Stats) -> str:
    """The card of a finished dataset, as Markdown.

    described: `dataset.json`. stats: of its rows (`gather(storage, records=False)` is enough).
    """
    name, recipe = str(described["name"]), described["recipe"]
    total = sum(entry["tar_bytes"] + entry["parquet_bytes"] for entry in described["shards"])
    parts = [
        _front_matter(name, stats, recipe),
        f"# {name}",
        _summary(described, stats, total),
        "## Read it\n\n" + _reading(name, recipe),
        "## What is in it",
        "### Tasks\n\n" + _counted("task", dict(ranked(stats.tasks)), stats.samples, titles()),
        "### Degradations\n\n" + _effects(stats, described["effects"]),
        "### Different effects a sample\n\n"
        + _counted("effects", {str(n): c for n, c in sorted(stats.numbers.items())}, stats.samples),
        "### Kinds of instruction\n\n" + _counted("kind", dict(ranked(stats.kinds)), stats.samples, KINDS),
    ]
    if stats.failed:
        reasons = _counted("reason", dict(ranked(stats.reasons)), stats.failed)
        parts.append(f"### Failed samples\n\nTheir rows say why; their keys stay without a picture.\n\n{reasons}")
    parts += [
        "## Sources\n\n" + _sources(described["sources"], stats),
        "## Versions\n\n" + _versions(described),
        "## Make it again\n\n" + _again(name, recipe),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(name: str, stats: Stats, recipe: Mapping[str, Any]) -> str:
    """What dataset hubs read. By `configs` Hugging Face datasets takes the tars rather than the sidecars; by `features`
    it keeps every record whole, where else it drops what the first five records lack, or stops.
    """
    kinds = dict.fromkeys(members_of(recipe), "image") | {"json": "json", "__key__": "string", "__url__": "string"}
    facts = {
        "pretty_name": name,
        "license": "other",
        "license_name": "see-sources",
        "language": ["en"],
        "task_categories": ["image-to-image"],
        "size_categories": [next((word for most, word in SIZES if stats.samples < most), "n>10M")],
        "tags": [
            "image-fusion",
            "image-restoration",
            "webdataset",
            "synthetic",
            *sorted(f"fusion-{task}" for task in stats.tasks),
        ],
        "configs": [{"config_name": "default", "data_files": "*.tar"}],
        "dataset_info": {
            "config_name": "default",
            "features": [{"name": member, "dtype": kind} for member, kind in kinds.items()],
        },
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---"


def members_of(recipe: Mapping[str, Any]) -> list[str]:
    """The members that samples of a recipe have, by their names without the key, in the order in the tar.

    All samples have all of them, but for `encoding: mixed`, where an input has one of two names.
    """
    inputs = {"png": ("png",), "jpeg95": ("jpg",), "mixed": ("jpg", "png")}[recipe["encoding"]]
    kinds: dict[str, tuple[str, ...]] = {**dict.fromkeys(IMAGES, inputs), "json": ("",), "target": ("png",)}
    if "clean" in recipe["store"]:
        kinds |= dict.fromkeys(CLEAN.values(), ("png",))
    return [f"{name}.{ending}".rstrip(".") for name in MEMBERS if name in kinds for ending in kinds[name]]


def _summary(described: Mapping[str, Any], stats: Stats, total: int) -> str:
    shards = len(described["shards"])
    size = described["recipe"]["crop"]["size"]
    failed = f" ({stats.failed:,} more failed)" if stats.failed else ""
    tasks = ", ".join(titles().get(task, task) for task in sorted(stats.tasks))
    return (
        f"Pairs of degraded images, an instruction in English, and the fused image that it asks for: {tasks}. "
        f"{MADE_BY} from clean pairs and a recipe.\n\n"
        f"**{stats.samples:,} samples**{failed} of {size}×{size} px in {shards:,} shard{'s' * (shards != 1)}, "
        f"{in_bytes(total)}."
    )


def _reading(name: str, recipe: Mapping[str, Any]) -> str:
    jpeg, png = "`a.jpg`, `b.jpg`", "`a.png`, `b.png`"
    inputs = {"png": png, "jpeg95": jpeg, "mixed": f"{png} ({jpeg} where JPEG was their last effect)"}[
        recipe["encoding"]
    ]
    clean = ", `clean_a.png`, `clean_b.png` (the pair before anything fell on it)" if "clean" in recipe["store"] else ""
    return f"""Each shard is a plain [WebDataset](https://github.com/webdataset/webdataset) tar. Of a sample it holds \
the degraded inputs, {inputs}, `target.png` (what the instruction asks for), and `json` (the record: the instruction, \
and what was drawn, in physical units){clean}.

```python
import webdataset as wds

for sample in wds.WebDataset("{name}/000000.tar", shardshuffle=False).decode("rgb8"):
    print(sample["__key__"], sample["json"]["instruction"], sample["target.png"].shape)
```

Hugging Face datasets (4.7 or later) reads the folder as it is, by what stands at the top of this page:

```python
from datasets import load_dataset

for sample in load_dataset("./{name}", split="train", streaming=True):
    print(sample["__key__"], sample["json"]["instruction"], sample["target.png"].size)
```

Beside each tar stands a parquet of the same number with one row a sample: offsets and sha256 of every member, and the \
columns to filter by. To train on it, and to check it:

```bash
trainer train --shards {name} --config tiny --out runs/{name}
synth verify {name}
```"""


def _effects(stats: Stats, versions: Mapping[str, Any]) -> str:
    tasks = sorted(stats.tasks)
    rows = [
        [
            effect,
            f"{count:,}",
            _percent(count, stats.samples),
            *(f"{stats.by_task[effect, task]:,}" for task in tasks),
            f"{stats.alone[effect]:,}",
            str(versions.get(effect, "")),
            _bar(count, max(stats.effects.values())),
        ]
        for effect, count in ranked(stats.effects)
    ]
    if not rows:
        return "None: every pair is clean."
    return _table(["effect", "samples", "share", *tasks, "alone", "version", ""], rows, right=range(1, 5 + len(tasks)))


def _counted(head: str, counts: Mapping[str, int], total: int, told: Mapping[str, str] | None = None) -> str:
    """A table of counts with bars."""
    most = max(counts.values(), default=0)
    rows = [
        [name, f"{count:,}", _percent(count, total), _bar(count, most), *([told.get(name, "")] if told else [])]
        for name, count in counts.items()
    ]
    return _table([head, "samples", "share", "", *([""] if told else [])], rows, right=(1, 2))


def _sources(sources: Sequence[Mapping[str, Any]], stats: Stats) -> str:
    licences: dict[tuple[str, str], set[str]] = {}
    used: dict[tuple[str, str], int] = {}
    for (task, dataset, licence), count in stats.sources.items():
        licences.setdefault((task, dataset), set()).add(licence)
        used[task, dataset] = used.get((task, dataset), 0) + count
    rows = []
    for source in sources:
        key = (str(source["task"]), str(source["dataset"]))
        rows.append(
            [
                *key,
                f"{source['pairs']:,}",
                f"{source['weight']:.3g}",
                f"{used.get(key, 0):,}",
                ", ".join(sorted(licences.get(key, ()))) or "not drawn",
            ]
        )
    note = "Each sample keeps to the licence of its source, which its record names."
    return f"{note}\n\n{_table(['task', 'dataset', 'pairs', 'weight', 'samples', 'licence'], rows, right=(2, 3, 4))}"


def _versions(described: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(described["libraries"].items()))
    return (
        f"Shard format {described['version']}; {libraries}. With these, on the same kind of processor, the same recipe "
        "and pictures give the same bytes; on another `synth verify --render` tells a rounding from damage.\n\n"
        f"Recipe `{described['recipe_sha256']}`, sources "
        f"`{described['source_fingerprint']}` (sha256)."
    )


def _again(name: str, recipe: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(as_recipe(recipe), sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    fence = "`" * max(3, 1 + max((len(run) for run in _runs(text)), default=0))
    return f"""Save the recipe as `{name}.yaml`, then

```bash
synth generate --recipe {name}.yaml --out {name}
```

Where it draws from pictures of your own, put their place in the recipe, or give it as `--data ROOT`. A file that the \
recipe names (sentences, a network) stands here by its sha256.

<details><summary>The recipe</summary>

{fence}yaml
{text}{fence}

</details>"""


def _runs(text: str) -> Iterable[str]:
    """The runs of backquotes in a text."""
    return re.findall("`+", text)


def as_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved recipe as one that can be loaded again: defaults and all, a word for each path that is not known."""
    data = _without_none(dict(recipe))
    for part in data["tasks"].values():
        part["sources"] = [with_placeholder(source) for source in part["sources"]]
    return data


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_number(key): _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


def _number(key: Any) -> Any:
    """JSON has no numbers for keys: {"1": 0.25} counts effects."""
    return int(key) if isinstance(key, str) and key.isascii() and key.isdigit() else key


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    more = f"\n\n… and {len(rows) - MOST_ROWS:,} more." if len(rows) > MOST_ROWS else ""
    numbers = set(right)
    rule = ["---:" if column in numbers else "---" for column in range(len(head))]
    lines = [head, rule, *([_cell(cell) for cell in row] for row in rows[:MOST_ROWS])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + more


def _cell(text: str) -> str:
    """A text from a source, which may be a stranger's, as one cell: no markup, no new line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(sign, instead)
    return "".join(f"\\{c}" if c in "\\|`*_[]" else c for c in line)


def _bar(count: int, most: int) -> str:
    return "█" * max(1, round(BAR * count / most)) if count else ""


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}%" if total else "–"
