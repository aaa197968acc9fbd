"""torch.compile of the network's blocks, one by one: they repeat, so a few graphs serve all."""

from __future__ import annotations

import torch

from trainer.model.dit import FusionDiT
from trainer.model.grids import Hourglass
from trainer.model.tone import Tone

GRAPHS = 64
"""Graphs of a block at most: its kinds, times the sizes of picture that a run goes through, with and without
gradients."""


def compile_blocks(model: FusionDiT) -> None:
    """The layers, those at the fine grid and those of the tone head run as compiled code from now on, for each size
    of picture its own. Copies that were made before stay as they are.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, GRAPHS)
    for block in repeated(model):
        block.compile(dynamic=False)


def repeated(model: FusionDiT) -> list[torch.nn.Module]:
    """The layers, those at the fine grid and those of the tone head."""
    blocks: list[torch.nn.Module] = list(model.blocks)
    if isinstance(model.grid, Hourglass):
        blocks += [*model.grid.before, *model.grid.after]
    if isinstance(model.tone, Tone):
        blocks += list(model.tone.blocks)
    return blocks
