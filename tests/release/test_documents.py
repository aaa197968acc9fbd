"""The lines that docs/dataset.md has for reading shards run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

from tests.release.conftest import ROOT

SECTION = "## Reading shards with other programs"


def test_the_lines_of_the_document_run(tmp_path: Path) -> None:
    text = (ROOT / "docs/dataset.md").read_text(encoding="utf-8")
    section = text.split(f"\n{SECTION}\n")[1].split("\n## ")[0]
    [make] = re.findall(r"```bash\nsynth (.*?)\n```", section)
    subprocess.run([sys.executable, "-m", "synth", *make.split()], cwd=tmp_path, check=True)
    tar, side = sorted((tmp_path / "shards/mef_jpeg").glob("000000.*"), reverse=True)
    assert (tar.suffix, side.suffix) == (".tar", ".parquet")
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True, capture_output=True, text=True)
        if "print(sample" in block:
            assert len(done.stdout.splitlines()) == 24
    found = {"sys": sys}
    exec(blocks[-1].replace("shards/", f"{tmp_path}/shards/"), found)  # the last one prints nothing
    assert found["picture"].startswith(b"\x89PNG")  # type: ignore[attr-defined]
    for line in re.findall(r"`((?:pandas|polars)\.read_parquet\(.*?\))`", section):
        subprocess.run([sys.executable, "-c", f"import pandas, polars; {line}"], cwd=tmp_path, check=True)
