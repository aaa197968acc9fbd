"""What each ingredient of the network is worth, at equal CPU time.

    python -m bench.ablation encode --train SHARDS --val SHARDS --val SHARDS --foreign out/foreign
    python -m bench.ablation run NAME --set objective.kind=regression --set objective.counts=square --minutes 12
    python -m bench.ablation factorial --minutes 12
    python -m bench.ablation trials bench/ablation/trials.yaml
    python -m bench.ablation effects
    python -m bench.ablation table
    python -m bench.ablation compare NAME OTHER
    python -m bench.ablation unpack
    python -m bench.ablation parts --weights DIR

`encode` keeps latents, pixels and prompts of all samples of a set in one file. `run` trains one form, from what
`--config` names and `--set` changes, on as many samples as fit into so many minutes of CPU time on one thread; its rate
rises over a twentieth of them and falls to zero over the last two fifths. It leaves OUT/NAME, a folder of the averaged
weights, and OUT/NAME.json: what they reach, by set, task, kind of sentence and effect. `factorial` does sixteen such
runs, those that are missing; `trials` runs the forms of a file, with several seeds. `effects` prints what each of eight
ingredients does, `compare` how far the runs NAME-SEED are above the runs OTHER-SEED. `pack` keeps all results in one
small file, and `unpack` lays them out again, without weights, so that `factorial` goes on with what is missing. `parts`
writes the parts of the error of any weights on the kept sets into docs/results.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import yaml

from bench import document
from bench.ablation import factorial, kept, results, runs
from bench.ablation.kept import sets
from bench.ablation.measure import measure, what_of
from bench.ablation.runs import Form, run, seconds, trials
from bench.command import parsed, parser
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.folder import load_weights

GROUPS = ("all", "clean", "keep", "haze", "exposure")
QUICK = {"minutes": 0.0, "seeds": "0"}


def table(out: Path) -> str:
    """Every result in a row."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.glob("*.json"))]
    found = [result for result in found if "sets" in result]
    names = sorted({name for result in found for name in result["sets"]})
    heads = [f"{name} {group}" for name in names for group in GROUPS]
    lines = [f"| run | M | samples | {' | '.join(heads)} | prompts shuffled |", "|---" * (len(heads) + 4) + "|"]
    for result in found:
        of = result["sets"]
        cells = [f"{of[name]['psnr'].get(group, float('nan')):.2f}" for name in names for group in GROUPS]
        lost = " / ".join(f"{of[name]['shuffled']['all'] - of[name]['psnr']['all']:+.2f}" for name in names)
        size = f"{result['parameters'] / 1e6:.1f} | {result['samples']}"
        lines.append(f"| {result['name']} | {size} | {' | '.join(cells)} | {lost} |")
    return "\n".join(lines)


COMMAND = "python -m bench.ablation parts"
OTHERS = ("best offset", "best gain", "blocks", "round trip", "shuffled", "squares", "target's squares")
HEADS = ("samples", "base", "PSNR", "gain", "signed", *OTHERS)


def parts(weights: Path, out: Path) -> str:
    """The error of a weights folder on every kept set, by task, kind of sentence and effect, as tables."""
    model, autoencoder, _, objective, _ = load_weights(weights, torch.device("cpu"))
    told = []
    for path in sets(out):
        found = measure(path, model, objective, autoencoder)
        counts = Counter(group for row in found["rows"] for group in ("all", *what_of(row)))
        rows = [[group, *_cells(found, group, counts[group])] for group in found["psnr"]]
        told.append(f"`{path.stem}`:\n\n{document.table(['', *HEADS], rows)}")
    return "\n\n".join(told)


def _cells(found: dict[str, Any], group: str, count: int) -> list[str]:
    psnr, base = found["psnr"][group], found["base"][group]
    others = (f"{found[name][group]:.2f}" for name in OTHERS)
    return [str(count), f"{base:.2f}", f"{psnr:.2f}", f"{psnr - base:+.2f}", f"{found['signed'][group]:+.1f}", *others]


def main() -> None:
    wanted = parser(__doc__)
    commands = wanted.add_subparsers(dest="command", required=True)
    first = commands.add_parser("encode")
    first.add_argument("--train", help="shards")
    first.add_argument("--val", action="append", default=[], help="shards in a folder; may come again")
    first.add_argument("--foreign", type=Path, help="where `make foreign` has written")
    second = commands.add_parser("run")
    second.add_argument("name")
    second.add_argument("--config", default="release-cpu")
    second.add_argument("--set", action="append", default=[], help="KEY=VALUE of the config")
    second.add_argument("--seed", type=int, default=0)
    third = commands.add_parser("factorial")
    third.add_argument("--part", default="0/1", help="I/N: every Nth run from I on, for N processes")
    sixth = commands.add_parser("trials")
    sixth.add_argument("file", type=Path, help="YAML: NAME: {KEY: VALUE of the config}")
    sixth.add_argument("--seeds", default="0,1")
    sixth.add_argument("--part", default="0/1", help="I/N, as of factorial")
    for command in (second, third, sixth):
        command.add_argument("--minutes", type=float, default=12.0, help="of CPU time, one thread")
    fourth = commands.add_parser("parts")
    fourth.add_argument("--weights", type=Path, default=Path("release"))
    fifth = commands.add_parser("compare")
    fifth.add_argument("forms", nargs=2, metavar="NAME", help="of runs NAME-SEED")
    others = [commands.add_parser(name) for name in ("table", "effects", "pack", "unpack")]
    for command in others[2:]:
        command.add_argument("--file", type=Path, default=Path("docs/ablation.parquet"))
    for command in (first, second, third, fourth, fifth, sixth, *others):
        command.add_argument("--out", type=Path, default=Path("out/ablation"))
    options = parsed(wanted, globals(), QUICK)
    if options.quick:
        runs.rehearse()
        if options.command == "factorial":
            options.part = f"0/{factorial.RUNS}"
    options.out.mkdir(parents=True, exist_ok=True)
    match options.command:
        case "encode":
            encode(options)
        case "run":
            changes = dict(change.split("=", 1) for change in options.set)
            values = {key: yaml.safe_load(value) for key, value in changes.items()}
            form = Form(options.name, values, options.config, options.seed)
            step = seconds([form], options.out)[form.name]
            run(form, form.samples(options.minutes, step), options.out)
        case "factorial":
            factorial.go(options.out, options.minutes, _part(options.part))
        case "trials":
            seeds = [int(seed) for seed in options.seeds.split(",")]
            trials(options.file, seeds, options.minutes, options.out, _part(options.part))
        case "parts":
            document.put("results.md", "parts", COMMAND, parts(options.weights, options.out))
        case "compare":
            print(results.compare(options.out, *options.forms, GROUPS))
        case "effects":
            print(factorial.report(options.out))
        case "pack":
            print(f"{results.pack(options.out, options.file)} results in {options.file}")
        case "unpack":
            print(f"{results.unpack(options.file, options.out)} results in {options.out}")
        case _:
            print(table(options.out))


def _part(text: str) -> tuple[int, int]:
    which, of = (int(number) for number in text.split("/"))
    return which, of


def encode(options: argparse.Namespace) -> None:
    autoencoder, text = load_autoencoder("mmaif", torch.device("cpu")), TextEncoder()
    jobs = [("train", kept.of_shards(options.train))] if options.train else []
    jobs += [(Path(path).name, kept.of_shards(path)) for path in options.val]
    if options.foreign:
        jobs.append((kept.FOREIGN, kept.of_foreign(options.foreign)))
    for name, items in jobs:
        torch.save(kept.encode(items, autoencoder, text), options.out / f"{name}.pt")


if __name__ == "__main__":
    main()
