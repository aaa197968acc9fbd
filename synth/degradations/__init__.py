"""The effects. Importing this package fills the registry from the files that stand beside this one."""

import importlib
import pkgutil

from synth.degradations.base import Degradation, effects

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Degradation", "effects"]
