"""The configuration refuses what it does not know, in one line with a way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tests.conftest import ROOT
from trainer import plain_yaml
from trainer.autoencoder.config import AutoencoderRun
from trainer.config import PRESETS, Config, load_config, settings_of
from trainer.errors import UserError
from trainer.model.config import NetworkConfig
from trainer.objectives import OBJECTIVES
from trainer.schema import parse


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_loads_and_survives_a_round_trip(preset: str) -> None:
    config = load_config(preset)
    assert config.name == preset
    assert parse(Config, yaml.safe_load(config.to_yaml()), "saved") == config


def test_every_field_is_documented() -> None:
    inner = [f.annotation for f in Config.model_fields.values() if hasattr(f.annotation, "model_fields")]
    sections = [Config, AutoencoderRun, *inner, *(objective.Config for objective in OBJECTIVES.values())]
    bare = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, field in section.model_fields.items()
        if name != "kind" and not field.description and not hasattr(field.annotation, "model_fields")
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"widht": 64, "depth": 1, "heads": 2}}, "model.widht: unknown key; did you mean 'width'?"),
        ({"modle": {}}, "modle: unknown key; did you mean 'model'?"),
        ({"model": {"width": 64, "depth": 1}}, "model.heads: missing"),
        ({"model": {"width": 50, "depth": 1, "heads": 2}}, "model: width 50 with 2 heads"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0, got -1"),
        ({"seed": "many"}, "got 'many'"),
        ({"objective": {"kind": "regresion"}}, "objective.kind: 'regresion' is not known; did you mean 'regression'?"),
        ({"objective": {"kind": "gan"}}, "objective.kind: 'gan' is not known; known: flow, regression"),
        ({"objective": {"kind": "regression", "sigma": 1}}, "objective.sigma: unknown key; known: kind"),
        ({"objective": {}}, "objective: its kind is needed, one of flow, regression"),
        ({"objective": "flow"}, "objective: a section with its kind, one of flow, regression, is needed, got 'flow'"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, change: dict, said: str) -> None:
    values = yaml.safe_load((PRESETS / "tiny.yaml").read_text()) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError) as error:
        load_config(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_yaml_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: {width: [")
    with pytest.raises(UserError, match="cannot be read as YAML") as error:
        load_config(str(path))
    assert "\n" not in str(error.value)


def test_overrides_replace_one_value_and_no_more() -> None:
    config = load_config("tiny", {"training.samples": 500, "seed": None})
    assert config.training.samples == 500
    assert config.training.lr == load_config("tiny").training.lr
    assert config.seed == load_config("tiny").seed


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        load_config("tiny").seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 2024-13-45", "cannot be read as YAML: month must be in 1..12"),
        (f"seed: {'9' * 5000}", "cannot be read as YAML"),
        ("model: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("model: {? [1]: 2}", "cannot be read as YAML"),
        ("model: [1, 2]", f"model: a section, with {', '.join(NetworkConfig.model_fields)}, is needed, got [1, 2]"),
        ("- 1", "holds list"),
        ("1: 2", "1: "),
        ('"a\\nb": 2', "a b: unknown key"),
        ("a: &a [lol, lol]\nseed: [*a, *a]", "unknown key"),
        ("seed: [" + "x, " * 1000 + "]", "seed: "),
        ("name: ..", "name: letters, digits"),
        ("name: a/b", "name: letters, digits"),
        ("name: " + "n" * 300, "name: "),
        ("model: {width: 64, depth: 1, heads: 2, mlp_ratio: 0.001}", "mlp_ratio 0.001 of width 64"),
        ("model: {width: 64, depth: 1, heads: 2, weight: 1}", "model.weight: unknown key"),
        ("training: {samples: 10, batch_size: 1, lr: .inf, ema_half_life: 1}", "training.lr: "),
        ("training: {samples: 10, batch_size: 1, lr: .nan, ema_half_life: 1}", "training.lr: "),
        (f"training: {{samples: {10**12}, batch_size: 1, lr: 1, ema_half_life: 1}}", "training.samples: "),
    ],
)
def test_whatever_a_file_holds_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    tiny = yaml.safe_load((PRESETS / "tiny.yaml").read_text())
    given = text.split(":", 1)[0]
    rest = (
        ""
        if text.startswith("- ")
        else yaml.safe_dump({key: tiny[key] for key in ("model", "training", "run") if key != given})
    )
    path.write_text(f"{text}\n{rest}")
    with pytest.raises(UserError) as error:
        load_config(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_bytes_that_are_no_text_and_a_name_too_long_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\x00\x01")
    with pytest.raises(UserError, match=r"mine\.yaml: cannot be read as YAML"):
        load_config(str(path))
    with pytest.raises(UserError, match="no such file or preset"):
        load_config("x" * 5000)


def test_a_far_name_is_no_hint(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("weight: 2")
    with pytest.raises(UserError) as error:
        load_config(str(path))
    assert "did you mean" not in str(error.value)
    assert "known: name, seed, autoencoder" in str(error.value)


def test_the_flow_that_the_readme_shows_begins_from_the_release(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "release-flow.yaml"
    path.write_text(text.partition("### A flow from a regression")[2].partition("```yaml\n")[2].partition("```")[0])
    flow, release = load_config(str(path)), load_config("release")
    assert flow.model.model_copy(update={"adapters": 0}) == release.model
    assert flow.autoencoder == release.autoencoder
    assert flow.model.adapters


REST = "model: {width: 32, depth: 1, heads: 2}\nrun: {checkpoint_every: 8, log_every: 8}\n"
TRAINING = "training: {samples: 8, batch_size: 4, lr: 1.0e-3, ema_half_life: 8}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training:\n  lr: 1\n  samples: 8\n  lr: 2\n", "lines 2 and 4: lr stands twice"),
        (TRAINING + "seed: 1\nseed: 1\n", "lines 2 and 3: seed stands twice"),
        ("training: {lr: 1, 'lr': 2}\n", "line 1: lr stands twice"),
        ("training: {<<: {lr: 1}, <<: {samples: 8}}\n", "line 1: << stands twice; merge several as <<: [*a, *b]"),
        (TRAINING + "seed: 010\n", "line 2: 010: YAML reads it as octal"),
        (TRAINING.replace("8,", "8, minutes: 1:30,"), "line 1: 1:30: YAML counts it by sixties"),
        (TRAINING + "seed:\n\t1\n", "line 3: a tab, and YAML indents by spaces"),
        (TRAINING.replace("samples: 8", "samples: yes"), "training.samples: a number is needed, and yes, no, on, off"),
        (TRAINING + "name: off\n", "name: a text is needed; put it in quotes, got False"),
        (TRAINING + "name: 1e5\n", "name: a text is needed; put it in quotes, got 100000.0"),
        (TRAINING + "on: 1\n", "keys are texts; put it in quotes"),
        (TRAINING.replace("samples", "Sampels"), "training.Sampels: unknown key; did you mean 'samples'?"),
        ("", "training: missing"),
    ],
)
def test_the_traps_of_yaml_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text + REST)
    with pytest.raises(UserError) as error:
        load_config(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_other_editors_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes((TRAINING + REST).replace("\n", "\r\n").encode(encoding))
    assert load_config(str(path)).training.samples == 8


def test_anchors_merges_and_numbers_without_a_dot_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "training:\n  <<: &base {samples: 8, batch_size: 4, lr: 1, ema_half_life: 8}\n  lr: 2e-3\n  samples: 1e5\n"
        "model: {width: 32, depth: 1, heads: 2}\nrun: {<<: {log_every: 8, checkpoint_every: 9}, checkpoint_every: 10}\n"
    )
    config = load_config(str(path))
    assert (config.training.lr, config.training.samples, config.training.batch_size) == (2e-3, 100_000, 4)
    assert config.run.checkpoint_every == 10


def test_a_merge_of_a_merge_is_no_key_twice() -> None:
    text = "x: {y: &a {<<: &b {k: 1}, k: 2}}\nz: {<<: *a, m: 3}\n"
    assert plain_yaml.load(text) == {"x": {"y": {"k": 2}}, "z": {"k": 2, "m": 3}}


def test_of_several_merges_the_first_counts() -> None:
    text = "x: {y: &a {key: 1}, z: &b {key: 2}}\nboth: {<<: [*a, *b]}\n"
    assert plain_yaml.load(text)["both"] == {"key": 1}


def test_a_text_that_looks_like_a_number_survives_the_saved_config() -> None:
    values = {"name": "1e5", "other": "010", "rate": 1e-05, "date": "2024-01-01", "none": None}
    assert plain_yaml.load(plain_yaml.dump(values)) == values
    assert yaml.safe_load(plain_yaml.dump(values)) == values


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["seed=1", "seed=2"], "--set seed=2: seed is set twice"),
        (["model.depth=6", "model={width: 32}"], "would undo --set model.depth"),
        (["training.lr=010"], "010: YAML reads it as octal"),
        (["model={depth: 1, depth: 2}"], "depth stands twice"),
    ],
)
def test_settings_that_undo_each_other_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        settings_of(texts)


def test_a_setting_beside_the_option_for_it_is_refused_and_null_is_a_value() -> None:
    with pytest.raises(UserError, match=r"--set training\.samples=7: an option sets the same to 5"):
        load_config("tiny", {"training.samples": 5}, settings_of(["training.samples=7"]))
    timed = {"training.minutes": 3}
    assert load_config("tiny", timed).training.minutes == 3
    assert load_config("tiny", {}, settings_of(["training.minutes=null"])).training.minutes is None
    with pytest.raises(UserError, match="seed"):
        load_config("tiny", {}, settings_of(["seed=null"]))
