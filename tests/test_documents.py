"""What the documents tell a stranger to do works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readmes_recipe_is_the_one_that_ships():
    import yaml

    from synth.recipe.file import find_recipe, load_recipe
    from synth.recipe.schema import Recipe

    shown = Recipe.model_validate(yaml.safe_load(blocks("README.md", "yaml")[0]))
    assert shown == load_recipe(find_recipe("mef_haze"))


def test_the_readmes_degrade_works():
    import numpy as np

    names = {"visible": np.full((40, 50, 3), 90, np.uint8), "infrared": np.full((40, 50), 60, np.uint8)}
    exec(blocks("README.md", "python")[0], names)
    assert names["done"].a.shape == (40, 50, 3)  # type: ignore[attr-defined]
    assert len(names["done"].record["degradations"]) == 3  # type: ignore[attr-defined]


def test_a_new_effect_takes_one_file(tmp_path):
    """The effect that CONTRIBUTING shows, put into a copy of the package, passes the contract and can be generated."""
    shutil.copytree(ROOT / "synth", tmp_path / "synth")
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(ROOT / "tests/synth", tmp_path / "tests/synth")
    (tmp_path / "tests/__init__.py").touch()
    (tmp_path / "synth/degradations/vignette.py").write_text(blocks("CONTRIBUTING.md", "python")[0])
    recipe = {"haze: {severity: [0.2, 0.9]}": "vignette", "full: 0.8, general: 0.1, clean: 0.1": "general: 1"}
    text = (ROOT / "recipes/mef_haze.yaml").read_text()
    for old, new in recipe.items():
        text = text.replace(old, new)
    (tmp_path / "v.yaml").write_text(text)

    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert re.search(
        r"\d+ passed",
        run("pytest", "tests/synth/degradations/test_effects.py", "-k", "vignette", "-p", "no:cacheprovider"),
    )
    assert "vignette: optics" in run("synth", "effects")
    assert "4 samples" in run("synth", "generate", "--recipe", "v.yaml", "--limit", "4", "--workers", "1")


@pytest.mark.slow
def test_the_readmes_commands_run_on_a_fresh_clone(tmp_path):
    """All of them, in order, in an empty folder; the environment is lent, since `make test` has just built one."""
    clone = tmp_path / "clone"
    left_behind = shutil.ignore_patterns(".venv", ".git", "out", "runs", "0*.tar", "0*.parquet", ".*_cache")
    shutil.copytree(ROOT, clone, ignore=left_behind)
    (clone / ".venv").symlink_to(Path(sys.prefix))
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(clone)}

    def run(command: str | list[str]) -> None:
        shell = isinstance(command, str)
        done = subprocess.run(command, shell=shell, cwd=clone, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    commands = [line for block in blocks("README.md", "bash") for line in block.splitlines() if line]
    assert "make demo" in commands
    for command in commands:
        if command == "make test":
            continue  # that is what is running
        done = subprocess.run(
            command, shell=True, cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    fuser, autoencoder = blocks("README.md", "python")[-2:]
    python = fuser.replace('"a.png", "b.png"', "*PAIR")
    pair = "PAIR = ('out/demo/pair/000000000.a.png', 'out/demo/pair/000000000.b.png')\n"
    code = pair + python + "\nassert fused.shape == (256, 256, 3)"
    run([sys.executable, "-c", code])
    before = "import torch\nx = torch.zeros(1, 3, 50, 70)\n"
    after = "\nassert (y.shape, z.shape) == (x.shape, (1, 32, 7, 9))"
    run([sys.executable, "-c", before + autoencoder + after])
    for picture in ("preview.png", "fused.png"):
        assert (clone / "out/demo" / picture).stat().st_size > 10_000
