"""Damage for a clean pair, by the command line of `synth`, the dataset tool, where that is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, NamedTuple

from trainer.errors import UserError
from trainer.files import one_line
from trainer.inference.auto import Clauses, Found, sentence
from trainer.page.work import Seen, see, worded

TOGETHER = "install trainer and synth of one version"
SEED_MOST = 2**31 - 1
PATIENCE = 600.0
"""Seconds that a call may take."""
MISSING = "synth, the dataset tool, is not installed beside this trainer: pip install mmaif, then start the page again"
Where = Literal["", "a", "b"]
"""In which image: as the effect itself has it, or in one alone."""


class Way(NamedTuple):
    """A quantity of an effect that goes one way or the other, such as dark or bright."""

    key: str
    values: Mapping[str, float]
    """By name."""


class Effect(NamedTuple):
    """What `synth effects --json` says of one."""

    name: str
    stage: str
    outdoors: bool
    severity: tuple[float, float]
    ways: tuple[Way, ...]

    @property
    def label(self) -> str:
        return {"jpeg": "JPEG"}.get(self.name, self.name.replace("_", " ").capitalize())


class Task(NamedTuple):
    """What `synth tasks --json` says of one."""

    name: str
    title: str
    images: Mapping[str, str]


class Damaged(NamedTuple):
    """A pair after the effects, what fell in words, and sentences that ask for some of it to go, all of it first."""

    files: tuple[Path, Path]
    told: tuple[str, ...]
    sentences: tuple[str, ...]


class Synth:
    """The program. Raises UserError where it is not there, or answers with something else."""

    def __init__(self, program: str | None = None) -> None:
        self.program = program or found()
        if self.program is None:
            raise UserError(MISSING)
        effects, tasks = self._json("effects"), self._json("tasks")
        try:
            self.effects = [_effect(name, told) for name, told in effects["effects"].items()]
            self.tasks = [Task(name, told["title"], told["images"]) for name, told in tasks.items()]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{self.program}: answers otherwise than was expected ({one_line(error)}); {TOGETHER}"
            ) from None

    def damage(  # noqa: PLR0913
        self,
        given: Sequence[str | Path],
        severities: Mapping[str, tuple[float, Mapping[str, float], Where]],
        folder: Path,
        *,
        task: str,
        seed: int,
        megapixels: float,
        clauses: Clauses,
    ) -> Damaged:
        """Lets effects fall on two files; what comes of it is written into a folder of its own below `folder`.

        severities: by effect, with the ways that are wanted and in which image; 0 is not there. Raises UserError,
        without the places of files. (Eight arguments: all that a visitor sets.)
        """
        paths = pair_of(given)
        for path in paths:
            see(path, megapixels)
        wanted = [
            f"--effect={name}=severity:{severity:g}"
            + "".join(f",{key}:{value:g}" for key, value in ways.items())
            + (f",images:{where}" if where else "")
            for name, (severity, ways, where) in severities.items()
            if severity > 0
        ]
        if not wanted:
            raise UserError("No effect is set: move a slider.")
        out = Path(mkdtemp(dir=folder))
        try:
            notes = self._run("degrade", *map(str, paths), *wanted, "--task", task, "--seed", str(seed), "-o", str(out))
            record = json.loads((out / "record.json").read_text(encoding="utf-8"))
        except (UserError, OSError, ValueError) as error:
            shutil.rmtree(out, ignore_errors=True)
            raise UserError(worded(one_line(error), paths)) from None
        entries = record["degradations"]
        told = [line.removeprefix("note: ") for line in notes.splitlines() if line.startswith("note: ")]
        files = [(out / f"{name}.png").rename(out / f"damaged-{number}.png") for number, name in enumerate("ab", 1)]
        return Damaged((files[0], files[1]), (*_told(entries), *told), tuple(sentences_of(entries, clauses)))

    def _json(self, command: str) -> dict[str, Any]:
        told = self._run(command, "--json")
        try:
            values: dict[str, Any] = json.loads(told)
        except ValueError:
            raise UserError(f"synth {command} --json: not JSON; {TOGETHER}") from None
        return values

    def _run(self, *words: str) -> str:
        """What it prints. Raises UserError with its one line."""
        assert self.program is not None
        try:
            done = subprocess.run(
                [self.program, *words], capture_output=True, text=True, timeout=PATIENCE, check=False, errors="replace"
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"synth {words[0]} took more than {PATIENCE:.0f} s; take smaller pictures") from None
        except OSError as error:
            raise UserError(f"{self.program}: cannot be run ({error.strerror or error})") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
            raise UserError(lines[-1].removeprefix("synth: "))
        return done.stdout


def pair_of(given: Sequence[str | Path]) -> list[Path]:
    """Two files. Raises UserError where they are more or fewer."""
    if len(given) != 2:
        raise UserError(f"Give a clean pair, two images of one scene; here are {len(given)}.")
    return [Path(file) for file in given]


def seed_of(value: float | None) -> int:
    """A seed as it was typed. Raises UserError where it is none."""
    if value is None:
        raise UserError(f"The seed is empty: give a whole number from 0 to {SEED_MOST}.")
    if not 0 <= value <= SEED_MOST or value != int(value):
        raise UserError(f"The seed is {value:.12g}: give a whole number from 0 to {SEED_MOST}.")
    return int(value)


def shallow(seen: Sequence[Seen]) -> list[str]:
    """Which of the files have more bits than damaged pictures, a line of text or none."""
    deep = [each.path.name for each in seen if each.bits > 8]
    if not deep:
        return []
    return [
        f"Damage works with 8 bits: of {' and '.join(deep)} it drops the finer steps, and its pictures have 8 bits."
    ]


def found() -> str | None:
    """Where the program is: beside this Python, or else on the path."""
    return shutil.which("synth", path=str(Path(sys.executable).parent)) or shutil.which("synth")


def sentences_of(entries: Sequence[Mapping[str, Any]], clauses: Clauses) -> list[str]:
    """What can be asked of a pair with these entries of a record: all of them to go, each alone, none."""
    images: dict[str, set[str]] = {}
    for entry in entries:
        named = f"{entry['effect']}.{entry.get('way')}"
        images.setdefault(named if named in clauses.effects else entry["effect"], set()).add(entry["image"])
    each = [Found(effect, tuple(sorted(where)), 1.0, 0.5) for effect, where in images.items()]
    said = [sentence(each, clauses), *(sentence([one], clauses) for one in each), sentence([], clauses)]
    return list(dict.fromkeys(said))


def _effect(name: str, told: Mapping[str, Any]) -> Effect:
    low, high = told["severity"]
    ways = []
    for key, quantity in told["quantities"].items():
        names, choices = quantity["unit"].split(" or "), quantity.get("choices", [])
        if len(names) == len(choices) > 1:
            ways.append(Way(key, dict(zip(names, choices, strict=True))))
    return Effect(name, told["stage"], told["outdoors"], (low, high), tuple(ways))


def _told(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line an effect: in which image, and its strength."""
    lines: dict[str, list[str]] = {}
    for entry in entries:
        way = f" ({entry['way']})" if entry.get("way") else ""
        lines.setdefault(f"{entry['effect'].replace('_', ' ')}{way}", []).append(
            f"{ {'a': 'first', 'b': 'second'}[entry['image']] } {entry['severity']:.2f}"
        )
    return [f"{name}: {', '.join(where)}" for name, where in lines.items()]
