"""Where clean pairs come from. Importing this package fills the registry of sources from the files beside this one."""

import importlib
import pkgutil

from synth.pairs.source import LeftOut, Source, sources

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["LeftOut", "Source", "sources"]
