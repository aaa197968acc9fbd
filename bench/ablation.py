"""What each ingredient of the network is worth, at equal CPU time: `python -m bench.ablation --help`.

    python -m bench.ablation encode --train SHARDS --val SHARDS --val SHARDS
    python -m bench.ablation run NAME --set model.naf=false --set objective.counts=square --minutes 12
    python -m bench.ablation table

`encode` keeps latents, pixels and prompts of all samples in one file, so that a run is the network alone. A run
has one thread and so many minutes of CPU time; its rate rises over a twentieth of that and falls to zero at its end. It
starts from what `--config` names (release-cpu), seeded by `--seed`, and is skipped where its result is there. It leaves
OUT/NAME, a folder of the averaged weights, and OUT/NAME.json: their PSNR to the target by set, task, kind of sentence
and effect, with prompts as they are and shuffled, beside the base's.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from torch import Tensor, nn

from trainer.config import load_config
from trainer.data.batches import Batch, encode_pair, network_inputs
from trainer.data.images import to_tensor
from trainer.data.shards import open_shards
from trainer.evaluation.similarity import psnr
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import Prompts, TextEncoder
from trainer.inference.fuser import Fuser
from trainer.model.inputs import Inputs
from trainer.objectives import Noise, make_objective
from trainer.training.ema import EMA
from trainer.training.optimizers import build_optimizer
from trainer.training.parts import build_model

WARMUP = 0.05
"""Share of the time over which the rate rises."""
AVERAGED = 0.05
"""Half-life of the averaged weights, as a share of the samples seen."""


def encode(shards: str, autoencoder: Autoencoder, text: TextEncoder, known: bool) -> dict[str, Any]:
    """Everything that a run needs of a set, fp16 and uint8. known: the facts of each sample beside it."""
    reader = open_shards([shards], seed=0)
    latents, pixels, targets, tokens, mask, pooled, facts = [], [], [], [], [], [], []
    for number in range(len(reader)):  # type: ignore[arg-type]
        sample = reader.load([number])[0]
        pair = encode_pair(autoencoder, sample.a, sample.b)
        target = to_tensor([sample.target], autoencoder.device)
        latents.append(torch.cat([pair.latents, autoencoder.encode(target)]).half())
        pixels.append(pair.pixels)
        targets.append(torch.from_numpy(sample.target))
        prompt = text([sample.instruction])
        tokens.append(prompt.tokens[0].half())
        mask.append(prompt.mask[0])
        pooled.append(prompt.pooled[0])
        facts.append(_rows(shards)[sample.key] if known else {"key": sample.key})
    reader.close()
    stacked = {"latents": latents, "pixels": pixels, "targets": targets, "tokens": tokens, "mask": mask}
    return {name: torch.stack(values) for name, values in (stacked | {"pooled": pooled}).items()} | {"facts": facts}


@lru_cache(maxsize=1)
def _rows(shards: str) -> dict[str, dict[str, Any]]:
    """What each sample is, by its key, from the sidecars in a folder."""
    columns = ["key", "task", "scene", "kind", "effects"]
    rows = [row for side in Path(shards).glob("*.parquet") for row in pq.read_table(side, columns=columns).to_pylist()]
    return {row["key"]: row for row in rows}


def inputs_of(data: dict[str, Any], numbers: list[int], autoencoder: Autoencoder, prompts_of: list[int]) -> Inputs:
    """Samples as the network is given them, the prompts of `prompts_of`."""
    prompts = Prompts(data["tokens"][prompts_of].float(), data["mask"][prompts_of], data["pooled"][prompts_of])
    return network_inputs(autoencoder, data["latents"][numbers][:, :3].float(), data["pixels"][numbers], prompts)


def run(options: argparse.Namespace) -> None:
    """Train for so many minutes of CPU time, and measure."""
    result = options.out / f"{options.name}.json"
    if result.exists():
        print(f"{result} is there")
        return
    torch.set_num_threads(1)
    changes = dict(change.split("=", 1) for change in options.set)
    config = load_config(options.config, {key: yaml.safe_load(value) for key, value in changes.items()})
    autoencoder = load_autoencoder(config.autoencoder.path, torch.device("cpu"))
    data = torch.load(options.out / "train.pt", weights_only=False, mmap=True)
    objective = make_objective(config.objective, autoencoder)
    torch.manual_seed(options.seed)
    model = build_model(config, autoencoder, data["pooled"].shape[1]).train()
    optimizer = build_optimizer(model, config.training)
    average = EMA(model, 10**12)
    generator, size, count = np.random.default_rng(options.seed), config.training.batch_size, len(data["latents"])
    order: list[int] = []
    seen, begun, budget = 0, time.process_time(), 60 * options.minutes
    while (spent := (time.process_time() - begun) / budget) < 1:
        if len(order) < size:
            order += generator.permutation(count).tolist()
        numbers, order = order[:size], order[size:]
        target = autoencoder.normalise(data["latents"][numbers][:, 3].float())
        batch = Batch(inputs_of(data, numbers, autoencoder, numbers), target, ("",) * size, range(seen, seen + size))
        rate = config.training.lr * min(spent / WARMUP, 1) * min(1.0, (1 - spent) / 0.4)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = objective.loss(model, batch, Noise(options.seed, batch.positions))
        losses.per_sample.mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.training.grad_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += size
        average.half_life = max(1, int(AVERAGED * seen))
        average.update(model, seen, size)
    found = {
        "name": options.name,
        "set": changes,
        "seed": options.seed,
        "minutes": options.minutes,
        "samples": seen,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sets": {path.stem: measure(path, average.model.eval(), objective, autoencoder) for path in sets(options.out)},
    }
    text = TextEncoder(config.text.encoder, config.text.max_tokens)
    Fuser(average.model, autoencoder, text, objective).save(options.out / options.name, config)
    result.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    overall = {name: round(scores["psnr"]["all"], 2) for name, scores in found["sets"].items()}
    print(f"{options.name}: {seen} samples, {overall}", flush=True)


def sets(out: Path) -> list[Path]:
    return sorted(path for path in out.glob("*.pt") if path.stem != "train")


@torch.no_grad()
def measure(path: Path, model: Any, objective: Any, autoencoder: Autoencoder) -> dict[str, Any]:
    """PSNR in dB, the mean over samples capped at 60, by what a sample is; each one's own, for intervals by scene."""
    data = torch.load(path, weights_only=False)
    shuffled = np.random.default_rng(0).permutation(len(data["facts"])).tolist()
    rows = []
    for number, facts in enumerate(data["facts"]):
        target = to_tensor([data["targets"][number].numpy()], autoencoder.device)

        def shown(z: Tensor, size: tuple[int, ...] = tuple(target.shape[-2:])) -> Tensor:
            return autoencoder.decode(autoencoder.denormalise(z), (size[0], size[1])).clamp(-1, 1)

        def fused(prompt: int, number: int = number) -> tuple[Tensor, Inputs]:
            given = inputs_of(data, [number], autoencoder, [prompt])
            return objective.sample(model, given, Noise(0, [number]), None), given

        z, given = fused(number)
        row = dict(facts) | in_parts(shown(z), target)
        row["shuffled"] = capped(shown(fused(shuffled[number])[0]), target)
        row["base"] = capped(shown(given.base), target)
        row["round trip"] = capped(shown(autoencoder.normalise(data["latents"][number, 3:].float())), target)
        rows.append(row)
    return {name: by_what(rows, name) for name in MEASURED} | {"rows": rows}


MEASURED = ("psnr", "signed", "best offset", "best gain", "shuffled", "base", "round trip")
"""What is told of a set, each by what its samples are."""


def in_parts(picture: Tensor, target: Tensor) -> dict[str, float]:
    """The error of a picture, (1, 3, H, W) in [-1, 1]: PSNR as it is, its mean in grey levels, and PSNR after an oracle
    has added one number to the whole, or has scaled it and added one."""
    x, y = picture.flatten(), target.flatten()
    gain = ((x - x.mean()) * (y - y.mean())).mean() / (x - x.mean()).square().mean().clamp_min(1e-9)
    return {
        "psnr": capped(x, y),
        "signed": float((x - y).mean()) * 127.5,
        "best offset": capped(x + (y - x).mean(), y),
        "best gain": capped(gain * (x - x.mean()) + y.mean(), y),
    }


def capped(picture: Tensor, target: Tensor) -> float:
    """PSNR in dB, at most 60."""
    return min(60.0, float(psnr(picture, target)))


def by_what(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for group in ("all", row["task"], row["kind"], *row["effects"]):
            groups[group].append(row[name])
    return {group: float(np.mean(values)) for group, values in sorted(groups.items())}


def table(options: argparse.Namespace) -> None:
    """Every result in a row."""
    results = [json.loads(path.read_text()) for path in sorted(options.out.glob("*.json"))]
    names = sorted({name for result in results for name in result["sets"]})
    groups = ("all", "clean", "keep", "haze", "exposure")
    print(f"| run | M | samples | {' | '.join(f'{name} {group}' for name in names for group in groups)} | shuffled |")
    for result in results:
        cells = [f"{result['sets'][n]['psnr'].get(g, float('nan')):.2f}" for n in names for g in groups]
        lost = [result["sets"][n]["psnr"]["all"] - result["sets"][n]["shuffled"]["all"] for n in names]
        size = f"{result['parameters'] / 1e6:.1f} | {result['samples']}"
        print(f"| {result['name']} | {size} | {' | '.join(cells)} | {' / '.join(f'{x:.2f}' for x in lost)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("encode")
    first.add_argument("--train", required=True)
    first.add_argument("--val", action="append", default=[])
    second = commands.add_parser("run")
    second.add_argument("name")
    second.add_argument("--config", default="release-cpu")
    second.add_argument("--set", action="append", default=[], help="KEY=VALUE of the config")
    second.add_argument("--minutes", type=float, default=12.0, help="of CPU time, one thread")
    second.add_argument("--seed", type=int, default=0)
    third = commands.add_parser("table")
    for command in (first, second, third):
        command.add_argument("--out", type=Path, default=Path("out/ablation"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.command == "encode":
        autoencoder, text = load_autoencoder("mmaif", torch.device("cpu")), TextEncoder()
        for shards, name in [(options.train, "train"), *((path, Path(path).name) for path in options.val)]:
            torch.save(encode(shards, autoencoder, text, name != "train"), options.out / f"{name}.pt")
    elif options.command == "run":
        run(options)
    else:
        table(options)


if __name__ == "__main__":
    main()
