"""The effect head: what it goes by, what it costs to be wrong, and that it can be right."""

from __future__ import annotations

import math

import torch

from tests.trainer.model.test_dit import build, inputs
from trainer.model.guess import WEIGHT, Guess, guess_terms

EFFECTS = ("haze", "noise", "exposure.dark")


def test_it_goes_by_the_pictures_and_by_no_word() -> None:
    for form in ({}, {"fine": 1}):
        model, given = build(effects=EFFECTS, **form), inputs()
        guess = model(given).guess
        assert guess is not None
        assert guess.shape == (2, 2, len(EFFECTS), 2)
        other = given.prompts._replace(tokens=-given.prompts.tokens, pooled=given.prompts.pooled + 1)
        assert torch.equal(model(given._replace(prompts=other)).guess, guess)
        for name in ("z_a", "z_b", "base"):
            assert not torch.allclose(model(given._replace(**{name: getattr(given, name) * 2})).guess, guess), name
        assert build(**form)(given).guess is None


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def test_its_error_is_the_cross_entropy_and_that_of_the_severities_that_are_known() -> None:
    guess = torch.zeros(1, 2, 3, 2)
    guess[0, 0, 0] = torch.tensor([logit(0.9), logit(0.5)])
    labels = torch.zeros(1, 2, 3)
    labels[0, 0, 0], labels[0, 1, 2] = 0.8, math.nan  # one with a severity, one without
    term = guess_terms(guess, labels)["effects"]
    presence = -(math.log(0.9) + 5 * math.log(0.5)) / 6
    torch.testing.assert_close(term.value, torch.tensor([presence + 0.3**2]))
    assert term.weight == WEIGHT
    sure = torch.where(labels[..., None] != 0, 40.0, -40.0).expand(1, 2, 3, 2).clone()
    sure[0, 0, 0, 1] = logit(0.8)
    torch.testing.assert_close(guess_terms(sure, labels)["effects"].value, torch.zeros(1))


def test_what_is_not_there_costs_nothing() -> None:
    assert guess_terms(None, torch.zeros(1, 2, 3)) == guess_terms(torch.zeros(1, 2, 3, 2), None) == {}


def test_it_finds_what_positions_know() -> None:
    torch.manual_seed(0)
    head = Guess(16, EFFECTS)
    labels = (torch.rand(64, 2, 3) < 0.4).float() * torch.rand(64, 2, 3).clamp_min(0.1)
    direction = torch.randn(6, 16)
    x = torch.randn(64, 30, 16) + (labels != 0).flatten(1).float()[:, None] @ direction
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(300):
        guess_terms(head(x), labels)["effects"].value.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert ((head(x)[..., 0] > 0) == (labels != 0)).float().mean() > 0.97
