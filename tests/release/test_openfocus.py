"""OpenFocus itself, in its own environment (`make openfocus`), as a row of `trainer evaluate`.

Elsewhere a program of the tests stands in for it (tests/trainer/evaluation/test_evaluate.py).
"""

import subprocess
import sys

import pyarrow.parquet as pq
import yaml

from tests.release.conftest import ROOT

PROGRAM = ROOT / ".venv-openfocus/bin/openfocus"
ROW = "OpenFocus (mff alone)"


def test_it_fuses_sharp_pairs_better_than_their_average(tmp_path):
    recipe = yaml.safe_load((ROOT / "recipes/mff_blur.yaml").read_text(encoding="utf-8")) | {"store": ["clean"]}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    run(tmp_path, "synth", "generate", "--recipe", "r.yaml", "--limit", "6", "--out", "d")
    run(tmp_path, "trainer", "evaluate", "--shards", "d", "--weights", "none", "--openfocus", str(PROGRAM), "-o", "o")
    rows = pq.read_table(tmp_path / "o/results.parquet").to_pylist()
    quality = {
        method: [row["PSNR"] for row in rows if row["method"] == method and row["PSNR"] is not None]
        for method in ("average", ROW)
    }
    assert len(quality[ROW]) == len(quality["average"]) == 6
    assert sum(quality[ROW]) > sum(quality["average"])


def run(folder, program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", program, *arguments], cwd=folder, check=True)
