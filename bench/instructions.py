"""What the instructions of a recipe come out as: `python -m bench.instructions`.

Puts a table of quotas into docs/instructions.md (drafts alone, no picture is read) and draws docs/instructions.png: one
built-in pair, one set of effects, five instructions and their targets. `--pairs ROOT` draws fifty groups of real pairs
into out/instructions/.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from bench.document import DOCS, put, table
from bench.gallery import stacked, text
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.instructions.grammar import compose
from synth.instructions.intent import mentions
from synth.recipe.file import find_recipe, load_recipe
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.plan import Plan, make_plan
from synth.sample.render import render
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.streams import Streams, stream
from synth.tasks import TASKS

SAMPLES = 10_000
SENTENCES = 40_000
SHOWN_FROM = 24  # the first sample of the group that is shown
SHOWN = {
    "name": "shown",
    "task": "mef",
    "seed": 4,
    "samples": 60,
    "samples_per_shard": 60,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 272, "scale": [0.7, 0.8], "flip": False},
    "degradations": {"always": [{"haze": 0.5}, {"rain": 0.5}, {"noise": {"sigma": 8}}]},
    "instructions": {"kinds": {"full": 0.1, "partial": 0.7, "keep": 0.1, "general": 0.1}, "per_pair": 12},
}


def quotas(plan: Plan) -> str:
    """Kinds, numbers of effects and effects over SAMPLES drafts, asked and found, per cent."""
    drafts = [draft(plan, index) for index in range(SAMPLES)]
    rows = []
    kinds = Counter(d.intent.kind for d in drafts)
    for kind, share in plan.recipe.instructions.kinds.items():
        rows.append([f"kind {kind}", f"{100 * share:.1f}", f"{100 * kinds[kind] / SAMPLES:.1f}"])
    damaged = [d for d in drafts if d.intent.kind != "clean"]
    asked_counts, asked_effects = Counter[str](), Counter[str]()
    for d in damaged:
        always, of, count = plan.recipe.tasks[d.task].degradations.choices
        total = sum(count.values())
        mean = sum(number * share for number, share in count.items()) / total
        asked_counts.update({f"{len(always) + number} effects": share / total for number, share in count.items()})
        asked_effects.update({spec.label: mean / len(of) for spec in of} | {spec.label: 1.0 for spec in always})
    found_counts = Counter(f"{len(d.effects)} effects" for d in damaged)
    found_effects = Counter(spec.label for d in damaged for spec in d.effects)
    for asked, found in ((asked_counts, found_counts), (asked_effects, found_effects)):
        for name in asked:
            shares = (100 * counted[name] / len(damaged) for counted in (asked, found))
            rows.append([f"{name}, of what is not clean", *(f"{share:.1f}" for share in shares)])
    absent = sum(d.intent.absent is not None for d in drafts)
    rows.append(["names an effect that is not there", "", f"{100 * absent / SAMPLES:.1f}"])
    return table(["share of samples", "asked (%)", "found (%)"], rows)


def sentences(plan: Plan) -> list[str]:
    """SENTENCES sentences of a recipe, without reading a picture."""
    found = []
    for index in range(SENTENCES):
        drawn = draft(plan, index)
        applied = _stand_in(drawn.task, Streams(plan.recipe.seed, drawn.group)).draw(drawn.effects)
        remove, kept = mentions(drawn.intent, applied, TASKS[drawn.task])
        words = stream(plan.recipe.seed, index, "instruction.words")
        found.append(compose(drawn.intent.kind, remove, kept, plan.recipe.instructions.phrases, words).text)
    return found


def _stand_in(task: str, streams: Streams) -> Shot:
    """A small grey pair: what is drawn for instructions does not depend on the picture."""
    capture = TASKS[task].capture
    return Shot.of_whole(Backdrop(capture, dict.fromkeys(capture.modalities, np.full((16, 16), 90, np.uint8))), streams)


def group_sheet(plan: Plan, first: int, count: int, a_row: int = 99) -> Bytes:
    """One group: the degraded pair, then each instruction with its target, those that ask the same only once.

    a_row: cells in a row.
    """
    cells, seen = [], set()
    for index in range(first, first + count):
        sample = render(plan, index)
        if not cells:
            cells += [_cell(sample.a, "a"), _cell(sample.b, "b")]
        asked = frozenset(e["effect"] for e in sample.record["degradations"] if e["asked"] == "keep")
        if asked in seen:
            continue
        seen.add(asked)
        cells.append(_cell(sample.target, f"{sample.record['kind']}: “{sample.record['instruction']}”"))
    rows = [cells[start : start + a_row] for start in range(0, len(cells), a_row)]
    return stacked([np.hstack([np.pad(c, ((0, 0), (0, 6), (0, 0)), constant_values=255) for c in row]) for row in rows])


def _cell(image: Bytes, words: str) -> Bytes:
    lines, width = [""], max(12, image.shape[1] // 7)
    for word in words.split(" "):
        if len(lines[-1]) + len(word) >= width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return np.vstack([text("\n".join(lines[:5]), image.shape[1], 84), in_colour(image)])


def main() -> None:
    """Table and picture; with `--pairs` the groups of real pairs instead."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="a folder with vif/, mef/ and mff/")
    pairs = parser.parse_args().pairs
    if pairs is not None:
        plan = make_plan(load_recipe(find_recipe("test"), {"samples": 200}), pairs)
        folder = Path("out/instructions")
        folder.mkdir(parents=True, exist_ok=True)
        for sheet in range(10):
            groups = [group_sheet(plan, 4 * (5 * sheet + k), 4) for k in range(5)]
            (folder / f"{sheet}.png").write_bytes(codecs.encode_png(stacked(groups)))
        return
    plan = make_plan(load_recipe(find_recipe("all_in_one")))
    said = sentences(plan)
    counted = f"{len(set(said))} different sentences among {SENTENCES} of recipes/all_in_one.yaml. Some of them:\n\n"
    some = "\n".join(f"- {said[i]}" for i in range(0, SENTENCES, SENTENCES // 24))
    put("instructions.md", "quotas", "python -m bench.instructions", quotas(plan))
    put("instructions.md", "sentences", "python -m bench.instructions", counted + some)
    shown = make_plan(Recipe.model_validate(SHOWN))
    (DOCS / "instructions.png").write_bytes(codecs.encode_png(group_sheet(shown, SHOWN_FROM, 12, 3)[:, :-6]))


if __name__ == "__main__":
    main()
