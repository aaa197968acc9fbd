"""Weights that hold a regression and a flow beside it: either fuses, by name; and what knows no steps says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainer.helpers import Command, picture, png
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import read_image, to_tensor
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES, STANDARD, make_objective

NETWORK = {"width": 32, "depth": 1, "heads": 2}
PROMPT = "fuse the images"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights folders, as if trained: of a regression, and of a flow with adapters beside it."""
    torch.manual_seed(0)
    autoencoder = Autoencoder(
        KLTAutoencoder.fit(list(to_tensor([picture(i, 64) for i in range(8)], torch.device("cpu"))), 16)
    )
    regression = FusionDiT(16, 8, 384, NETWORK)
    flow = FusionDiT(16, 8, 384, NETWORK | {"adapters": 4}, time=True)
    assert flow.head is not None
    for layer in (regression.out, flow.head.out):
        nn.init.normal_(layer.weight, std=0.05)
    flow.load_state_dict(dict(flow.state_dict()) | regression.state_dict())
    settings = OBJECTIVES["flow"].Config.model_validate({"kind": "flow", "start": "regression", "steps": 2})
    folder, text, config = tmp_path_factory.mktemp("variants"), TextEncoder(max_tokens=16), load_config("tiny")
    for name, model, of in (("one", regression, STANDARD), ("two", flow, settings)):
        Fuser(model, autoencoder, text, make_objective(of, autoencoder)).save(folder / name, config)
    return folder / "one", folder / "two"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    for number, name in enumerate("ab"):
        (tmp_path / f"{name}.png").write_bytes(png(picture(number, 48)))
    return tmp_path / "a.png", tmp_path / "b.png"


def test_the_regression_beneath_a_flow_is_the_regression(both: tuple[Path, Path], pair: tuple[Path, Path]) -> None:
    expected = Fuser.from_pretrained(both[0], "cpu")(*pair, PROMPT)
    beneath = Fuser.from_pretrained(both[1], "cpu", variant="regression")
    np.testing.assert_array_equal(beneath(*pair, PROMPT), expected)
    flow, named = (Fuser.from_pretrained(both[1], "cpu", variant)(*pair, PROMPT, seed=3) for variant in (None, "flow"))
    np.testing.assert_array_equal(flow, named)
    assert (flow != expected).any()


def test_the_regression_beneath_is_weights_of_its_own(both: tuple[Path, Path], tmp_path: Path) -> None:
    beneath = Fuser.from_pretrained(both[1], "cpu", variant="regression")
    beneath.save(tmp_path / "alone", load_config("tiny"))
    alone = Fuser.from_pretrained(tmp_path / "alone", "cpu")
    ours, theirs = alone.model.state_dict(), Fuser.from_pretrained(both[0], "cpu").model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("weights", [0, 1])
def test_the_command_takes_a_variant(weights, both, pair, tmp_path, trainer_main: Command) -> None:
    out = tmp_path / "out.png"
    arguments = ("fuse", *pair, "--prompt", PROMPT, "--weights", both[weights], "-o", out)
    code, _, told = trainer_main(*arguments, "--variant", "regression")
    assert code == 0, told
    np.testing.assert_array_equal(read_image(out), Fuser.from_pretrained(both[0], "cpu")(*pair, PROMPT))


@pytest.mark.parametrize(
    ("weights", "options", "said"),
    [
        (0, ("--variant", "flow"), "one holds a regression; --variant regression, or other weights"),
        (1, ("--variant", "waves"), "two holds a flow and the regression beneath it; --variant flow or regression"),
        (0, ("--steps", "4"), "steps 4: these weights fuse by a regression, which knows no steps"),
        (1, ("--steps", "4", "--variant", "regression"), "steps 4: these weights fuse by a regression"),
        (1, ("--seed", "-1"), "seed: Input should be greater than or equal to 0"),
        (0, ("--prompt", "auto"), "these weights have no effect head"),
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_what_weights_cannot_do_is_one_line(  # noqa: PLR0913
    weights, options, said, folder, both, pair, tmp_path, trainer_main: Command
) -> None:
    given, out = ((tmp_path,), "out") if folder else (pair, "out.png")
    code, _, told = trainer_main(
        "fuse", *given, "--prompt", PROMPT, "--weights", both[weights], "-o", tmp_path / out, *options
    )
    assert code == 2
    assert said in told
    assert told.count("\n") == 1
    assert not (tmp_path / out).exists()


def test_in_python_too(both: tuple[Path, Path], pair: tuple[Path, Path]) -> None:
    regression, flow = (Fuser.from_pretrained(folder, "cpu") for folder in both)
    for fuser, options in (
        (regression, {"steps": 1}),
        (flow, {"steps": 0}),
        (flow, {"seed": -1}),
        (flow, {"seed": 2**64}),
    ):
        with pytest.raises(UserError):
            fuser(*pair, PROMPT, **options)
    assert (flow(*pair, PROMPT, steps=1) != flow(*pair, PROMPT, steps=5)).any()


def test_evaluate_measures_each_variant(both, pair, tmp_path, trainer_main: Command) -> None:
    scene = tmp_path / "pairs/mef/x-1"
    scene.mkdir(parents=True)
    for path in pair:
        (scene / path.name).write_bytes(path.read_bytes())
    arguments = ("--pairs", tmp_path / "pairs", "--weights", both[1], "--out", tmp_path / "o")
    code, said, told = trainer_main("evaluate", *arguments, "--variant", "regression", "--variant", "flow")
    assert code == 0, told
    assert "| two, regression |" in said
    assert "| two, flow |" in said
