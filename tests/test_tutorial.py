"""The tutorial and the how-to guides do what they say: their blocks run, one after another, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
BLOCK = re.compile(r"(<!-- not run: [^>\n]+ -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORTER = {"--config tiny ": "--config tiny --samples 160 ", "samples: 256": "samples: 96"}
"""Here; a reader's own run is of a minute."""
GUIDES = sorted((ROOT / "docs/howto").glob("*.md"))


def shorter(block: str) -> str:
    for whole, part in SHORTER.items():
        block = block.replace(whole, part)
    return block


def run(document: Path, folder: Path) -> str:
    """What the blocks of a document print; whole recipes in it are saved by their names, as the reader is told to."""
    said = ""
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    for not_run, language, block in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language == "yaml" and (found := re.search(r"^name: (\w+)", block, re.MULTILINE)):
            (folder / f"{found[1]}.yaml").write_text(shorter(block), encoding="utf-8")
        if language != "bash" or not_run:
            continue
        command = ["bash", "-euo", "pipefail", "-c", shorter(block)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{document.name}:\n{block}\n{done.stdout}{done.stderr}"
        said += done.stdout
    return said


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory) -> tuple[Path, str]:
    """The folder in which the tutorial was followed, and what was said."""
    folder = tmp_path_factory.mktemp("tutorial")
    return folder, run(ROOT / "docs/tutorial.md", folder)


def test_the_tutorial_ends_with_a_model_and_its_numbers(tutorial):
    folder, said = tutorial
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    shown = re.search(r"\n```\n(mine: 256.*?)```", text, re.DOTALL)
    assert shown is not None
    told = shown[1].replace("256 samples", "96 samples").replace("4 shards", "2 shards")
    assert told in said, "the dry run says what the tutorial shows"
    assert "sound" in said
    for picture in ("clear.png", "clear.compare.png", "hazy.png", "release.png", "curves.png"):
        assert (folder / "out" / picture).stat().st_size > 5000, picture
    assert len(list((folder / "runs/mine/sheets").glob("*.png"))) >= 1
    assert "| closed form |" in (folder / "out/evaluate/report.md").read_text(encoding="utf-8")


def test_how_to_guides_run_after_it(tutorial):
    folder, _ = tutorial
    said = {guide.stem: run(guide, folder) for guide in GUIDES}
    assert {"recipe", "depth", "truth", "cluster", "readers", "encoders"} <= {name for name in said if said[name]}
    assert "48 samples in 3 shards (0 made now)" in said["cluster"], "the parts were made before they were closed"
    assert "32 samples in 2 shards (1 made now)" in said["recipe"]
