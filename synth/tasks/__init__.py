"""The tasks of fusion, one file each. Importing this package fills the registry from the files that stand beside it."""

import importlib
import pkgutil

from synth.tasks.base import DEFAULT, TASKS, Task, task_named

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["DEFAULT", "TASKS", "Task", "task_named"]
