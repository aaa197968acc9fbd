"""One run: a form of the network, trained on what is kept, for as many samples as fit into some minutes of CPU time.

How long a step takes is measured first, each form beside all others in rounds, so that what else the machine does falls
on all of them alike; a run is then a number of samples, whatever happens while it goes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from bench.ablation.kept import inputs_of, sets
from bench.ablation.measure import measure
from trainer.config import Config, load_config
from trainer.data.batches import Batch, Crops
from trainer.data.images import from_bytes
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.fuser import Fuser
from trainer.model.inputs import in_range
from trainer.objectives import Noise, make_objective
from trainer.training.ema import EMA
from trainer.training.optimizers import build_optimizers
from trainer.training.parts import build_model

WARMUP = 0.05
"""Share of the samples over which the rate rises."""
DECAY = 0.4
"""Share of the samples, at the end, over which it falls to zero."""
AVERAGED = 0.05
"""Half-life of the averaged weights, as a share of the samples seen."""
ROUNDS, STEPS = 5, 6
"""In which steps are timed, and how many of them a form has in a round, evenly over the run: a loss may change on the
way."""


_less: dict[str, Any] = {}


def rehearse() -> None:
    """From now on forms are small where their own changes do not say how large, and steps are timed once."""
    global ROUNDS, STEPS, _less
    ROUNDS = STEPS = 1
    _less = {"model.width": 32, "model.depth": 1, "model.heads": 2, "training.batch_size": 2}


@dataclass(frozen=True)
class Form:
    """What is run: a config, and what is changed in it by key."""

    name: str
    changes: Mapping[str, Any]
    base: str = "release-cpu"
    seed: int = 0

    def config(self) -> Config:
        return load_config(self.base, _less | dict(self.changes))

    def samples(self, minutes: float, step: float) -> int:
        """Those of the steps that fit, where one takes `step` seconds; one step at least."""
        return self.config().training.batch_size * max(1, round(60 * minutes / step))


class Trial:
    """A form in training."""

    def __init__(self, form: Form, out: Path) -> None:
        self.form, self.config = form, form.config()
        self.autoencoder = load_autoencoder(self.config.autoencoder.path, torch.device("cpu"))
        self.data = torch.load(out / "train.pt", weights_only=False, mmap=True)
        self.objective = make_objective(self.config.objective, self.autoencoder)
        torch.manual_seed(form.seed)
        self.model = build_model(self.config, self.autoencoder, self.data["pooled"].shape[1]).train()
        self.optimizers = build_optimizers(self.model, self.config.training)
        self.average = EMA(self.model, 10**12)
        self._generator, self._order, self.seen = np.random.default_rng(form.seed), [0] * 0, 0

    def step(self, share: float) -> None:
        """One, at that share of the run."""
        size = self.config.training.batch_size
        if len(self._order) < size:
            self._order += self._generator.permutation(len(self.data["latents"])).tolist()
        numbers, self._order = self._order[:size], self._order[size:]
        target = self.autoencoder.normalise(self.data["latents"][numbers][:, 3].float())
        inputs = inputs_of(self.data, numbers, self.autoencoder, numbers)
        batch = Batch(inputs, target, ("",) * size, range(self.seen, self.seen + size), share=share)
        if self.objective.needs_pictures:
            a, b, _ = in_range(self.data["pixels"][numbers]).unbind(1)
            batch = batch._replace(crops=Crops(a, b, from_bytes(self.data["targets"][numbers])))
        rate = self.config.training.lr * min(share / WARMUP, 1) * min(1.0, (1 - share) / DECAY)
        losses = self.objective.loss(self.model, batch, Noise(self.form.seed, batch.positions))
        losses.per_sample.mean().backward()
        self.optimizers.step(rate, self.config.training.grad_clip)
        self.seen += size
        self.average.half_life = max(1, int(AVERAGED * self.seen))
        self.average.update(self.model, self.seen, size)

    def save(self, folder: Path) -> None:
        """The averaged weights, as a folder for Fuser."""
        text = TextEncoder(self.config.text.encoder, self.config.text.max_tokens)
        Fuser(self.average.model, self.autoencoder, text, self.objective).save(folder, self.config)


def seconds(forms: list[Form], out: Path) -> dict[str, float]:
    """CPU seconds of a step of each form, by name, in the mean of a run: medians of rounds, each form in its turn."""
    torch.set_num_threads(1)
    trials = {form.name: Trial(form, out) for form in forms}
    taken: dict[str, list[list[float]]] = {name: [[] for _ in range(STEPS)] for name in trials}
    for _ in range(ROUNDS):
        for name, trial in trials.items():
            trial.step(0.0)
            for number in range(STEPS):
                begun = time.process_time()
                trial.step((number + 0.5) / STEPS)
                taken[name][number].append(time.process_time() - begun)
    return {name: float(np.mean([np.median(values) for values in each])) for name, each in taken.items()}


def run(form: Form, samples: int, out: Path) -> dict[str, Any]:
    """Train on so many samples and measure; OUT/NAME.json and OUT/NAME, the weights. What is there is not run again."""
    result = out / f"{form.name}.json"
    if result.exists():
        return json.loads(result.read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    begun, trial = time.process_time(), Trial(form, out)
    while trial.seen < samples:
        trial.step(trial.seen / samples)
    minutes = (time.process_time() - begun) / 60
    model = trial.average.model.eval()
    found = {
        "name": form.name,
        "set": dict(form.changes),
        "seed": form.seed,
        "samples": trial.seen,
        "minutes": minutes,
        "parameters": sum(p.numel() for p in model.parameters()),
        "sets": {path.stem: measure(path, model, trial.objective, trial.autoencoder) for path in sets(out)},
    }
    trial.save(out / form.name)
    result.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    overall = {name: round(scores["psnr"]["all"], 2) for name, scores in found["sets"].items()}
    print(f"{form.name}: {trial.seen} samples in {minutes:.1f} minutes, {overall}", flush=True)
    return found


def timed(name: str, forms: Sequence[Form], minutes: float, out: Path) -> dict[str, int]:
    """How many samples each form sees in so many minutes, all timed in turn; kept in OUT/NAME-steps.json."""
    path = out / f"{name}-steps.json"
    if not path.exists():
        path.write_text(json.dumps(seconds(list(forms), out), indent=1) + "\n", encoding="utf-8")
    taken = json.loads(path.read_text(encoding="utf-8"))
    known = {form.name: form for form in forms}
    return {name: known[name].samples(minutes, step) for name, step in taken.items()}


def trials(file: Path, seeds: Sequence[int], minutes: float, out: Path, part: tuple[int, int]) -> None:
    """The forms in a YAML file with each seed as runs NAME-SEED; of those that are missing part i of n."""
    changes = yaml.safe_load(file.read_text(encoding="utf-8"))
    samples = timed(file.stem, [Form(name, of) for name, of in changes.items()], minutes, out)
    every = [(name, seed) for seed in seeds for name in changes]
    for name, seed in every[part[0] :: part[1]]:
        run(Form(f"{name}-{seed}", changes[name], seed=seed), samples[name], out)
