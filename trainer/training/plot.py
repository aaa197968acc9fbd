"""The curves of runs, from their logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trainer.errors import UserError

PANELS = (
    ("loss", "loss", True),
    ("val/psnr", "PSNR of held-out samples, dB", False),
    ("val/ssim", "SSIM of held-out samples", False),
    ("lr", "learning rate", False),
    ("grad_norm", "norm of the gradient", True),
    ("samples_per_s", "samples a second", False),
)
"""Keys of the log, what they are, and whether their axis is logarithmic where all is above zero."""
LOG = "log.jsonl"
SMOOTH = 0.05
"""Share of a curve over which its bold line is averaged."""


def read_log(run: Path) -> list[dict[str, float]]:
    """The lines of a run's log, by its folder or the log itself. Raises UserError."""
    path = run / LOG if run.is_dir() else run
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise UserError(f"{path}: no log of a run; give the folder that `trainer train --out` wrote") from None
    lines = []
    for line in text.split("\n"):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was killed
        if isinstance(values, dict) and isinstance(values.get("samples"), int):
            lines.append({name: value for name, value in values.items() if isinstance(value, int | float)})
    if not lines:
        raise UserError(f"{path}: no line of a log in it yet; wait for `run.log_every` samples")
    return lines


def curve(lines: Sequence[dict[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Samples and values of the lines that have the key."""
    there = [line for line in lines if key in line]
    return [line["samples"] for line in there], [line[key] for line in there]


def plot(runs: Sequence[Path], out: Path) -> None:
    """One picture, a panel a quantity and a line a run; panels that no run has are left out. Raises UserError."""
    from matplotlib.figure import Figure

    runs = list({_folder(run.resolve()): run for run in runs}.values())
    logs = dict(zip(labels_of(runs), map(read_log, runs), strict=True))
    panels = [panel for panel in PANELS if any(panel[0] in line for lines in logs.values() for line in lines)]
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(11, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).flatten()
    for axis, (key, title, logarithmic) in zip(axes, panels, strict=False):
        low = float("inf")
        for name, lines in logs.items():
            samples, values = curve(lines, key)
            if not values:
                continue
            low = min(low, *values)
            (line,) = axis.plot(samples, values, alpha=0.35 if len(values) > 20 else 1, label=name)
            if len(values) > 20:
                line.set_label("")
                axis.plot(samples, smoothed(values), color=line.get_color(), label=name)
        if logarithmic and low > 0:
            axis.set_yscale("log")
        axis.set(title=title, xlabel="samples")
        axis.grid(alpha=0.3)
        if len(logs) > 1:
            axis.legend()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    try:
        figure.savefig(out)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {out}: cannot be written ({error}); name a .png, .svg or .pdf") from None


def labels_of(runs: Sequence[Path]) -> list[str]:
    """Of different runs, by folder or log: of each path the shortest end that no other has."""
    named = [_folder(run.absolute()).parts for run in runs]
    labels = []
    for number, parts in enumerate(named):
        others = [other for at, other in enumerate(named) if at != number]
        length = next((n for n in range(1, len(parts)) if all(o[-n:] != parts[-n:] for o in others)), len(parts))
        labels.append(str(Path(*parts[-length:])).replace("$", r"\$"))  # which begins mathematics
    return labels


def _folder(run: Path) -> Path:
    return run.parent if run.name == LOG else run


def smoothed(values: Sequence[float]) -> list[float]:
    """A running mean over SMOOTH of the curve, from its beginning on."""
    width = max(1, round(SMOOTH * len(values)))
    return [sum(values[max(0, i + 1 - width) : i + 1]) / min(width, i + 1) for i in range(len(values))]
