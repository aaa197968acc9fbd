"""Whether a scene shows the same pictures in all of a dataset: by the hashes of its files, which the records hold.

Names of sources are compared before a run (`source_fingerprint`); their bytes are known only where they are read. So
what stands in finished shards is held against each pair as a run reads it, and all shards against each other at its
end, and when they are verified.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.dataset.shards import read_rows
from synth.errors import UserError
from synth.storage import Storage

COLUMNS = ["task", "scene", "status", "record"]
"""Of a sidecar, that this needs."""
MARK = '"sha256":['  # in a record, before the hashes of its files: within a sentence its quotes are escaped
WAY_OUT = "put the old files back, or make the dataset anew: synth generate --overwrite"
LOOKED_AT = 16  # shards of others that a job of a part reads: all jobs together would read all shards of all


def scene_key(task: str, scene: str) -> int:
    """64 bits for a scene of a task."""
    return _hash(f"{task} {scene}")


def pictures_key(record: str) -> int:
    """64 bits for the files of a sample, from its record as it is stored."""
    at = record.rfind(MARK)
    return _hash(record[at : record.find("]", at)] if at >= 0 else "")


def files_key(sha256: Iterable[str]) -> int:
    """The same from the hashes of the files."""
    return _hash(MARK + ",".join(f'"{digest}"' for digest in sha256))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def shown_in(rows: Iterable[Mapping[str, Any]]) -> dict[int, tuple[int, str]]:
    """By scene, the pictures of the rows of a shard that were made, and the scene's name.

    Raises UserError where one scene has two.
    """
    found: dict[int, tuple[int, str]] = {}
    for row in rows:
        if row["status"] == "ok" and isinstance(row["record"], str):
            scene, shown = scene_key(row["task"], row["scene"]), pictures_key(row["record"])
            if found.setdefault(scene, (shown, row["scene"]))[0] != shown:
                raise UserError(f"scene {row['scene']} has two different pictures in one shard; {WAY_OUT}")
    return found


class Shown:
    """What is shown of each scene in the shards that were looked at, and in which of them first."""

    def __init__(self) -> None:
        self._pictures: dict[int, int] = {}
        self._shards: dict[int, int] = {}

    def add(self, stem: str, found: Mapping[int, int]) -> list[tuple[int, str]]:
        """Takes in a shard. Returns its scenes that show something else in another one, with the name of that one.

        found: pictures by scene.
        """
        other = []
        for scene, shown in found.items():
            if self._pictures.setdefault(scene, shown) != shown:
                other.append((scene, f"{self._shards[scene]:06d}"))
            self._shards.setdefault(scene, int(stem))
        return other

    def known(self) -> "Known":
        """For a run."""
        scenes = np.fromiter(self._pictures, np.uint64, len(self._pictures))
        pictures = np.fromiter(self._pictures.values(), np.uint64, len(self._pictures))
        order = np.argsort(scenes)
        return Known(scenes[order], pictures[order])


@dataclass(frozen=True, eq=False)
class Known:
    """The pictures of the scenes that stand in finished shards, as columns, which go to every worker.

    scenes: ascending.
    """

    scenes: NDArray[np.uint64]
    pictures: NDArray[np.uint64]

    def check(self, task: str, source: Mapping[str, Any]) -> None:
        """source: of a record. Raises UserError where its files are not those of the scene's finished samples."""
        scene = np.uint64(scene_key(task, source["scene"]))
        at = int(self.scenes.searchsorted(scene))
        if at == len(self.scenes) or self.scenes[at] != scene:
            return
        if self.pictures[at] != np.uint64(files_key(source["sha256"])):
            raise UserError(
                f"{source['scene']}: its pictures ({', '.join(source['files'])}) have changed since samples of it were "
                f"made, and one scene would stand in the dataset with two; {WAY_OUT}"
            )


def known_in(storage: Storage, stems: Sequence[str], part: bool) -> Known:
    """What finished shards show. part: this run is one of several, and looks at a few of them alone.

    Raises UserError where a scene has two different pictures already.
    """
    shown = Shown()
    for stem in stems[:: max(1, len(stems) // LOOKED_AT)] if part else stems:
        found = shown_in(read_rows(storage, f"{stem}.parquet", COLUMNS))
        other = shown.add(stem, {scene: pictures for scene, (pictures, _) in found.items()})
        refuse(stem, other, found)
    return shown.known()


def refuse(stem: str, other: Sequence[tuple[int, str]], found: Mapping[int, tuple[int, str]]) -> None:
    """Raises UserError where scenes of a shard show something else in another one."""
    if other:
        scene, there = other[0]
        more = f", as have {len(other) - 1} more" if len(other) > 1 else ""
        raise UserError(
            f"scene {found[scene][1]} has other pictures in shard {stem} than in {there}{more}: its files have changed "
            f"between the runs; {WAY_OUT}"
        )
