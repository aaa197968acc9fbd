"""A flow from a frozen regression beside that regression given the same time.

    python -m bench.flow out/ablation/NAME --minutes 12

takes the weights of a regression that `python -m bench.ablation run NAME` has left, and the sets that `encode` has kept
in the same folder. For equal CPU time on one thread it trains (a) a flow that starts from it and (b) the regression
itself, going on. It prints by set and effect what they reach, and keeps a row for each sample in OUT/NAME-flow.json,
the weights in OUT/NAME-flow and OUT/NAME-on: PSNR in dB; and, which PSNR does not favour, how sharp the picture is
beside the target: its mean gradient, and its power in the top octave of frequencies, each over the target's. 1 is as
sharp, less is softer. `target` is the target through the autoencoder: no latent does better.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

from bench.ablation.kept import capped, inputs_of, sets
from bench.ablation.runs import Form, Trial, rehearse, seconds
from bench.command import parsed, parser
from trainer.data.images import to_tensor
from trainer.frozen.autoencoder import Autoencoder
from trainer.inference.folder import Weights, load_weights
from trainer.model.dit import FusionDiT
from trainer.model.inputs import Inputs
from trainer.objectives import Noise, Objective
from trainer.training.ema import EMA
from trainer.training.initial import Initial

FLOW = {
    "model.adapters": 16,
    "objective": {"kind": "flow", "start": "regression", "sigma": 0.05, "times": "early"},
    "training.lr": 1e-3,
}
"""What makes a flow of a regression's config; --flow changes more."""
ON = {"training.lr": 3e-4}
"""What changes where the regression goes on; --on changes more."""
STEPS = (1, 2, 4)
"""Of the flow's sampler."""
LUMA = (0.299, 0.587, 0.114)
FAINT = 1e-8
"""Added to a gradient's mean and to a power before they are divided: a flat target has neither."""
QUICK = {"minutes": 0, "limit": 1}

Sampler = Callable[[Inputs, int], Tensor]
"""Inputs of a sample and its number → normalised latent."""


class Sharpness(NamedTuple):
    """Of a picture, over the target's."""

    gradient: float
    """Mean length of the luma's gradient."""
    octave: float
    """Power of the luma at 1/4 to 1/2 cycle a pixel, in any direction."""


def sharpness(picture: Tensor, target: Tensor) -> Sharpness:
    """Both (1, 3, H, W) in [-1, 1]."""
    (g, p), (g_target, p_target) = (_sharp(image) for image in (picture, target))
    return Sharpness((g + FAINT) / (g_target + FAINT), (p + FAINT) / (p_target + FAINT))


def _sharp(image: Tensor) -> tuple[float, float]:
    """Mean gradient, and mean power in the top octave under a Hann window, which hides that borders do not meet."""
    x = (image[0] * image.new_tensor(LUMA)[:, None, None]).sum(0)
    down, across = x.diff(dim=0)[:, :-1], x.diff(dim=1)[:-1]
    height, width = x.shape
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    power = torch.fft.rfft2((x - x.mean()) * window, norm="ortho").abs().square()
    radius = (torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()).sqrt()
    return float((down.square() + across.square()).sqrt().mean()), float(
        power[(radius >= 0.25) & (radius <= 0.5)].mean()
    )


def trained(form: Form, weights: Weights, samples: int, kept: Path) -> Trial:
    """A trial that begins from weights, after so many samples."""
    trial = Trial(form, kept)
    Initial(model=weights.model).into(trial.model)
    trial.average = EMA(trial.model, 10**12)
    while trial.seen < samples:
        trial.step(trial.seen / samples)
    trial.average.model.eval()
    return trial


def sampler(model: FusionDiT, objective: Objective[Any], steps: int | None = None) -> Sampler:
    """What a network makes of a sample."""
    return lambda inputs, number: objective.sample(model, inputs, Noise(0, [number]), steps).z


@torch.no_grad()
def measure(path: Path, samplers: Mapping[str, Sampler], autoencoder: Autoencoder, limit: int | None) -> list[Any]:
    """A row for each sample of a set: its facts, and by sampler PSNR, gradient and octave."""
    data = torch.load(path, weights_only=False, mmap=True)
    rows = []
    for number, facts in enumerate(data["facts"][:limit]):
        target = to_tensor([data["targets"][number].numpy()], autoencoder.device)
        given, size = inputs_of(data, [number], autoencoder, [number]), (target.shape[-2], target.shape[-1])
        latents = {name: make(given, number) for name, make in samplers.items()}
        latents |= {"base": given.base, "target": autoencoder.normalise(data["latents"][number, 3:].float())}
        row: dict[str, Any] = {}
        for name, z in latents.items():
            picture = autoencoder.decode(autoencoder.denormalise(z), size).clamp(-1, 1)
            row[name] = {"psnr": capped(picture, target)} | sharpness(picture, target)._asdict()
        rows.append(facts | {"of": row})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Of a set: by task, kind of sentence and effect, each one's PSNR (mean) / gradient / octave (geometric means)."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        for group in ("all", row["task"], row["kind"], *row["effects"]):
            groups[group].append(row["of"])
    names = list(rows[0]["of"])
    lines = [f"| | n | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for group, of in sorted(groups.items()):
        cells = [_cell([each[name] for each in of]) for name in names]
        lines.append(f"| {group} | {len(of)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: list[dict[str, float]]) -> str:
    psnr = sum(each["psnr"] for each in found) / len(found)
    ratios = (math.exp(sum(math.log(each[name]) for each in found) / len(found)) for name in Sharpness._fields)
    return " / ".join([f"{psnr:.2f}", *(f"{ratio:.2f}" for ratio in ratios)])


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("weights", type=Path, help="of a regression, beside the kept sets")
    wanted.add_argument("--flow", action="append", default=[], help="KEY=VALUE of the flow's config")
    wanted.add_argument("--on", action="append", default=[], help="KEY=VALUE of the config of the regression going on")
    wanted.add_argument("--minutes", type=float, default=12.0, help="of CPU time each, one thread")
    wanted.add_argument("--seed", type=int, default=0)
    wanted.add_argument("--limit", type=int, help="at most so many samples of a set are measured")
    wanted.add_argument("--kept", type=Path, help="folder of the kept sets; default: that of the weights")
    options = parsed(wanted, globals(), QUICK)
    if options.quick:
        rehearse()
    torch.set_num_threads(1)
    compare(options, options.weights.parent, options.kept or options.weights.parent)


def compare(options: argparse.Namespace, out: Path, kept: Path) -> None:
    """Train both, measure both, and keep what is found."""
    name, base = options.weights.name, str(options.weights / "config.yaml")
    forms = {
        "flow": Form(f"{name}-flow", FLOW | _values(options.flow), base, options.seed),
        "on": Form(f"{name}-on", ON | _values(options.on), base, options.seed),
    }
    weights, taken = load_weights(options.weights, torch.device("cpu")), seconds(list(forms.values()), kept)
    trials = {}
    for kind, form in forms.items():
        samples = form.samples(options.minutes, taken[form.name])
        trials[kind] = trained(form, weights, samples, kept)
        trials[kind].save(out / form.name)
        print(f"{form.name}: {samples} samples, {taken[form.name]:.3f} CPU seconds a step", flush=True)
    flow, on = trials["flow"], trials["on"]
    samplers = {"before": sampler(weights.model, weights.objective), "on": sampler(on.average.model, on.objective)}
    samplers |= {f"flow, {steps}": sampler(flow.average.model, flow.objective, steps) for steps in STEPS}
    found = {}
    for path in sets(kept):
        found[path.stem] = measure(path, samplers, weights.autoencoder, options.limit)
        print(f"\n{path.stem}: PSNR / gradient / top octave\n\n{table(found[path.stem])}", flush=True)
    result = {
        "name": f"{name}-flow",
        "minutes": options.minutes,
        "seed": options.seed,
        "changes": {kind: dict(form.changes) for kind, form in forms.items()},
        "samples": {kind: trial.seen for kind, trial in trials.items()},
        "rows": found,
    }
    (out / f"{name}-flow.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _values(changes: list[str]) -> dict[str, Any]:
    pairs = (change.split("=", 1) for change in changes)
    return {key: yaml.safe_load(value) for key, value in pairs}


if __name__ == "__main__":
    main()
