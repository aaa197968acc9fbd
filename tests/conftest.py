"""What several tests share."""

import os
from pathlib import Path

import pytest

from tests.browser import browser, open_page

__all__ = ["browser", "open_page"]

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def research_data() -> Path:
    """Real pairs, which are not part of the project: `MMAIF_DATA`, or a folder beside the checkout."""
    root = Path(os.environ.get("MMAIF_DATA", ROOT.parent / "shared" / "data"))
    if not (root / "pairs").is_dir():
        pytest.skip(f"no research data: neither MMAIF_DATA nor {root.name}/ beside the checkout holds pairs/")
    return root
