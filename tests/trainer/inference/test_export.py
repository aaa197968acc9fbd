"""A regression as an ONNX file: the graph makes Fuser's pictures, and what is no good is not written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.conftest import ROOT
from tests.trainer.helpers import Command, picture
from trainer import Fuser
from trainer.errors import UserError
from trainer.frozen import fusion
from trainer.frozen.graph import fuse_base, thumbnails
from trainer.inference import export
from trainer.inference.graph import Baked, Open
from trainer.model.dit import FusionDiT
from trainer.objectives import OBJECTIVES, make_objective

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SMALL = {"width": 32, "depth": 2, "heads": 2}
HOURGLASS = SMALL | {"fine": 1, "naf": False, "tone": True}


def shown(seed: int, height: int, width: int) -> torch.Tensor:
    """A noisy picture, (1, 3, height, width) in [-1, 1]."""
    made = torch.from_numpy(np.resize(picture(seed, 256), (height, width, 3)).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    noise = torch.randn(made.shape, generator=torch.Generator().manual_seed(seed))
    return (made + 0.05 * noise).clamp(-1, 1)


def of_chance(model: FusionDiT) -> FusionDiT:
    """With weights that make something of every part, also of those that begin at zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim:
                parameter.copy_(torch.randn_like(parameter) / max(parameter[0].numel(), 16) ** 0.5 / 2)
    return model.eval()


def small(fuser: Fuser, network: dict[str, Any] = HOURGLASS) -> Fuser:
    """A network of chance with the parts of another fuser."""
    model = of_chance(FusionDiT(fuser.autoencoder.channels, fuser.autoencoder.factor, 384, network))
    return Fuser(model, fuser.autoencoder, fuser.text, fuser.objective)


@pytest.mark.parametrize("size", [(1, 9), (3, 5), (16, 16), (37, 211), (480, 640)])
def test_the_closed_form_without_ffts_is_the_same(size: tuple[int, int]) -> None:
    a, b = shown(1, *size), shown(2, *size)
    assert (fuse_base(a, b) - fusion.fuse_base(a, b)).abs().max() < 1e-4


@pytest.mark.parametrize("size", [(32, 64), (48, 80), (7, 100)])
def test_thumbnails_are_means_over_what_they_cover(size: tuple[int, int]) -> None:
    x = shown(1, *size)
    torch.testing.assert_close(thumbnails(x, 32), F.adaptive_avg_pool2d(x, 32), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "network",
    [
        SMALL,
        HOURGLASS,
        HOURGLASS | {"detail": {"width": 8, "blocks": 1}, "effects": ("haze",)},
        SMALL | {"experts": 3, "text": "joint", "patches": False},
    ],
    ids=["flat", "hourglass", "detail", "experts"],
)
def test_what_is_exported_makes_the_picture_of_fuser(fuser: Fuser, network: dict[str, Any]) -> None:
    made = small(fuser, network)
    a, b = (export._made(seed, 64, 96) for seed in (1, 2))
    expected = made.picture(a, b, "remove the haze")
    assert np.abs(expected - fuser.picture(a, b, "remove the haze")).max() > 0.05, "the network does something"
    whole, prompts = Open(made.model, made.autoencoder), made.text(["remove the haze"])
    fed = {name: torch.from_numpy(value) for name, value in export.fed_with(a, b, prompts).items()}
    with torch.no_grad():
        for found in (whole(**fed), Baked(whole, prompts)(fed["a"], fed["b"])):
            np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), expected, atol=1e-3)


def test_of_a_flow_with_adapters_it_is_the_regression_and_no_other_flow(fuser: Fuser) -> None:
    flow = make_objective(OBJECTIVES["flow"].Config(kind="flow"), fuser.autoencoder)
    for network in (SMALL | {"adapters": 2}, SMALL):
        model = of_chance(FusionDiT(fuser.autoencoder.channels, fuser.autoencoder.factor, 384, network, time=True))
        given = Fuser(model, fuser.autoencoder, fuser.text, flow)
        if "adapters" in network:
            found = export._regression(given, Path("w"))
            assert (found.model.state, found.objective.config.kind) == (None, "regression")
        else:
            with pytest.raises(UserError, match="'flow', which makes a picture in several steps"):
                export._regression(given, Path("w"))


def mean_of_two() -> Any:
    """An ONNX network that gives (a + b) / 2 after a product with ones, which are stored."""
    shape = [1, 3, "h", "w"]
    ports = [onnx.helper.make_tensor_value_info(name, 1, shape) for name in ("a", "b", "picture")]
    ones = onnx.numpy_helper.from_array(np.full((3, 512, 1), 1 / 512, np.float32), "ones")
    axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
    nodes = [
        onnx.helper.make_node("ReduceSum", ["ones", "axes"], ["one"], keepdims=1),
        onnx.helper.make_node("Mul", ["a", "one"], ["same"], doc_string="/home/somebody"),
        onnx.helper.make_node("Mean", ["same", "b"], ["picture"]),
    ]
    graph = onnx.helper.make_graph(nodes, "mean", ports[:2], ports[2:], [ones, axes])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all packages were there that `trainer export` needs."""
    monkeypatch.setattr(export, "find_spec", lambda _: object())


@pytest.mark.usefixtures("all_there")
def test_a_file_that_makes_other_pictures_is_not_written(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_graph", lambda *_, **__: mean_of_two())
    monkeypatch.setattr(export, "CHECKED", ((32, 48),))
    with pytest.raises(UserError, match=r"not written: .* differ from torch's by [\d.]+ grey levels, and 0.5 are"):
        export.export(weights, tmp_path / "f.onnx", "fuse the images")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("all_there")
def test_halved_weights_are_half_the_file_and_facts_stand_in_it(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_graph", lambda *_, **__: mean_of_two())
    monkeypatch.setattr(export, "CHECKED", ((32, 48),))
    monkeypatch.setattr(export, "MOST_APART", 255)
    sizes = {}
    for half in (False, True):
        made = export.export(weights, tmp_path / f"{half}.onnx", "fuse the images", half=half)
        sizes[half] = made.bytes
        assert f"wrote {made.path}" in str(made)
        assert b"/home/" not in made.path.read_bytes()
        session = onnxruntime.InferenceSession(made.path)
        facts = session.get_modelmeta().custom_metadata_map
        assert (facts["prompt"], facts["multiple"], facts["factor"]) == ("fuse the images", "16", "8")
        assert facts["most_pixels"] == str(1024**2)
        a, b = (np.random.default_rng(seed).random((1, 3, 16, 16), np.float32) for seed in (1, 2))
        np.testing.assert_allclose(session.run(None, {"a": a, "b": b})[0], (a + b) / 2, atol=1e-6)
    assert sizes[False] - sizes[True] > 0.9 * 3 * 512 * 2


def test_what_cannot_be_written_is_said_in_a_line_before_any_work(
    trainer_main: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())

    def said(*arguments: object) -> str:
        code, out, errors = trainer_main("export", "--onnx", *arguments)
        assert (code, out, errors.count("\n")) == (2, "", 1)
        return errors

    assert "end the name with .onnx" in said(tmp_path / "f.png")
    (tmp_path / "d.onnx").mkdir()
    assert "is a folder" in said(tmp_path / "d.onnx")
    assert "export needs onnxscript: pip install 'mmaif[export]'" in said(tmp_path / "f.onnx")
    monkeypatch.setattr(export, "find_spec", lambda _: object())
    assert "a file holds one sentence" in said(tmp_path / "f.onnx", "--prompt", "Auto")
    assert said(tmp_path / "f.onnx", "--prompt", " ").endswith("such as 'fuse the images'\n")
    assert "no fuser.json in it" in said(tmp_path / "f.onnx", "--weights", tmp_path)


def test_the_example_is_short() -> None:
    _, _, rest = (ROOT / "docs/export.md").read_text(encoding="utf-8").partition("```python\n")
    assert len(rest.partition("```")[0].splitlines()) <= 15
