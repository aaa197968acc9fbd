"""Who does the work of a run. Nothing else in the tool knows which of them does.

local: this process, or processes of this machine · ray: a cluster · ahead: handing out work before it is asked for ·
memory: what a worker keeps between images.
"""

from typing import TYPE_CHECKING

from synth.errors import UserError, hint

if TYPE_CHECKING:
    from synth.dataset.generate import Engine

ENGINES = ("local", "ray")


def engine_of(name: str, workers: int | None, address: str | None) -> "Engine":
    """An engine by its name. workers: processes, or tasks at once. address: of a Ray cluster. Raises UserError."""
    if name not in ENGINES:
        raise UserError(f"--engine {name}: no such engine{hint(name, ENGINES)}")
    if name == "ray":
        from synth.engines.ray import RayEngine

        return RayEngine(workers, address)
    if address is not None:
        raise UserError("--address is of a Ray cluster; give --engine ray too")
    from synth.engines.local import LocalEngine

    return LocalEngine(workers)
