"""Which samples of a dataset are taken, without writing it anew."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from trainer.schema import Section

COLUMNS = {"tasks": "task", "kinds": "kind", "effects": "effects"}
"""Of the sidecar, by what is chosen."""


class Only(Section):
    """What is named is taken and no other; what names nothing takes all."""

    tasks: tuple[str, ...] = ()
    """vif, mef, mff or a task of one's own."""
    kinds: tuple[str, ...] = ()
    """Of instruction: full, partial, lessen, keep, general, clean."""
    effects: tuple[str, ...] = ()
    """Samples that have at least one of these."""

    @property
    def columns(self) -> list[str]:
        """Of the sidecar, by which is chosen."""
        return [column for name, column in COLUMNS.items() if getattr(self, name)]

    def of(self, table: Any) -> np.ndarray:
        """Which rows of a table (pyarrow) with these columns are taken, (N,) bool."""
        import pyarrow as pa
        import pyarrow.compute as pc

        taken = np.ones(table.num_rows, dtype=bool)
        for name in ("tasks", "kinds"):
            if wanted := getattr(self, name):
                found = pc.is_in(table[COLUMNS[name]].combine_chunks(), pa.array(wanted))
                taken &= found.to_numpy(zero_copy_only=False)
        if self.effects:
            lists = table["effects"].combine_chunks()
            there = pc.is_in(pc.list_flatten(lists), pa.array(self.effects))
            has = np.zeros(table.num_rows, dtype=bool)
            has[pc.list_parent_indices(lists).filter(there).to_numpy()] = True
            taken &= has
        return taken


ALL = Only()


class DatasetConfig(Only):
    """One of the datasets of a run."""

    shards: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = (
        Field(min_length=1)
    )
    """As --shards takes them: one or several."""
    weight: float = Field(default=1.0, gt=0, le=1e6)
    """How often it is drawn from beside the others, in proportion."""
