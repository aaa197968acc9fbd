"""What the instructions of a recipe come out as: `python -m bench.instructions`.

Puts tables of quotas, of different sentences and of what the reader of `synth verify` finds into docs/instructions.md
(drafts alone, no picture is read). `python -m bench.instructions --picture` draws docs/instructions.png: one built-in
pair, one set of effects, some instructions and their targets. `python -m bench.instructions --pairs DIR` draws forty
groups of real pairs into out/instructions/, four a sheet.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from bench.command import parsed, parser
from bench.document import place, put, table
from bench.gallery import stacked, text
from synth.audit.sentences import faults_of
from synth.images import codecs
from synth.images.pixels import Bytes, in_colour
from synth.instructions.grammar import KINDS, Instruction, Kind, compose
from synth.instructions.intent import may_stress, mentions, stressed
from synth.instructions.phrases import PHRASED, Split, ids_under, split_of
from synth.recipe.file import find_recipe, load_recipe
from synth.recipe.schema import Recipe
from synth.sample.draft import draft
from synth.sample.inputs import asked_of
from synth.sample.plan import Plan, make_plan
from synth.sample.record import Record
from synth.sample.render import render
from synth.sample.shot import Shot
from synth.scene.backdrop import Backdrop
from synth.scene.capture import ImageName
from synth.streams import Streams, stream
from synth.tasks import TASKS

SAMPLES = 10_000
READ = 20_000  # sentences of each split
FIRST = 1_000
SHOWN_SENTENCES = 30
SPLITS: tuple[Split, ...] = ("train", "test")
SHOWN_FROM = 24  # the first sample of the group that is shown
SHEETS, GROUPS = 10, 4  # of real pairs, and of groups on each
QUICK = {"SAMPLES": 400, "READ": 60, "FIRST": 20, "SHOWN_SENTENCES": 3, "SHEETS": 1, "GROUPS": 1}
SHOWN = {
    "name": "shown",
    "task": "mef",
    "seed": 4,
    "samples": 60,
    "samples_per_shard": 60,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 272, "scale": [0.7, 0.8], "flip": False},
    "degradations": {"always": [{"haze": 0.5}, {"rain": 0.5}, {"noise": {"sigma": 8}}]},
    "instructions": {
        "kinds": {"full": 0.1, "partial": 0.3, "lessen": 0.4, "keep": 0.1, "general": 0.1},
        "per_pair": 12,
    },
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
    stressing = [d for d in drafts if TASKS[d.task].emphasis and may_stress(d.intent)]
    share = 100 * sum(d.intent.emphasis != 0 for d in stressing) / len(stressing)
    asked = 100 * plan.recipe.instructions.emphasis.share
    rows.append(["emphasis, of vif and mef that name or clean", f"{asked:.1f}", f"{share:.1f}"])
    absent = sum(d.intent.absent is not None for d in drafts)
    rows.append(["names an effect that is not there", "", f"{100 * absent / SAMPLES:.1f}"])
    return table(["share of samples", "asked (%)", "found (%)"], rows)


def composed(plan: Plan, split: Split, count: int) -> Iterator[tuple[Kind, Instruction, list[str]]]:
    """The kinds, sentences and faults of a recipe's samples in the words of a split, without reading a picture.

    Faults: what the reader of `synth verify` finds wrong with a sentence of its record.
    """
    for index in range(count):
        drawn = draft(plan, index)
        shot = _stand_in(drawn.task, Streams(plan.recipe.seed, drawn.group))
        applied = asked_of(shot.draw(drawn.effects), drawn.intent)
        colour: list[ImageName] = [name for name in shot.pictures if not shot.capture.is_infrared(name)]
        named, kept = mentions(drawn.intent, applied, TASKS[drawn.task], colour)
        target = {"emphasis": drawn.intent.emphasis}
        stress = stressed(target, TASKS[drawn.task])
        words = stream(plan.recipe.seed, index, "instruction.words")
        said = compose(drawn.intent.kind, named, kept, split, words, stress)
        record = {
            "task": drawn.task,
            "kind": drawn.intent.kind,
            "degradations": [item.to_record() for item in applied],
            "absent": [] if drawn.intent.absent is None else [drawn.intent.absent],
            "instruction": said.text,
            "phrases": list(said.phrases),
            "phrase_split": split,
            "target": target,
            "images": {name: {"channels": 3 if name in colour else 1} for name in shot.pictures},
        }
        yield drawn.intent.kind, said, faults_of(cast(Record, record))


def splits(plan: Plan) -> str:
    """Different sentences by kind and split, among READ of each, and those with which the reader disagrees."""
    found: dict[str, list[str]] = {kind: [kind] for kind in (*KINDS, "all")}
    first = [f"the first {FIRST:,}"]
    before: set[str] = set()
    for split in SPLITS:
        made = list(composed(plan, split, READ))
        for kind, row in found.items():
            mine = [(said.text, wrong) for of, said, wrong in made if kind in (of, "all")]
            different, faults = len({text for text, _ in mine}), sum(bool(wrong) for _, wrong in mine)
            row += [f"{len(mine)}", f"{different}", f"{faults}"]
        first += [str(FIRST), str(len({said.text for _, said, _ in made[:FIRST]})), ""]
        shared = [len({said.text for of, said, _ in made if kind in (of, "all")} & before) for kind in found]
        before |= {said.text for _, said, _ in made}
    for row, both in zip(found.values(), shared, strict=True):
        row.append(str(both))
    head = ["kind"] + [
        f"{split}: {what}" for split in SPLITS for what in ("sentences", "different", "reader disagrees")
    ]
    return table([*head, "in both"], [*found.values(), [*first, ""]])


def held_out() -> str:
    """How many phrases of each sort are held out."""
    rows = []
    sorts = {
        "of effects": [name for effect in PHRASED for name in ids_under(effect) if ".less." not in name],
        "that lessen": [name for effect in PHRASED for name in ids_under(effect) if ".less." in name],
        "that keep an effect": ids_under("keep"),
        "that ask to clean": [*ids_under("mend"), *ids_under("general")],
        "that ask to fuse": [*ids_under("merge"), *ids_under("clean")],
        "that ask to leave all": [*ids_under("asis"), *ids_under("all_kept")],
        "that say all is clean": ids_under("fine"),
        "that stress something": ids_under("emphasis"),
    }
    for sort, ids in sorts.items():
        out = sum(split_of(name) == "test" for name in ids)
        rows.append([sort, str(len(ids)), str(out), f"{100 * out / len(ids):.0f}"])
    return table(["phrases", "all", "held out", "%"], rows)


def _stand_in(task: str, streams: Streams) -> Shot:
    """A small grey pair: what is drawn for instructions does not depend on the picture."""
    capture = TASKS[task].capture
    return Shot.of_whole(Backdrop(capture, dict.fromkeys(capture.modalities, np.full((16, 16), 90, np.uint8))), streams)


def group_sheet(plan: Plan, first: int, count: int, a_row: int | None = None) -> Bytes:
    """One group: the degraded pair, then each instruction with its target, those that ask the same only once.

    a_row: cells in a row; then one of each kind.
    """
    cells, seen = [], set[object]()
    for index in range(first, first + count):
        sample = render(plan, index)
        if not cells:
            cells += [_cell(sample.a, "a"), _cell(sample.b, "b")]
        marks = ((e["effect"], e["asked"], e.get("factor")) for e in sample.record["degradations"])
        asked = (frozenset(marks), *sample.record["target"].items()) if a_row is None else sample.record["kind"]
        if asked in seen:
            continue
        seen.add(asked)
        cells.append(_cell(sample.target, f"{sample.record['kind']}: “{sample.record['instruction']}”"))
    across = a_row or len(cells)
    rows = [cells[start : start + across] for start in range(0, len(cells), across)]
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
    """Tables; a picture, or groups of real pairs, instead."""
    wanted = parser(__doc__)
    wanted.add_argument("--picture", action="store_true", help="draw docs/instructions.png")
    wanted.add_argument("--pairs", type=Path, help="a folder with vif/, mef/ and mff/")
    asked = parsed(wanted, globals(), QUICK)
    if asked.pairs is not None:
        recipe = load_recipe(find_recipe("test"), {"samples": 408, "crop": {"size": 160}})
        plan, each = make_plan(recipe, asked.pairs), recipe.instructions.per_pair
        folder = Path("out/instructions")
        folder.mkdir(parents=True, exist_ok=True)
        for sheet in range(SHEETS):
            groups = [group_sheet(plan, each * (GROUPS * sheet + k), each) for k in range(GROUPS)]
            (folder / f"{sheet}.png").write_bytes(codecs.encode_png(stacked(groups)))
    elif asked.picture:
        shown = make_plan(Recipe.model_validate(SHOWN))
        place("instructions.png").write_bytes(codecs.encode_png(group_sheet(shown, SHOWN_FROM, 12, 3)[:, :-6]))
    else:
        plan = make_plan(load_recipe(find_recipe("all_in_one")))
        some = "\n".join(f"- {said.text}" for _, said, _ in composed(plan, "train", SHOWN_SENTENCES))
        for section, text in {
            "quotas": quotas(plan),
            "splits": splits(plan),
            "held-out": held_out(),
            "sentences": some,
        }.items():
            put("instructions.md", section, "python -m bench.instructions", text)


if __name__ == "__main__":
    main()
