"""Damage by the command line of synth, as the page asks for it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.errors import UserError
from trainer.inference.auto import standard_clauses
from trainer.page import damage
from trainer.page.damage import MISSING, Synth, seed_of, sentences_of, shallow
from trainer.page.work import Seen

CLAUSES = standard_clauses()


@pytest.fixture(scope="module")
def synth() -> Synth:
    return Synth()


def fallen(synth, files, folder, wanted, task="mef", seed=1):
    return synth.damage(files, wanted, folder, task=task, seed=seed, megapixels=1.0, clauses=CLAUSES)


def test_sliders_and_kinds_are_those_that_synth_lists(synth):
    from synth.degradations import effects
    from synth.tasks import TASKS

    assert [effect.name for effect in synth.effects] == list(effects())
    assert {task.name: dict(task.images) for task in synth.tasks} == {
        name: dict(task.capture.modalities) for name, task in TASKS.items()
    }
    ways = {effect.name: {way.key: dict(way.values) for way in effect.ways} for effect in synth.effects}
    assert ways["exposure"] == {"direction": {"dark": -1, "bright": 1}}
    assert ways["motion"] == {"shake": {"straight": 0, "shaken": 1}}
    assert ways["haze"] == {}


def test_effects_fall_as_they_were_set(synth, write, tmp_path):
    a, b = write("a.png", 1, 64), write("b.png", 2, 64)
    wanted = {"exposure": (0.5, {"direction": -1}, "a"), "noise": (0.4, {}, ""), "rain": (0.0, {}, "")}
    made = fallen(synth, [a, b], tmp_path, wanted)
    record = json.loads((made.files[0].parent / "record.json").read_text())
    fell = [(item["effect"], item["image"], item["severity"]) for item in record["degradations"]]
    assert fell == [("exposure", "a", 0.5), ("noise", "a", 0.4), ("noise", "b", 0.4)]
    assert record["task"] == "mef"
    assert cv2.imread(str(made.files[0])).mean() < 0.7 * cv2.imread(str(a)).mean()
    assert np.abs(cv2.imread(str(made.files[1])).astype(int) - cv2.imread(str(b))).mean() > 3
    assert made.told == ("exposure (dark): first 0.50", "noise: first 0.40, second 0.40")
    assert made.sentences == (
        "remove the darkness in the first image and remove the noise and fuse the images",
        "remove the darkness in the first image and fuse the images",
        "remove the noise and fuse the images",
        "fuse the two images",
    )


def test_what_cannot_be_damaged_is_told_without_the_places_of_files(synth, write, tmp_path):
    a, broken, other = write("a.png"), write("broken.png"), write("other.png", size=32)
    broken.write_bytes(broken.read_bytes()[:-30])
    haze = {"haze": (0.5, {}, "")}
    for files, wanted, told in (
        ([a], haze, "Give a clean pair, two images of one scene; here are 1."),
        ([a, a], {"haze": (0.0, {}, "")}, "No effect is set: move a slider."),
        ([a, broken], haze, "broken.png"),
        ([a, other], haze, "a is 48×48, b is 32×32"),
    ):
        with pytest.raises(UserError) as caught:
            fallen(synth, files, tmp_path, wanted)
        assert told in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
        assert "synth:" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["private"]


def test_one_effect_has_no_sentence_twice():
    entries = [{"effect": "haze", "image": name} for name in "ab"]
    assert sentences_of(entries, CLAUSES) == ["remove the haze and fuse the images", "fuse the two images"]


def test_without_synth_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setattr(damage, "found", lambda: None)
    with pytest.raises(UserError, match="pip install mmaif"):
        Synth()
    assert "not installed" in MISSING


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo '{}'", "answers otherwise"),
        ("echo no json", "not JSON"),
        ("echo 'synth: out of luck' >&2; exit 2", "out of luck"),
    ],
)
def test_a_synth_that_answers_otherwise_is_one_line(tmp_path: Path, script: str, told: str):
    program = tmp_path / "synth"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(UserError, match=told):
        Synth(str(program))


def test_a_seed_is_a_whole_number_that_synth_takes():
    assert [seed_of(value) for value in (0, 7.0, 2**31 - 1)] == [0, 7, 2**31 - 1]
    for value, told in (
        (None, "The seed is empty"),
        (-5, "The seed is -5"),
        (1.5, "The seed is 1.5"),
        (99999999999, "The seed is 99999999999"),
        (float("nan"), "The seed is nan"),
        (float("inf"), "The seed is inf"),
    ):
        with pytest.raises(UserError, match=f"^{told}: give a whole number from 0 to 2147483647.$"):
            seed_of(value)


def test_more_than_8_bits_are_told():
    eight, sixteen = Seen(Path("private/a.png"), 4, 4, 8), Seen(Path("private/b.png"), 4, 4, 16)
    assert shallow([eight, eight]) == []
    (line,) = shallow([eight, sixteen])
    assert "of b.png it drops" in line
    assert "b.png and" not in line
