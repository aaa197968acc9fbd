"""Steps whose gradient is not finite: passed over, counted, and after some in a row the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from trainer.data.batches import Batch
from trainer.errors import UserError

MOST = 10
"""Steps in a row."""
FILE = "not-finite.json"
"""Beside the log: the keys of the samples of each such step of the last row."""


class Guard:
    """What watches over a run in the folder `out`."""

    def __init__(self, out: Path, rate: str) -> None:
        self.out, self.rate = out, rate
        self.skipped = 0
        """Steps that were, since this process began."""
        self._row: list[list[str]] = []

    def see(self, norm: Tensor | None, step: Iterable[Batch]) -> None:
        """After a step: the norm of its gradient, None where it was not finite and nothing moved.

        Raises UserError after MOST such steps in a row.
        """
        if norm is not None:
            self._row = []
            return
        self.skipped += 1
        self._row.append([key for batch in step for key in batch.keys])
        if len(self._row) == MOST:
            (self.out / FILE).write_text(json.dumps(self._row, indent=1) + "\n", encoding="utf-8")
            raise UserError(
                f"--out {self.out}: the gradient was not finite in {MOST} steps in a row, whose samples {FILE} names; "
                f"lower {self.rate}, or look at those samples"
            )
