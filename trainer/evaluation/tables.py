"""Rows of scores as Markdown tables: over all, by task, effect, number of effects, kind and phrases; obedience."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from trainer.evaluation.cases import AS_THEY_ARE
from trainer.evaluation.intervals import Mean, mean_of, ratio_of
from trainer.evaluation.methods import CEILING, REFERENCES, SHUFFLED
from trainer.evaluation.metrics import ARROWS
from trainer.evaluation.obedience import EVERYTHING, NOTHING
from trainer.evaluation.scoring import Row

ALL = "all, but for `clean` and `keep`"
KEPT = ("clean", "keep")
"""Kinds that ask for nothing to be removed."""
COLUMNS = ("PSNR", "SSIM", "Qabf", "VIF", "SSIM ab", "MI", "SCD", "MEF-SSIM", "BRISQUE", "SF", "AG", "EN")
"""The first that all methods have is the one by which groups are compared."""
UNITS = {"PSNR": " dB", "MI": " bits", "EN": " bits"}
DECIMALS = {"PSNR": 2, "MI": 2, "SF": 1, "AG": 1, "EN": 2}


def markdown(scores: Sequence[Row], control: Sequence[Row], methods: Sequence[str]) -> str:
    """All tables. methods: in the order in which they are shown; what they are called there is said in the text."""
    keys = {row["key"] for row in scores}
    scenes = {(row["task"], row["scene"]) for row in scores}
    told = (
        f"{len(keys)} samples of {len(scenes)} scenes. Intervals are 95% by the bootstrap over scenes. PSNR counts at "
        "most 60 dB a sample. PSNR and SSIM are to the target, Qabf, VIF, SSIM ab, MI, SCD and MEF-SSIM against the "
        "clean pair, SF, AG and EN of the picture alone (noise raises them)."
    )
    wanted = [row for row in scores if row["method"] in methods]
    removing = [row for row in wanted if row["kind"] not in KEPT]
    keeping = [row for row in wanted if row["kind"] in KEPT]
    parts = [told]
    titles = {AS_THEY_ARE: "Pairs as they are"}
    first = titles.get(removing[0]["kind"] if removing else "", "Something to remove")
    for title, rows in ((first, removing), ("Nothing to remove (`clean`, `keep`)", keeping)):
        if rows:
            parts += [f"## {title}", overall(rows, methods)]
    parts += [f"## {first_of(wanted)} by group", by_group(wanted, methods)]
    if any(row.get("obeys") is not None for row in scores):
        shown = [*methods, *(name for name in (NOTHING, EVERYTHING) if any(row["method"] == name for row in scores))]
        parts += ["## Does it obey?", OBEYING, obedience(scores, control, [name for name in shown if name != CEILING])]
        parts += [table_ for table_ in (by_sort(control, shown), strengths(control, shown)) if table_]
    return "\n\n".join(parts) + "\n"


OBEYING = (
    "Within a group, one degraded pair under several sentences: how often an output is nearest to its own target, of "
    "the group's targets (that differ from it by less than 35 dB PSNR) and the closed form of the untouched inputs; "
    "and how the change from one output to another follows that of the targets (slope 1 obeys, 0 ignores)."
)


def overall(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """A line a method, a column a metric that any sample has."""
    columns = [name for name in COLUMNS if any(not _missing(row.get(name)) for row in rows)]
    head = ["", *(f"{name}{UNITS.get(name, '')} {ARROWS[name]}".rstrip() for name in columns)]
    lines = []
    for method in methods:
        of_method = [row for row in rows if row["method"] == method]
        if of_method:
            cells = [mean(of_method, name) for name in columns]
            lines.append([method, with_interval(columns[0], cells[0]), *map(shown, columns[1:], cells[1:])])
    return table(head, lines)


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of what is removed by task, effect, number of effects, kind and phrases, all first; and those in which
    nothing is removed by kind alone."""
    removing = [row for row in rows if row["kind"] not in KEPT]

    def of(key: Callable[[Row], object], name: str) -> dict[str, list[Row]]:
        values = sorted({key(row) for row in removing} - {"", 0, AS_THEY_ARE}, key=str)
        return {name.format(value): [row for row in removing if key(row) == value] for value in values}

    found = {ALL: removing} | of(lambda row: row["task"], "{}")
    for effect in sorted({effect for row in removing for effect in row["effects"]}):
        found[effect] = [row for row in removing if effect in row["effects"]]
    found |= of(lambda row: row["count"], "effects: {}") | of(lambda row: row["kind"], "kind `{}`")
    found |= of(lambda row: row["phrase_split"], "phrases `{}`")
    found |= {f"kind `{kind}`": [row for row in rows if row["kind"] == kind] for kind in KEPT}
    return {name: group for name, group in found.items() if group}


def first_of(rows: Sequence[Row]) -> str:
    """The metric by which rows are compared: PSNR, where any has it, else Qabf."""
    return "PSNR" if any(not _missing(row.get("PSNR")) for row in rows) else "Qabf"


def by_group(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """A line a group, a column a method; last, what the first network gains over the best of the references there."""
    networks = [name for name in methods if name not in REFERENCES and name != CEILING and not name.endswith(SHUFFLED)]
    lines, metric = [], first_of(rows)
    for name, group in groups(rows).items():
        means = {method: mean([row for row in group if row["method"] == method], metric) for method in methods}
        line = [name, str(max(each.samples for each in means.values())), *(shown(metric, means[m]) for m in methods)]
        lines.append([*line, *([_gain(group, networks[0], means, metric)] if networks else [])])
    last = [f"{networks[0]} over the best reference"] if networks else []
    return table(["", "samples", *methods, *last], lines)


def _gain(group: Sequence[Row], network: str, means: Mapping[str, Mean], metric: str) -> str:
    whole = max(each.samples for each in means.values())  # a reference for one task alone says nothing of all
    there = [name for name in REFERENCES if name in means and means[name].samples == whole]
    best = max(there, key=lambda name: means[name].value)
    theirs = {row["key"]: row.get(metric, math.nan) for row in group if row["method"] == best}
    ours = [row for row in group if row["method"] == network]
    gains = [row.get(metric, math.nan) - theirs[row["key"]] for row in ours]
    gain, digits = mean_of(gains, [scene_of(row) for row in ours]), DECIMALS.get(metric, 3)
    interval = "" if math.isnan(gain.low) else f" ({gain.low:+.{digits}f} to {gain.high:+.{digits}f})"
    return f"{gain.value:+.{digits}f}{interval}"


def obedience(scores: Sequence[Row], control: Sequence[Row], methods: Sequence[str]) -> str:
    """A line a method: nearest to its own target, beside chance; slope and cosine of control."""
    lines = []
    for method in methods:
        counted = [row for row in scores if row["method"] == method and row.get("obeys") is not None]
        if not counted:
            continue
        scenes = [scene_of(row) for row in counted]
        obeys, chance = (mean_of([row[key] for row in counted], scenes) for key in ("obeys", "chance"))
        pairs = [row for row in control if row["method"] == method]
        lines.append(
            [method, str(obeys.samples), percent(obeys), f"{chance.value:.0%}", str(len(pairs)), *control_of(pairs)]
        )
    return table(["", "samples", "obeys", "chance", "pairs", "slope", "cosine"], lines)


def by_sort(control: Sequence[Row], methods: Sequence[str]) -> str:
    """Slope and cosine of each network by kind of sentence and by what is asked otherwise; empty without networks."""
    networks = [name for name in methods if name not in (*REFERENCES, CEILING, NOTHING, EVERYTHING)]
    kinds = sorted({str(row["kind"]) for row in control})
    effects = sorted({effect for row in control for effect in row["effects"]})
    lines = []
    for name, has in [
        *((f"kind `{kind}`", lambda row, kind=kind: row["kind"] == kind) for kind in kinds),
        *((effect, lambda row, effect=effect: effect in row["effects"]) for effect in effects),
    ]:
        of_sort = [row for row in control if has(row)]
        cells = [f"{a} / {b}" for a, b in (control_of([r for r in of_sort if r["method"] == m]) for m in networks)]
        lines.append([name, str(len({row["keys"] for row in of_sort})), *cells])
    return table(["slope / cosine", "pairs", *networks], lines) if networks and lines else ""


def strengths(control: Sequence[Row], methods: Sequence[str]) -> str:
    """By the factor of `lessen`, beside a sentence that removes the same: how much of the effect an output shows."""
    counted = [row for row in control if row.get("factor")]
    lines = []
    for factor in sorted({row["factor"] for row in counted}):
        of_factor = [row for row in counted if row["factor"] == factor]
        cells = []
        for method in methods:
            rows = [row for row in of_factor if row["method"] == method]
            slope = ratio_of(
                [row["along"] for row in rows], [row["asked"] for row in rows], [scene_of(r) for r in rows]
            )
            cells.append(f"{factor * slope.value:.2f}" if rows else "")
        lines.append([f"{factor:g}", str(len({row["keys"] for row in of_factor})), *cells])
    return table(["`lessen` to", "pairs", *methods], lines) if lines else ""


def control_of(rows: Sequence[Row]) -> tuple[str, str]:
    """Slope with its interval, and cosine, of pairs of samples."""
    if not rows:
        return "", ""
    along, asked, done = (sum(row[key] for row in rows) for key in ("along", "asked", "done"))
    slope = ratio_of([row["along"] for row in rows], [row["asked"] for row in rows], [scene_of(row) for row in rows])
    cosine = along / math.sqrt(asked * done) if done else 0.0
    interval = "" if math.isnan(slope.low) else f" ({slope.low:.2f} to {slope.high:.2f})"
    return f"{slope.value:.2f}{interval}", f"{cosine:.2f}"


def mean(rows: Sequence[Row], name: str) -> Mean:
    """Of a column, over the rows that have it."""
    there = [row for row in rows if not _missing(row.get(name))]
    return mean_of([row[name] for row in there], [scene_of(row) for row in there])


def scene_of(row: Row) -> str:
    return f"{row['task']}/{row['scene']}"


def shown(name: str, value: Mean) -> str:
    return "" if math.isnan(value.value) else f"{value.value:.{DECIMALS.get(name, 3)}f}"


def with_interval(name: str, value: Mean) -> str:
    digits = DECIMALS.get(name, 3)
    return shown(name, value) + (
        "" if math.isnan(value.low) else f" ({value.low:.{digits}f} to {value.high:.{digits}f})"
    )


def percent(value: Mean) -> str:
    return f"{value.value:.0%}" + ("" if math.isnan(value.low) else f" ({value.low:.0%} to {value.high:.0%})")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
