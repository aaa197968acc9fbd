"""A dataset behind an http server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.data.helpers import RangeHandler, serving


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def served(request: pytest.FixtureRequest, dataset: Path) -> Iterator[tuple[str, type[RangeHandler]]]:
    handler = type("Handler", (RangeHandler,), {"ranges": request.param, "sent": 0})
    with serving(dataset, handler) as url:
        yield url, handler
