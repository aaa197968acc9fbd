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


def example(heading: str, language: str) -> str:
    """The first block of a language below a heading of CONTRIBUTING."""
    _, _, section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"## {heading}\n")
    found = re.search(rf"```{language}\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert found is not None, heading
    return found.group(1)


class Copy:
    """A copy of the package with one more file, where nothing else was changed."""

    def __init__(self, root: Path, file: str, code: str) -> None:
        self.root = root
        for part in ("synth", "recipes", "tests/synth"):
            shutil.copytree(ROOT / part, root / part)
        (root / "tests/__init__.py").touch()
        assert not (root / file).exists()
        (root / file).write_text(code, encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> str:
        """What a module prints; code: what it must exit with."""
        command = [sys.executable, "-m", *words]
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


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
    copy = Copy(tmp_path, "synth/degradations/vignette.py", example("Add an effect", "python"))
    recipe = {"haze: {severity: [0.2, 0.9]}": "vignette", "full: 0.8, general: 0.1, clean: 0.1": "general: 1"}
    text = (ROOT / "recipes/mef_haze.yaml").read_text()
    for old, new in recipe.items():
        text = text.replace(old, new)
    (tmp_path / "v.yaml").write_text(text)
    about = [f"tests/synth/degradations/test_{name}.py" for name in ("effects", "words")]
    contract = (*about, "-k", "vignette", "-p", "no:cacheprovider")
    assert re.search(r"\d+ passed", copy.run("pytest", *contract))
    assert "vignette: optics" in copy.run("synth", "effects")
    assert "4 samples" in copy.run("synth", "generate", "--recipe", "v.yaml", "--limit", "4", "--workers", "1")
    copy.run("synth", "preview", "shards/mef_haze", "--out", "page.html")
    assert re.search(r"<span>vignette, [\d.]+ stops?\b", (tmp_path / "page.html").read_text(encoding="utf-8"))


def test_a_new_task_takes_one_file_and_a_recipe(tmp_path):
    """The task that CONTRIBUTING shows, in a copy of the package: `verify` finds the samples of its pairs sound."""
    import json

    from skimage import data, io

    code = example("Add a task", "python")
    assert 10 <= len([line for line in code.splitlines() if line]) <= 40
    copy = Copy(tmp_path, "synth/tasks/medical.py", code)
    for number in range(3):
        folder = tmp_path / f"data/medical/set-{number}"
        folder.mkdir(parents=True)
        scan = data.astronaut()[50 * number :][:90, :100]
        io.imsave(folder / "a.png", scan[:, :, 0], check_contrast=False)
        io.imsave(folder / "b.png", scan, check_contrast=False)
    (tmp_path / "medical.yaml").write_text(example("Add a task", "yaml"))
    assert "medical: MRI and PET" in copy.run("synth", "tasks")
    assert "6 samples" in copy.run("synth", "generate", "--recipe", "medical.yaml", "--out", "made", "--workers", "1")
    assert "sound" in copy.run("synth", "verify", "made", "--all")
    copy.run("synth", "stats", "made", "--json", "stats.json", "--picture", "stats.png")
    assert json.loads((tmp_path / "stats.json").read_text())["tasks"] == {"medical": 6}
    copy.run("synth", "preview", "made", "--out", "page.html")
    assert "<b>b</b> pet</figcaption>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    copy.run("synth", "render", "--recipe", "medical.yaml", "--index", "1", "--out", "one")
    record = json.loads((tmp_path / "one/record.json").read_text())
    assert {name: image["modality"] for name, image in record["images"].items()} == {"a": "mri", "b": "pet"}
    pair = [str(tmp_path / f"data/medical/set-1/{name}.png") for name in "ab"]
    copy.run("synth", "degrade", *pair, "--effect", "noise=0.5", "--task", "medical", "--out", "alone")
    assert "MRI and PET" in (tmp_path / "made/README.md").read_text()


def test_a_new_source_of_pairs_takes_one_file(tmp_path):
    """The source that CONTRIBUTING shows, in a copy of the package: samples come from it, and its mistakes are said."""
    import json

    from skimage import data, io

    code = example("Add a source of pairs", "python")
    assert 10 <= len([line for line in code.splitlines() if line]) <= 40
    copy = Copy(tmp_path, "synth/pairs/side_by_side.py", code)
    for folder, names in {"visible": ["one", "two", "three"], "infrared": ["one", "two"]}.items():
        (tmp_path / "data/road" / folder).mkdir(parents=True)
        for number, name in enumerate(names):
            shown = data.astronaut()[60 * number :][:80, :90, slice(None) if folder == "visible" else 0]
            io.imsave(tmp_path / "data/road" / folder / f"{name}.png", shown, check_contrast=False)
    source = example("Add a source of pairs", "yaml").replace("split: train", "split: all")
    text = f"{{name: s, task: vif, samples: 4, {source.strip()}, crop: {{size: 48}}, degradations: {{always: [haze]}}}}"

    def generate(text: str, code: int = 0) -> str:
        (tmp_path / "s.yaml").write_text(text)
        return copy.run("synth", "generate", "--recipe", "s.yaml", "--out", "made", "--workers", "1", code=code)

    said = generate(text)
    assert "4 samples" in said
    assert "road-three: no infrared/three.png" in said
    described = json.loads((tmp_path / "made/dataset.json").read_text())
    assert [(item["dataset"], item["pairs"]) for item in described["sources"]] == [("road", 2)]
    assert "data/road" not in json.dumps(described)
    assert "side_by_side: pairs" in (tmp_path / "made/README.md").read_text()
    unknown = generate(text.replace("licence", "lisence"), code=2).strip()
    assert unknown.endswith("s.yaml: sources[0].lisence: unknown key; did you mean 'licence'?")
    assert "\n" not in unknown
    assert "none for mef" in generate(text.replace("task: vif", "task: mef"), code=2)
    assert re.search(r"\d+ passed", copy.run("pytest", "tests/synth/pairs/test_source.py", "-p", "no:cacheprovider"))


def test_the_version_is_the_same_wherever_it_is_told():
    import tomllib

    import yaml

    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]


@pytest.mark.slow
def test_the_readmes_commands_run_on_a_fresh_clone(tmp_path):
    """All of them, in order, in an empty folder; the environment is lent, since `make test` has just built one."""
    clone = tmp_path / "clone"
    left_behind = shutil.ignore_patterns(".venv*", ".gpu", ".git", "out", "runs", "0*.tar", "0*.parquet", ".*_cache")
    shutil.copytree(ROOT, clone, ignore=left_behind)
    (clone / ".venv").symlink_to(Path(sys.prefix))
    for wanted in ("pyproject.toml", "constraints.txt"):  # older than any environment, so that make installs nothing
        os.utime(clone / wanted, (1e9, 1e9))
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(clone)}

    def run(command: str | list[str]) -> None:
        shell = isinstance(command, str)
        done = subprocess.run(command, shell=shell, cwd=clone, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    commands = [line for block in blocks("README.md", "bash") for line in block.splitlines() if line]
    assert "make demo" in commands
    for command in commands:
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
