"""The configuration refuses what it does not know, in one line with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tests.conftest import ROOT
from trainer.config import PRESETS, AutoencoderRun, Config, load_config
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
    path.write_bytes(b"\xff\xfe\x00\x01")
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
