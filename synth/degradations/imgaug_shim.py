"""imgaug under numpy 2: the library is unmaintained since 2020, and numpy has lost names that it uses."""

import importlib
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

_SCALARS = {
    "float": [np.float16, np.float32, np.float64, np.longdouble],
    "int": [np.int8, np.int16, np.int32, np.int64],
    "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
}


class _OldNumpy(ModuleType):
    """numpy as one module of imgaug sees it: everything that is there, and `np.complex`, which is gone."""

    complex = complex

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@lru_cache(maxsize=1)
def load_imgaug() -> ModuleType:
    """The imgaug module, mended: `np.sctypes` is there while it is imported, and numpy is unchanged after."""
    np.sctypes = _SCALARS  # type: ignore[attr-defined]  # noqa: NPY201
    try:
        imgaug = importlib.import_module("imgaug")
        parameters: Any = importlib.import_module("imgaug.parameters")
    finally:
        del np.sctypes  # type: ignore[attr-defined]  # noqa: NPY201
    parameters.np = _OldNumpy("numpy")
    return imgaug
