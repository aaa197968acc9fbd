"""A dataset held to a signature by the command, as tests ask for it."""

from pathlib import Path

from typer.testing import CliRunner

from synth.cli import app


def verify(dataset: Path, signature: Path | str, *words: str):
    return CliRunner().invoke(app, ["verify", str(dataset), "--against", str(signature), "--workers", "1", *words])


def accepted(dataset: Path, signature: Path | str) -> str:
    done = verify(dataset, signature)
    assert done.exit_code == 0, done.output
    assert "the demo of the signature: 48 samples" in done.output
    return done.output


def refused(dataset: Path, signature: Path | str, *words: str) -> str:
    done = verify(dataset, signature)
    assert done.exit_code == 1, done.output
    assert "not the demo of the signature" in done.output
    for word in words:
        assert word in done.output
    return done.stdout
