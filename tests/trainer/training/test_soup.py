"""The mean of several weights folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainer.helpers import Command, picture
from trainer import Fuser
from trainer.config import load_config
from trainer.data.images import to_tensor
from trainer.errors import UserError
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.klt import KLTAutoencoder
from trainer.frozen.text import TextEncoder
from trainer.model.dit import FusionDiT
from trainer.objectives import STANDARD, make_objective
from trainer.training.soup import mean_of

NETWORK: dict[str, object] = {"width": 32, "depth": 1, "heads": 2}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """As if trained: two of one network, some with an effect head or a detail stage too, one of another width."""
    found, text, root = {}, TextEncoder(max_tokens=16), tmp_path_factory.mktemp("soup")
    pictures = list(to_tensor([picture(i, 64) for i in range(8)], torch.device("cpu")))
    autoencoder = Autoencoder(KLTAutoencoder.fit(pictures, 16))
    variants: dict[str, dict[str, object]] = {
        "one": {},
        "two": {},
        "head": {"effects": ("haze", "noise")},
        "turned": {"effects": ("noise", "haze")},
        "longer": {"effects": ("haze", "noise", "rain")},
        "fine": {"detail": {"width": 8, "blocks": 1}},
        "finer": {"detail": {"width": 16, "blocks": 1}},
        "wide": {"width": 48},
    }
    for seed, (name, added) in enumerate(variants.items()):
        torch.manual_seed(seed)
        model = FusionDiT(16, 8, 384, NETWORK | added)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.05)
        found[name] = root / name
        fuser = Fuser(model, autoencoder, text, make_objective(STANDARD, autoencoder))
        fuser.save(root / name, load_config("tiny"))
    return found


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(Fuser.from_pretrained(folder, "cpu").model.state_dict())


def test_each_weight_is_the_mean_of_those_that_have_it(
    folders: dict[str, Path], tmp_path: Path, trainer_main: Command
) -> None:
    code, said, _ = trainer_main("average", folders["one"], folders["two"], folders["head"], "--out", tmp_path / "mean")
    assert (code, said) == (0, f"weights: {tmp_path / 'mean'} (the mean of 3)\n")
    assert str(folders["head"]) not in (tmp_path / "mean/dit/config.json").read_text(), "no path of this machine"
    one, two, head = (weights_of(folders[name]) for name in ("one", "two", "head"))
    mean = weights_of(tmp_path / "mean")
    assert set(mean) == set(head) > set(one)
    for name, tensor in mean.items():
        expected = (one[name] + two[name] + head[name]) / 3 if name in one else head[name]
        torch.testing.assert_close(tensor, expected, msg=name)


def test_what_cannot_be_averaged_is_told(folders: dict[str, Path], tmp_path: Path, trainer_main: Command) -> None:
    with pytest.raises(UserError, match=r"one: its network, objective or autoencoder is another than that of .*wide"):
        mean_of([folders["one"], folders["wide"]], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    for one, other, part in (("head", "turned", "effects"), ("head", "longer", "effects"), ("fine", "finer", "detail")):
        with pytest.raises(UserError, match=rf"{one}: its model\.{part} is another than that of .*{other}"):
            mean_of([folders[one], folders[other]], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    with pytest.raises(UserError, match=r"^\S*nosuch: no fuser.json in it"):
        mean_of([folders["one"], folders["one"].parent / "nosuch"], tmp_path / "mean")
    with pytest.raises(UserError, match="is there already"):
        mean_of([folders["one"], folders["two"]], tmp_path)
    for words, told in {
        (folders["one"],): "give --std for the snapshots of a run, or two weights folders",
        (folders["one"], folders["two"], "--std", "0.1"): "--std: is of the snapshots of one run",
    }.items():
        code, _, said = trainer_main("average", *words, "--out", tmp_path / "x")
        assert code == 2
        assert told in said
