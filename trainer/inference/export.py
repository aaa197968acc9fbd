"""`trainer export`: a regression as an ONNX file, written once other hands have made the same pictures of it."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.console import say
from trainer.data.images import Image, to_tensor
from trainer.errors import UserError
from trainer.files import one_line, write_whole
from trainer.frozen.fusion import fuse_base
from trainer.frozen.graph import LEVELS
from trainer.frozen.text import Prompts
from trainer.inference.auto import AUTO, asked_of
from trainer.inference.folder import SHIPPED, hash_of_network, regression_beneath
from trainer.inference.fuser import Fuser, PromptCut
from trainer.inference.graph import Baked, Open
from trainer.inference.tiles import SIDE
from trainer.objectives import STANDARD, make_objective

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
"""Of ONNX: the first whose GridSample is as torch's; onnxruntime has it since 1.17."""
MOST_APART = 0.5
"""Grey levels of 255 by which a pixel may differ from torch's."""
CHECKED = ((112, 176), (480, 640))
"""Rows and columns of the pictures on which it is compared, rounded up to what the file takes; the last is timed."""
ASKED = "remove the haze and fuse the images"
"""On them, where no sentence is baked in."""
MOST_BYTES = 2**31 - 2**24
"""Of the weights: an ONNX file of one piece holds 2 GiB."""
LEAST_HALVED = 256
"""Numbers in a tensor that is stored in fp16: the small ones weigh nothing."""
RESEARCH = "research use alone, see trainer/weights/LICENSE of MMAIF"
OWN = "that of the data that the weights were trained on"


class Check(NamedTuple):
    """How a file's picture of one size compares with torch's."""

    size: str
    """WIDTHxHEIGHT in pixels."""
    apart: float
    """Largest difference in grey levels; NaN where the picture is none."""
    seconds: float
    with_torch: float


class Exported(NamedTuple):
    """What was written."""

    path: Path
    inputs: tuple[str, ...]
    bytes: int
    multiple: int
    """Pixels of which sides are multiples."""
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        last = self.checks[-1]
        return (
            f"wrote {self.path}: {self.bytes / 2**20:.1f} MiB; takes {', '.join(self.inputs)}, sides multiples of "
            f"{self.multiple} px\n"
            f"at most {max(check.apart for check in self.checks):.4f} grey levels from torch at "
            f"{' and '.join(check.size for check in self.checks)} px\n"
            f"{last.size} px in {last.seconds:.2f} s, with torch {last.with_torch:.2f} s ({_threads()})"
        )


def _threads() -> str:
    count = torch.get_num_threads()
    return f"{count} CPU threads" if count > 1 else "one CPU thread"


def check_file(path: Path) -> None:
    """Raises UserError where no file of that name can be written, or where packages are missing."""
    if path.suffix.lower() != ".onnx":
        raise UserError(f"--onnx {path}: end the name with .onnx")
    if path.is_dir():
        raise UserError(f"--onnx {path}: is a folder; name a file in it")
    for package in PACKAGES:
        if find_spec(package) is None:
            raise UserError(f"export needs {package}: pip install 'mmaif[export]'")


def export(weights: Path, path: Path, prompt: str | None = None, *, half: bool = False) -> Exported:
    """Writes the regression of a weights folder as an ONNX file, in fp32, on one condition: run by onnxruntime it makes
    the pictures of `Fuser`, at two sizes, to within MOST_APART.

    prompt: what is baked in, so that a and b alone are asked for; None: base, tokens, mask and pooled are too. half:
    weights are stored in fp16, and computed with in fp32. Raises UserError.
    """
    check_file(path)
    if prompt is not None:
        prompt = _sentence(prompt)
    fuser = _regression(Fuser.from_pretrained(weights, device="cpu"), weights)
    if prompt is not None and (told := fuser.cut(prompt)):
        say(f"warning: {told}")
    count = sum(
        value.numel() for part in (fuser.model, fuser.autoencoder.model) for value in part.state_dict().values()
    )
    if 4 * count > MOST_BYTES:
        raise UserError(
            f"--weights {weights}: {4 * count / 2**30:.1f} GiB in fp32, and an ONNX file holds 2; take smaller"
        )
    whole = Open(fuser.model, fuser.autoencoder).eval()
    say("exporting, which takes a minute or two")
    model = _graph(whole, fuser.text([prompt or ASKED]), baked=prompt is not None)
    _describe(model, whole, prompt, weights)
    if half:
        _halve(model)
    data = model.SerializeToString()
    checks = _checked(data, fuser, whole.multiple, prompt)
    apart = float(np.max([check.apart for check in checks]))  # NaN of any NaN
    if not apart <= MOST_APART:
        raise UserError(
            f"--onnx {path}: not written: onnxruntime's pictures differ from torch's by {apart:.2f} grey levels, and "
            f"{MOST_APART} are allowed" + ("; export without --half" if half else "")
        )
    write_whole(path, data)
    return Exported(path, tuple(port.name for port in model.graph.input), len(data), whole.multiple, checks)


def _sentence(prompt: str) -> str:
    try:
        asked = asked_of(prompt)
    except ValueError as error:
        raise UserError(f"--prompt: {error}".removesuffix(", or auto")) from None
    if asked == AUTO:
        raise UserError("--prompt auto: looks at the pictures first, and a file holds one sentence; say it in words")
    return asked


def _regression(fuser: Fuser, weights: Path) -> Fuser:
    """The weights as a regression, of a flow with adapters that beneath it. Raises UserError."""
    if fuser.model.state is None:
        return fuser
    if fuser.model.head is None:
        raise UserError(
            f"--weights {weights}: '{fuser.objective.config.kind}', which makes a picture in several steps; a "
            "regression can be exported, and that beneath a flow with adapters"
        )
    say("exporting the regression beneath the flow")
    objective = make_objective(STANDARD, fuser.autoencoder)
    return Fuser(regression_beneath(fuser.model), fuser.autoencoder, fuser.text, objective, fuser.clauses)


def _graph(whole: Open, prompts: Prompts, baked: bool) -> Any:
    """The onnx.ModelProto."""
    multiple = whole.multiple
    least = -(
        -(2 ** (LEVELS + 1)) // multiple
    )  # no level of the pyramid is one pixel wide, of which torch makes a case
    size = (multiple * least, multiple * (least + 3))
    pictures = [torch.zeros(1, 3, *size) for _ in range(2 if baked else 3)]  # each its own: one twice is one input
    sides = {2: multiple * torch.export.Dim("rows"), 3: multiple * torch.export.Dim("columns")}
    words = torch.export.Dim("words")
    with torch.no_grad(), _quiet():
        made = torch.onnx.export(
            Baked(whole, prompts).eval() if baked else whole,
            (*pictures, *(() if baked else prompts)),
            input_names=["a", "b", *([] if baked else ["base", *Prompts._fields])],
            output_names=["picture"],
            dynamic_shapes=(*(sides for _ in pictures), *(() if baked else ({1: words}, {1: words}, None))),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert made is not None
    return made.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells its own authors."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _describe(model: Any, whole: Open, prompt: str | None, weights: Path) -> None:
    """Says in the file what it is, and takes out where it was made: paths of this machine, and shapes within, which
    hold for some sizes alone."""
    import onnx

    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    facts = {
        "name": "MMAIF image fusion",
        "weights": hash_of_network(whole.network),
        "licence": RESEARCH if str(weights) in SHIPPED else OWN,
        "ranges": "pictures RGB in [0, 1]",
        "multiple": str(whole.multiple),
        "factor": str(whole.autoencoder.factor),
        "most_pixels": str((SIDE * whole.autoencoder.factor) ** 2),
        **({} if prompt is None else {"prompt": prompt}),
    }
    onnx.helper.set_model_props(model, facts)


def _halve(model: Any) -> None:
    """Stores weights in fp16, each before a cast that programs do once, as they load the file."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_HALVED:
            continue
        name = tensor.name
        with np.errstate(over="ignore"):  # what is too large shows in the pictures
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _checked(data: bytes, fuser: Fuser, multiple: int, prompt: str | None) -> tuple[Check, ...]:
    """The file's pictures beside the fuser's. Raises UserError where there are none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return tuple(_check(size, session, fuser, multiple, prompt) for size in CHECKED)
    except Exception as error:  # onnxruntime's own classes derive from nothing more telling
        raise UserError(f"export: onnxruntime does not run what was made ({one_line(error)})") from None


def _check(size: tuple[int, int], session: Any, fuser: Fuser, multiple: int, prompt: str | None) -> Check:
    height, width = (-(-side // multiple) * multiple for side in size)
    a, b = (_made(seed, height, width) for seed in (1, 2))
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PromptCut)  # told already
        expected = fuser.picture(a, b, prompt or ASKED)
    fused = time.perf_counter()
    fed = fed_with(a, b, None if prompt else fuser.text([ASKED]))
    ready = time.perf_counter()
    found = session.run(None, fed)[0][0].transpose(1, 2, 0)
    end = time.perf_counter()
    apart = float(np.abs(found - expected).max()) * 255
    return Check(f"{width}x{height}", apart, end - ready, fused - begun)


def fed_with(a: Image, b: Image, prompts: Prompts | None) -> Mapping[str, NDArray[Any]]:
    """What an exported file takes, by name, of two images (H, W, 3) uint8; prompts: where none is baked in."""
    pictures = to_tensor([a], torch.device("cpu")), to_tensor([b], torch.device("cpu"))
    named = dict(zip("ab", pictures, strict=True)) | ({} if prompts is None else {"base": fuse_base(*pictures)})
    fed = {name: ((picture + 1) / 2).numpy() for name, picture in named.items()}
    return fed | ({} if prompts is None else {name: part.numpy() for name, part in prompts._asdict().items()})


def _made(seed: int, height: int, width: int) -> Image:
    """A picture of smooth shapes, edges and noise, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width][..., None] / 16  # (height, width, 1) each
    waves = np.sin(x * rng.uniform(0.2, 1, 3) + y * rng.uniform(0.2, 1, 3))
    shapes = 128 + 80 * waves + 40 * np.sign(np.sin(x + seed * y))
    return np.clip(np.rint(shapes + rng.normal(0, 6, (height, width, 3))), 0, 255).astype(np.uint8)
