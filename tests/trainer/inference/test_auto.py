"""From a guess to a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.trainer.helpers import Command, picture, png
from trainer import Fuser
from trainer.config import load_config
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.inference.auto import Found, found_in, sentence, standard_clauses
from trainer.model.dit import FusionDiT
from trainer.objectives import STANDARD, make_objective

EFFECTS = ("haze", "noise", "sensor_noise", "sandstorm")
A, B, BOTH = ("a",), ("b",), ("a", "b")


def test_what_is_surer_than_half_is_found_the_surest_first() -> None:
    guess = torch.full((2, 4, 2), -3.0)
    guess[:, 0] = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    guess[1, 1] = torch.tensor([4.0, -1.0])
    first, second = found_in(guess, EFFECTS)
    assert (first.effect, first.images, second.effect, second.images) == ("noise", B, "haze", BOTH)
    assert first.probability == pytest.approx(torch.tensor(4.0).sigmoid().item())
    assert second.severity == pytest.approx(torch.tensor(1.0).sigmoid().item())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "fuse the two images"),
        ([("haze", BOTH)], "remove the haze and fuse the images"),
        ([("haze", B)], "remove the haze in the second image and fuse the images"),
        ([("rain", BOTH), ("noise", A)], "remove the rain and remove the noise in the first image and fuse the images"),
        ([("noise", A), ("sensor_noise", B)], "remove the noise and fuse the images"),
        ([("sand_storm", A)], "remove the sand storm in the first image and fuse the images"),
        (
            [("snow", BOTH), ("exposure.dark", A), ("jpeg", BOTH), ("blur", BOTH)],
            "remove the snow, remove the darkness in the first image and remove the JPEG artefacts and fuse the images",
        ),
    ],
)
def test_the_surest_three_are_asked_away(found: list[tuple[str, tuple[str, ...]]], said: str) -> None:
    assert sentence([Found(*each, 0.9, 0.5) for each in found], standard_clauses()) == said


def fuser_of(effects: tuple[str, ...]) -> Fuser:
    torch.manual_seed(0)
    autoencoder = Autoencoder(KLTAutoencoder(16))
    model = FusionDiT(16, 8, 384, {"width": 32, "depth": 1, "heads": 2, "effects": effects})
    return Fuser(model, autoencoder, TextEncoder(max_tokens=40), make_objective(STANDARD, autoencoder))


def test_auto_is_the_sentence_that_is_described_and_stands_in_the_folder(tmp_path: Path, trainer_main: Command) -> None:
    fuser = fuser_of(EFFECTS)
    with torch.no_grad():
        fuser.model.effects.out.bias.copy_(torch.tensor([1.0, 0.0] + [-9.0, 0.0] * 7))  # haze in a
        fuser.model.out.weight.normal_(std=0.1)
    clauses = standard_clauses()
    fuser.clauses = clauses.model_copy(update={"effects": {"haze": "drive off the fog{w}"}})
    fuser.save(tmp_path / "weights", load_config("tiny"))
    again, a, b = Fuser.from_pretrained(tmp_path / "weights", "cpu"), picture(1), picture(2)
    said = "drive off the fog in the first image and fuse the images"
    assert again.describe(a, b) == said
    assert (again(a, b, "auto") == again(a, b, said)).all()
    assert (again(a, b, "auto") != again(a, b, "fuse the two images")).any()
    for name, image in (("a", a), ("b", b)):
        (tmp_path / f"{name}.png").write_bytes(png(image))
    command = ("fuse", tmp_path / "a.png", tmp_path / "b.png", "--prompt", "auto", "--out", tmp_path / "out.png")
    code, out, _ = trainer_main(*command, "--weights", tmp_path / "weights", "--device", "cpu")
    assert (code, out.splitlines()[0]) == (0, f"auto: {said}")


def test_weights_without_an_effect_head_say_so() -> None:
    with pytest.raises(UserError, match="no effect head; say in words"):
        fuser_of(()).describe(picture(1), picture(2))
