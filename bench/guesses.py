"""What the effect head of some weights finds in degraded pairs, by effect.

    python -m bench.guesses --weights DIR --shards SHARDS

For each effect over all images: its share; the area under the curve of its probability (the chance that an image that
has it is given a higher one than an image that has not; half is chance); recall and precision at a probability of half.
"""

from __future__ import annotations

import numpy as np
import torch

from bench.command import parsed, parser
from bench.document import table
from trainer.data.labels import labels_of
from trainer.data.shards import open_shards
from trainer.errors import UserError
from trainer.inference.fuser import Fuser

QUICK: dict[str, object] = {}


def area(scores: np.ndarray, there: np.ndarray) -> float:
    """Under the receiver operating characteristic, of (N,) scores and truths: Mann and Whitney's U over all pairs."""
    if there.all() or not there.any():
        return float("nan")
    ranks = scores.argsort().argsort()
    return float((ranks[there].mean() - (there.sum() - 1) / 2) / (~there).sum())


def rows(names: tuple[str, ...], scores: np.ndarray, there: np.ndarray) -> list[list[str]]:
    """Of logits and truths, (N, 2, E) each."""
    found = []
    for number, name in enumerate(names):
        logits, truth = scores[..., number].ravel(), there[..., number].ravel()
        said = logits > 0
        right = float((said & truth).sum())
        recall, precision = right / max(1, truth.sum()), right / max(1, said.sum())
        found.append([name, f"{truth.mean():.3f}", f"{area(logits, truth):.2f}", f"{recall:.2f}", f"{precision:.2f}"])
    return found


@torch.no_grad()
def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--weights", required=True)
    wanted.add_argument("--shards", required=True)
    given = parsed(wanted, globals(), QUICK)
    fuser, shards = Fuser.from_pretrained(given.weights, "cpu"), open_shards([given.shards], 0)
    names = fuser.model.network.effects
    if not names:
        raise UserError(f"--weights {given.weights}: no effect head in them")
    scores, there = [], []
    for number in range(len(shards)):  # type: ignore[arg-type]
        sample = shards.load([number])[0]
        scores.append(fuser.guess(sample.a, sample.b)[..., 0].numpy())
        there.append((labels_of(sample.record, names) != 0).numpy())
    print(table(["effect", "share", "area", "recall", "precision"], rows(names, np.array(scores), np.array(there))))


if __name__ == "__main__":
    main()
