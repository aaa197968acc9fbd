"""What is told of work that takes long."""

from __future__ import annotations

import sys

import pytest

from trainer import console


def lines_of(total: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    tell = console.progress(total)
    for done in range(1, total + 1):
        tell(done)
    return capsys.readouterr().err.splitlines()


def test_a_file_or_a_pipe_gets_a_line_at_each_tenth(capsys):
    assert [line.partition(",")[0] for line in lines_of(1000, capsys)] == [f"{n}00 of 1000" for n in range(1, 10)] + [
        "1000 of 1000"
    ]
    assert len(lines_of(57, capsys)) == 10
    assert len(lines_of(3, capsys)) == 3


def test_a_terminal_gets_a_line_each(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert len(lines_of(57, capsys)) == 57


def test_what_is_slow_is_told_before_a_tenth_is_done(capsys, monkeypatch):
    seconds = iter(range(0, 10**9, 700))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(seconds))
    assert len(lines_of(57, capsys)) == 57


def test_the_last_one_is_named(capsys):
    console.progress(1)(1, "scene")
    assert capsys.readouterr().err == "1 of 1: scene, about 0 min left\n"
