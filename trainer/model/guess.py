"""The effect head: which effects are in a and in b, and how strong, as the network sees before it hears a word."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.model.inputs import Term, Terms

THIN = 32
"""Channels of which mean and deviation over the positions are looked at."""
WEIGHT = 0.02
"""Of its error in the loss of the network."""


class Guess(nn.Module):
    """Mean and standard deviation, over all positions, of a thin map of what the layers are given: a few thousand
    weights beside a network of millions, so they tell what its positions know, and find little out by themselves.
    """

    def __init__(self, width: int, effects: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(effects)
        self.thin = nn.Linear(width, THIN)
        self.out = nn.Linear(2 * THIN, 2 * 2 * len(self.names))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, N, D) → (B, 2, E, 2) float32: for a and b and each effect the logits of its presence and severity."""
        thin = F.silu(self.thin(x).float())
        seen = torch.cat([thin.mean(1), (thin.var(1, correction=0) + 1e-6).sqrt()], dim=1)
        return self.out(seen).float().unflatten(-1, (2, len(self.names), 2))


class Unguessed(nn.Module):
    """In place of the effect head where there is none."""

    def forward(self, x: Tensor) -> None:
        return None


def guess_terms(guess: Tensor | None, labels: Tensor | None) -> Terms:
    """The error of a guess, (B, 2, E, 2), as a term of the loss; none where there is no guess or no label.

    labels: (B, 2, E): 0 where an effect is absent, its severity in (0, 1] where it is there, NaN where it is there and
    has none. Cross entropy of presence, in nats an effect and image, and the squared error of the severities known.
    """
    if guess is None or labels is None:
        return {}
    there, severity = (labels != 0).float(), guess[..., 1].sigmoid()
    presence = F.binary_cross_entropy_with_logits(guess[..., 0], there, reduction="none").mean((1, 2))
    known = labels > 0
    apart = torch.where(known, severity - labels.nan_to_num(), 0.0).square().sum((1, 2))
    return {"effects": Term(presence + apart / known.sum((1, 2)).clamp_min(1), WEIGHT)}
