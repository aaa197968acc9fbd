"""Depth: a user's network, and the stand-in."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from synth.errors import UserError
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from synth.scene.backdrop import Backdrop
from synth.scene.depth import proxy
from synth.scene.depth_network import depth_of
from synth.tasks import TASKS
from tests.synth.helpers import photograph, write_pair


def network(path: Path, channels: int = 1) -> Path:
    """An ONNX file whose "depth" is the mean of its normalised channels."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)
    if channels != 1:
        node = helper.make_node("Identity", ["x"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, "h", "w"])
    graph = helper.make_graph([node], "depth", [x], [y], [axes] if channels == 1 else [])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_network_gives_the_depth_of_an_image_at_its_size(tmp_path):
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 45:] = 255
    depth = depth_of(image, network(tmp_path / "d.onnx"))
    assert depth.shape == (60, 90)
    white = np.mean((1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225]))
    assert depth[:, 60:].mean() == pytest.approx(white, abs=0.01)


def test_a_recipe_names_a_network_and_its_hash_is_kept(tmp_path):
    write_pair(tmp_path / "p/x-1", photograph(80, 80), photograph(80, 80))
    path = network(tmp_path / "d.onnx")
    recipe = Recipe.model_validate(
        {
            "name": "t",
            "task": "mff",
            "samples": 2,
            "sources": [{"folder": str(tmp_path / "p")}],
            "crop": {"size": 48},
            "degradations": {"always": ["haze"]},
            "depth_network": {"onnx": str(path)},
        }
    )
    assert render(make_plan(recipe), 0).record["scene"]["depth"] == "network"
    assert len(recipe.resolved()["depth_network"]["onnx"]) == 64
    assert str(tmp_path) not in str(recipe.resolved())


def test_what_is_no_depth_network_is_refused_in_one_line(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"no.onnx: not an ONNX network"):
        depth_of(photograph(), tmp_path / "no.onnx")
    with pytest.raises(UserError, match="no such ONNX file"):
        depth_of(photograph(), tmp_path / "missing.onnx")
    with pytest.raises(UserError, match="gave shape"):
        depth_of(photograph(), network(tmp_path / "three.onnx", channels=3))


def street(height: int = 200, width: int = 260) -> np.ndarray:
    """A road that narrows up to a row of houses below a sky, and a broad pillar that stands on it from near by."""
    rng = np.random.default_rng(0)
    image = rng.integers(40, 110, (height, width, 3)).astype(np.uint8)  # houses
    image[: height // 4] = (200, 215, 235)
    horizon = height // 2
    for row in range(horizon, height):
        half = round(width * (0.12 + 0.38 * (row - horizon) / (height - horizon)))
        image[row, width // 2 - half : width // 2 + half] = 90
    image[20:170, 60:110] = (150, 40, 30)
    return image


def test_a_street_recedes_what_stands_on_it_is_as_far_as_its_feet_and_the_sky_is_the_farthest():
    share = proxy(street())
    assert share.shape == (200, 260)
    assert 0 < share.min() < share.max() <= 1
    assert share[10:35, 130:250].min() > 0.97, "the sky"
    road = [float(share[row, 128:134].mean()) for row in (195, 170, 140, 110)]
    assert road == sorted(road), "farther and farther"
    assert road[-1] > 1.4 * road[0]
    pillar = share[60:165, 75:95]
    assert pillar.max() < 1.35 * pillar.min(), "its head is no farther than its feet"
    assert pillar.mean() < share[60:95, 140:180].mean(), "and nearer than the houses behind it"


def test_where_no_ground_recedes_all_is_about_equally_far():
    share = proxy(photograph(200, 260))
    assert share[:100].max() < 1.6 * share[:100].min()
    assert 0.35 < share[-5:].mean() / share[:100].mean() < 0.7, "but the lower edge, which is seldom the farthest"


def test_two_focused_shots_tell_what_is_near_whatever_its_row():
    image = photograph(200, 260)
    blurred = cv2.GaussianBlur(image, (0, 0), 4)
    near, far = image.copy(), blurred.copy()
    near[:, 130:], far[:, 130:] = blurred[:, 130:], image[:, 130:]  # the left half is near
    depth = Backdrop(TASKS["mff"].capture, {"a": near, "b": far}).whole()
    assert depth[:, :110].mean() < 0.5 * depth[:, 150:].mean()
    other = Backdrop(TASKS["mff"].capture, {"a": far, "b": near}).whole()
    assert other[:, :110].mean() > 2 * other[:, 150:].mean(), "the right half is near"


@pytest.mark.parametrize("size", [(16, 16), (17, 300), (1, 40)])
def test_the_proxy_takes_any_size(size):
    assert proxy(np.full(size, 90, np.uint8)).shape == size
