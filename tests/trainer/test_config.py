"""The configuration refuses what it does not know, in one line with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from trainer.config import PRESETS, Config, load_config, parse_config
from trainer.errors import UserError


@pytest.mark.parametrize("preset", sorted(path.stem for path in PRESETS.glob("*.yaml")))
def test_every_preset_loads_and_survives_a_round_trip(preset: str) -> None:
    config = load_config(preset)
    assert config.name == preset
    assert parse_config(yaml.safe_load(config.to_yaml()), "saved") == config


def test_every_field_is_documented() -> None:
    sections = [Config, *(f.annotation for f in Config.model_fields.values() if hasattr(f.annotation, "model_fields"))]
    bare = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, field in section.model_fields.items()
        if not field.description and not hasattr(field.annotation, "model_fields")
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
