"""What `make dist` builds holds all that it takes, and works where there is no checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that it builds, of this checkout, by their suffix."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {file.suffix: file for file in out.iterdir()}


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel alone in it; the packages that it needs are lent by this environment."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*command, str(built[".whl"])], check=True)
    return site


def run(installed: Path, folder: Path, *words: str) -> str:
    """What an installed program prints, in a folder where nothing of the checkout lies."""
    code = f"import sys; from {words[0]}.cli import main; sys.argv[0] = {words[0]!r}; main()"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-c", code, *words[1:]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_sdist_is_what_git_tracks(built):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or no repository, to compare with")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tarfile.open(built[".gz"]) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert set(listed.split("\0")) - {""} - names == set()
    assert not [name for name in names if name.startswith(("out/", "runs/", ".venv")) or name.endswith(".tar")]


def test_the_wheel_has_both_programs_and_no_tests(built):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = wheel.namelist()
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith("/METADATA"))
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"synth", "trainer"}
    assert {"synth/recipes/mef_haze.yaml", "synth/instructions/phrases.yaml", "trainer/configs/tiny.yaml"} <= set(names)
    assert {"synth/recipes/benchmark/vif_msrs.yaml", "synth/recipes/benchmark/demo.sign.json.gz"} <= set(names)
    assert "License-Expression: Apache-2.0 AND LicenseRef-mmaif-weights" in metadata
    description = metadata.partition("\n\n")[2]
    assert description.startswith("# MMAIF")
    assert re.findall(r"\]\((?!https?:)[^)]*\)|<img [^>]*src", description) == [], "nothing lies beside a wheel"
    assert any(name.endswith("licenses/trainer/weights/LICENSE") for name in names)


def test_the_wheel_works_in_an_empty_folder(installed, tmp_path):
    assert str(installed) in run(installed, tmp_path, "synth", "--version")
    assert str(installed) in run(installed, tmp_path, "trainer", "--version")
    run(installed, tmp_path, "synth", "generate", "--recipe", "mef_haze.yaml", "--limit", "4", "--workers", "1")
    assert "sound" in run(installed, tmp_path, "synth", "verify", "shards/mef_haze", "--all")
    with tarfile.open(tmp_path / "shards/mef_haze/000000.tar") as tar:
        tar.extractall(tmp_path / "pair", filter="data")
    pair = [str(tmp_path / f"pair/000000000.{image}.png") for image in "ab"]
    run(
        installed, tmp_path, "trainer", "fuse", *pair, "--prompt", "remove the haze and fuse them", "--out", "fused.png"
    )
    assert (tmp_path / "fused.png").stat().st_size > 10_000


def test_the_page_of_the_wheel_starts_and_ends(installed, tmp_path):
    code = "import sys; from trainer.cli import main; sys.argv[0] = 'trainer'; main()"
    command = [sys.executable, "-P", "-u", "-c", code, "app", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    page = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    assert page.stderr is not None
    try:
        for line in page.stderr:
            if found := re.search(r"the page: (http://127\.0\.0\.1:\d+/)", line):
                with build_opener(ProxyHandler({})).open(found[1], timeout=30) as answer:
                    assert b"Image fusion by instruction" in answer.read()
                break
        else:
            pytest.fail("no page")
        page.send_signal(signal.SIGINT)
        assert page.wait(60) == 0
    finally:
        page.kill()
        page.communicate()
