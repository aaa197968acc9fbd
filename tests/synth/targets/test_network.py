"""A user's fusion network as the target: what it is fed, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from synth.errors import UserError
from synth.images.pixels import luma
from synth.targets.gradient import Pictures
from synth.targets.network import fuse
from synth.targets.target import make_target
from synth.tasks import TASKS
from tests.synth.helpers import photograph

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402


def write(path: Path, channels: int = 3, out: str = "mean", inputs: int = 2, size: int | None = None) -> Path:
    """A network that averages its inputs: `out` is mean, bright (255 times that), or flat (a sum over the width)."""
    shape = [1, channels, size or "h", size or "w"]
    names = ["first", "second"][:inputs]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [127.5 if out == "bright" else 0.5])
    nodes = [
        helper.make_node("Add", [names[0], names[-1]], ["sum"]),
        helper.make_node("Mul", ["sum", "scale"], ["scaled" if out == "flat" else "fused"]),
    ]
    if out == "flat":
        nodes.append(helper.make_node("ReduceMax", ["scaled"], ["fused"], axes=[3], keepdims=1))
    result = helper.make_tensor_value_info("fused", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "fusion", ports, [result], [scale])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("height", "width"), [(64, 64), (45, 70)])
def test_a_network_gets_both_images_and_its_picture_is_the_target(tmp_path, height, width):
    a, b = photograph(height, width), 255 - photograph(height, width)
    result = fuse(TASKS["mef"], {"a": a, "b": b}, write(tmp_path / "mean.onnx"))
    assert np.abs(result.astype(float) - (a.astype(float) + b) / 2).max() <= 1


def test_a_network_of_luma_leaves_the_visible_colour(tmp_path):
    a, b = photograph(64, 96), np.full((64, 96), 128, np.uint8)
    result = fuse(TASKS["vif"], {"a": a, "b": b}, write(tmp_path / "luma.onnx", channels=1))
    assert np.abs(luma(result).astype(float) - (luma(a).astype(float) + 128) / 2).max() <= 2
    ours, theirs = (x.astype(float) - luma(x)[:, :, None] for x in (result, a))
    inside = (result.min(2) > 2) & (result.max(2) < 253) & (np.ptp(a.astype(int), axis=2) > 30)
    cosine = (ours * theirs).sum(2) / np.linalg.norm(ours, axis=2) / np.linalg.norm(theirs, axis=2)
    assert cosine[inside].min() > 0.98, "hues are the visible image's"


def test_grey_images_give_a_grey_target(tmp_path):
    a, b = photograph(64, 96, False), photograph(64, 96, False)
    assert fuse(TASKS["vif"], {"a": a, "b": b}, write(tmp_path / "mean.onnx")).shape == (64, 96)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": 1}, "takes 2 images"),
        ({"out": "bright"}, r"\[0, 1\] is needed"),
        ({"out": "flat"}, "gave shape"),
        ({"channels": 4}, "an input of shape"),
        ({"size": 32}, "takes 32×32, the images are 96×64"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(tmp_path, settings, message):
    path = write(tmp_path / "net.onnx", **settings)
    with pytest.raises(UserError, match=message) as caught:
        fuse(TASKS["mef"], {"a": photograph(64, 96), "b": photograph(64, 96)}, path)
    assert "\n" not in str(caught.value)


def test_the_record_names_the_network_by_its_hash(tmp_path):
    a = photograph(64, 64)
    pictures: Pictures = {"a": a, "b": a}
    _, record = make_target("network", TASKS["mff"], pictures, None, write(tmp_path / "mean.onnx"))
    assert record["kind"] == "network"
    assert len(record["sha256"]) == 64
    with pytest.raises(UserError, match="which file"):
        make_target("network", TASKS["mff"], pictures, None)
