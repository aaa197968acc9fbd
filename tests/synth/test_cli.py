"""The command line: one line for a mistake, exit code 2, and no heavy import before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from synth.cli import main
from tests.synth.helpers import bracket_folder, photograph, write_pair

RECIPE = {
    "name": "t",
    "task": "mef",
    "samples": 4,
    "samples_per_shard": 2,
    "sources": [{"builtin": "bracketed"}],
    "crop": {"size": 48},
    "degradations": {"always": [{"haze": {"severity": [0.2, 0.9]}}]},
}


def synth(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "synth", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def write(folder: Path, **changes) -> Path:
    path = folder / "t.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    return path


def refused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    assert run.returncode == 2, run
    assert "Traceback" not in run.stderr
    last = run.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in last
    assert last.startswith("synth: ")


def test_generate_then_preview(tmp_path):
    run = synth("generate", "--recipe", write(tmp_path), "--workers", 1, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "shards/t: 4 samples in 2 shards (2 made now)" in run.stdout
    run = synth("preview", "shards/t", "-o", "out/sheet.png", "--count", 3, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    from synth.images.headers import read_header

    height, width = read_header(tmp_path / "out/sheet.png").size
    assert height > 2 * 48
    assert width > 2 * 3 * 48


def test_dry_run_counts_and_writes_nothing(tmp_path):
    bracket_folder(tmp_path / "pairs")
    write_pair(tmp_path / "pairs/shots-9", photograph(20, 20), photograph(20, 20))
    recipe = write(tmp_path, sources=[{"folder": "pairs"}])
    run = synth("generate", "--recipe", recipe, "--dry-run", "--limit", 1000, cwd=tmp_path)
    assert run.returncode == 0
    assert "t: 1000 samples of 48 px in 500 shards" in run.stdout
    assert "mef  shots: 3 pairs" in run.stdout
    assert "left out: shots-9: its short side is 20 px, the crop 48" in run.stdout
    assert not (tmp_path / "shards").exists()


def test_limit_and_data_and_samples_per_shard(tmp_path):
    bracket_folder(tmp_path / "root/mef")
    run = synth(
        *("generate", "--recipe", write(tmp_path), "--data", "root", "--limit", 3, "--samples-per-shard", 3),
        *("--out", "here", "--workers", 1),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "000000.parquet",
        "000000.tar",
        "README.md",
        "dataset.json",
    ]


def test_mistakes_are_one_line_and_exit_code_2(tmp_path):
    recipe = write(tmp_path)
    refused(synth("generate", "--recipe", "nothing.yaml", cwd=tmp_path), "nothing.yaml: no such recipe")
    refused(
        synth("generate", "--recipe", recipe, "--limit", 0, cwd=tmp_path), "'--limit'", "greater than or equal to 1"
    )
    refused(synth("generate", "--recipe", recipe, "--data", "nowhere", cwd=tmp_path), "nowhere: no such folder")
    (tmp_path / "empty").mkdir()
    refused(synth("generate", "--recipe", recipe, "--data", "empty", cwd=tmp_path), "no pairs in it", "a.png")
    write_pair(tmp_path / "small/x-1", photograph(20, 20), photograph(20, 20))
    refused(synth("generate", "--recipe", recipe, "--data", "small", cwd=tmp_path), "no usable pair for mef")
    refused(synth("preview", "empty", cwd=tmp_path), "no finished shard")
    (tmp_path / "file").write_text("x")
    refused(synth("generate", "--recipe", recipe, "--out", "file", cwd=tmp_path), "file: is a file")


def test_a_wrong_key_names_the_place(tmp_path):
    recipe = write(tmp_path, degradations={"always": [{"haze": {"betta": 1}}]})
    refused(
        synth("generate", "--recipe", recipe, cwd=tmp_path), "t.yaml: degradations.always[0].haze.betta: unknown key"
    )


def test_another_recipes_folder_is_refused_and_kept(tmp_path):
    assert synth("generate", "--recipe", write(tmp_path), "--out", "d", cwd=tmp_path).returncode == 0
    before = (tmp_path / "d/000000.tar").read_bytes()
    other = write(tmp_path, seed=9)
    refused(synth("generate", "--recipe", other, "--out", "d", cwd=tmp_path), "recipe.seed is 0 there, 9 here")
    assert (tmp_path / "d/000000.tar").read_bytes() == before


def test_samples_that_all_fail_are_a_mistake_too(tmp_path):
    write_pair(tmp_path / "pairs/x-1", photograph(80, 80), photograph(80, 80))
    (tmp_path / "pairs/x-1/a.png").write_bytes(b"")
    run = synth("generate", "--recipe", write(tmp_path), "--data", "pairs", "--workers", 1, cwd=tmp_path)
    refused(run, "every sample failed")
    assert "failed: 4 samples: a.png: the file is empty" in run.stderr


def test_degrade_lets_effects_fall_on_two_files(tmp_path):
    pair = write_pair(tmp_path / "p", photograph(60, 80), photograph(60, 80, False))
    words = ["degrade", pair / "a.png", pair / "b.png", "--effect", "haze=0.6", "--effect", "noise=sigma:25,images:a"]
    run = synth(*words, "--seed", 1, "--out", "o", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    record = json.loads((tmp_path / "o/record.json").read_text())
    assert [(e["effect"], e["image"]) for e in record["degradations"]] == [("haze", "a"), ("haze", "b"), ("noise", "a")]
    assert (tmp_path / "o/a.png").read_bytes() != (pair / "a.png").read_bytes()
    for wrong, message in [
        (["--effect", "hase=1"], "unknown effect 'hase'; did you mean 'haze'"),
        (["--effect", "haze=3"], "haze.severity: 3 must lie in [0, 1]"),
        (["--effect", "haze=["], "--effect haze=[: a severity, or key:value"),
        (["--effect", "haze=.1", "--effect", "haze=.9"], "--effect haze: given twice"),
        (["--effect", "haze=0.5", "--task", "mfv"], "--task mfv: no task 'mfv'; did you mean 'mff'?"),
        (["--effect", "haze=0.5", "--task", ""], "--task : no task ''; known: mef, mff, vif"),
        (["--effect", "haze=0.5", "--depth", "no.png"], "no.png: No such file"),
    ]:
        refused(synth("degrade", pair / "a.png", pair / "b.png", *wrong, "--out", "x", cwd=tmp_path), message)
    refused(synth("degrade", "no.png", pair / "b.png", "--effect", "haze", "--out", "x", cwd=tmp_path), "no.png")


def test_effects_lists_each_with_its_unit(tmp_path):
    run = synth("effects", cwd=tmp_path)
    for word in ("haze", "visibility_m", "noise", "grey levels", "jpeg", "blur"):
        assert word in run.stdout


HEAVY = ("numpy", "cv2", "scipy", "pyarrow", "webdataset", "skimage", "imgaug", "torch", "pydantic", "rich.progress")


def test_help_imports_nothing_heavy(tmp_path):
    code = f"""
import sys
from synth.cli import app
try:
    app(["--help"])
except SystemExit:
    pass
print("loaded:", [name for name in {HEAVY} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "generate" in run.stdout
    assert run.stdout.strip().endswith("loaded: []")


def test_synth_runs_where_torch_is_not_installed(tmp_path):
    """torch, and all that brings it, cannot be imported at all; and the trainer is not asked for either."""
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "trainer", "diffusers", "transformers", "sentence_transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from synth.cli import app
app(["generate", "--recipe", "t.yaml", "--workers", "1"], standalone_mode=False)
app(["preview", "shards/t"], standalone_mode=False)
"""
    write(tmp_path)
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "4 samples in 2 shards" in run.stdout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("generate --recip x", "No such option: --recip; did you mean --recipe?; see synth generate --help"),
        ("generate --recipe", "'--recipe' requires an argument"),
        ("generate --recipe --out x", "--recipe: a value is needed, and --out stands there, an option of its own"),
        ("generate --recipe x --out --no-follow-links", "--out: a value is needed, and --no-follow-links stands there"),
        ("generate --recipe mef_haze --limit x", "Invalid value for '--limit'"),
        ("verify", "Missing argument 'dataset'; see synth verify --help"),
        ("effects x", "unexpected extra argument"),
        ("generat", "No such command 'generat'. Did you mean 'generate'"),
    ],
)
def test_a_wrong_command_line_is_one_line(line, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["synth", *line.split()])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    (found,) = captured.err.splitlines()
    assert found.startswith("synth: ")
    assert said in found
