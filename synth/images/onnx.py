"""A user's own network as an ONNX file, run by onnxruntime (optional: `pip install 'mmaif[onnx]'`) on one thread."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UserError, in_one_line


def run_network(path: Path, inputs: dict[str, NDArray[np.float32]]) -> NDArray[Any]:
    """The first output of a network. Raises UserError with the runtime's reason."""
    try:
        result: NDArray[Any] = open_network(path).run(None, inputs)[0]
    except Exception as error:  # onnxruntime's own classes derive from nothing more telling
        raise UserError(f"{path.name}: {in_one_line(error)}") from None
    return result


@lru_cache(maxsize=2)
def open_network(path: Path) -> Any:
    """The session of an ONNX file, one for each process. Raises UserError."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError("a network needs onnxruntime: pip install 'mmaif[onnx]'") from None
    if not path.is_file():
        raise UserError(f"{path}: no such ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"{path.name}: not an ONNX network: {in_one_line(error)}") from None


def hash_of(path: Path) -> str:
    """sha256 of a network's file: it decides pixels as the recipe does. Raises UserError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
