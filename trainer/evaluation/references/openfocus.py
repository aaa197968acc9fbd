"""OpenFocus, a program of others that fuses focus stacks (Xie, MIT, on PyPI), run in an environment of its own.

It wants another OpenCV and another numpy than this project, so that it is called, and not imported. Its network is told
nothing of damage: it gets the pairs as they came, and the settings that it has by itself (StackMFF V3, exposures made
alike).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.console import say
from trainer.data.images import Image, read_image, write_image
from trainer.errors import UserError
from trainer.evaluation.cases import Case

TASK = "mff"
"""Of the only pairs that it is for."""
TOGETHER = 200
"""Pairs that one call of the program takes, so that its command line stays short."""
INSTALL = "`make openfocus` puts it into .venv-openfocus/bin/openfocus"


class OpenFocus:
    """A case to the picture that the program makes of its two images, all made beforehand, in a folder that goes with
    this object.

    program: `bin/openfocus` of the environment where it is installed. cases: of which those of focused pairs are fused,
    equal ones once. Raises UserError where it is not there, or fails, or where there is no such pair.
    """

    def __init__(self, program: Path, cases: Iterable[Case]) -> None:
        if not program.is_file() or not os.access(program, os.X_OK):
            raise UserError(f"--openfocus {program}: no program is there; {INSTALL}")
        self._program, self._folder = program.absolute(), tempfile.TemporaryDirectory(prefix="openfocus-")
        root = Path(self._folder.name)
        pairs: dict[str, Path] = {}
        for case in cases:
            if case.task == TASK and (name := _name_of(case)) not in pairs:
                pairs[name] = root / "in" / name
                for image, file in ((case.a, "a.png"), (case.b, "b.png")):
                    write_image(pairs[name] / file, image)
        if not pairs:
            raise UserError(f"--openfocus {program}: is for focused pairs, and none of the samples is of task {TASK}")
        say(f"OpenFocus: {len(pairs)} pairs")
        folders = list(pairs.values())
        for first in range(0, len(folders), TOGETHER):
            self._run(folders[first : first + TOGETHER])

    def __call__(self, case: Case) -> Image:
        """(H, W, 3) uint8, of a case that was among those given. Raises UserError."""
        made = read_image(self._made / f"{_name_of(case)}.png")
        if made.shape != case.a.shape:
            raise UserError(f"--openfocus {self._program}: made {made.shape} of a pair of {case.a.shape}, {case.key}")
        return made

    @property
    def _made(self) -> Path:
        return Path(self._folder.name) / "out"

    def _run(self, folders: Sequence[Path]) -> None:
        command = [str(self._program), "--cpu", "--input", *map(str, folders), "--output-dir", str(self._made)]
        own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        own["OPENFOCUS_LOG_DIR"] = str(Path(self._folder.name) / "log")
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=own, check=False)
        except OSError as error:
            raise UserError(f"--openfocus {self._program}: does not run ({error.strerror or error})") from None
        made = all((self._made / f"{folder.name}.png").is_file() for folder in folders)
        if done.returncode or not made:
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            told = f": {lines[-1].strip()}" if lines else ""
            raise UserError(f"--openfocus {self._program}: failed with exit code {done.returncode}{told}")


def _name_of(case: Case) -> str:
    """Of a pair, by its pixels: samples of one group share theirs, and keys of several datasets may be equal."""
    digest = hashlib.sha256(repr(case.a.shape).encode())
    for image in (case.a, case.b):
        digest.update(image.tobytes())
    return digest.hexdigest()[:24]
