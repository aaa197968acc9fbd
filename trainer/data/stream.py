"""Tars without sidecars, read from front to back, in the way of WebDataset: what stands together is a sample."""

from __future__ import annotations

import hashlib
import lzma
import re
import tarfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from typing import IO, Any, NamedTuple, Self

from trainer.addresses import path_of
from trainer.console import say
from trainer.data.format import ALL_MEMBERS, DATASET, member_in
from trainer.data.order import permutation
from trainer.data.places import STREAM_BYTES, at_once, identity, open_stream
from trainer.data.samples import MOST_BROKEN, Sample, decode, members_of
from trainer.errors import UserError
from trainer.files import one_line

META = re.compile(r"(.*/)?__[^/]*__($|/)")
"""Names of what tells of a tar, and is no sample."""
TOLD = 3
"""Incomplete samples of a tar that are told one by one; the others are counted."""
JUDGED_EVERY = 1000
"""Samples of a tar after which those that are incomplete are looked at; and at its end."""
AGAIN = "pack it again, sorted by name (tar --sort=name)"


class Found(NamedTuple):
    """What a stream found of a tar so far."""

    samples: int = 0
    incomplete: int = 0


class StreamedShards:
    """Tars without sidecars, read from front to back.

    The order of shards in cycle c is the Philox permutation keyed by (seed, c); inside a tar samples keep their
    order. A sample's number is its position. To resume is to pass over what was seen. Samples that miss a member are
    passed over and told; a share of them over MOST_BROKEN raises UserError, as does a tar that is not whole, and one
    in which a sample stands in pieces or twice.
    """

    def __init__(self, tars: list[str], seed: int, clean: bool = False) -> None:
        self.tars = tars
        self.seed = seed
        self._members = members_of(clean)
        # names, sizes and first bytes: the same tars on disk and over http, and seldom the same for other tars
        names = [path_of(url).rsplit("/", 1)[-1] for url in tars]
        named = [f"{name} {what}" for name, what in zip(names, at_once(identity, tars), strict=True)]
        self.fingerprint = hashlib.sha256("\n".join(named).encode()).hexdigest()
        self._found: dict[str, Found] = {}
        self._next = 0
        self._stream = self._raw()

    @property
    def broken(self) -> int:
        """Samples that miss a member, in what was read so far; they were passed over."""
        return sum(found.incomplete for found in self._found.values())

    def at(self, position: int) -> int:
        return position

    def check_couples(self) -> None:
        raise UserError(
            f"--shards {self.tars[0]}: training.couples needs the sidecars (.parquet), which tell the samples of one "
            "pair; copy them beside the tars, or leave out training.couples"
        )

    def couple(self, number: int, turn: int) -> tuple[int, int]:
        raise NotImplementedError("a stream does not know which samples are of one pair; see check_couples")

    def load(self, numbers: Sequence[int]) -> list[Sample]:
        samples = []
        for number in numbers:
            if number < self._next:
                self._next, self._stream = 0, self._raw()
            while True:
                url, raw = next(self._stream)
                self._next += 1
                if self._next > number:
                    break
            samples.append(decode(raw.key, raw.members, url, self._members))
        return samples

    def close(self) -> None:
        self._stream.close()

    def _raw(self) -> Generator[tuple[str, Raw], None, None]:
        cycle = 0
        while True:
            empty = True
            for shard in permutation(self.seed, cycle, len(self.tars)):
                for raw in self._complete(self.tars[shard]):
                    empty = False
                    yield self.tars[shard], raw
            if empty:
                needed = ", ".join(sorted(self._members))
                raise UserError(f"--shards {self.tars[0]}: no complete sample ({needed}) in {len(self.tars)} tars")
            cycle += 1

    def _complete(self, url: str) -> Iterator[Raw]:
        """The samples of a tar; those that miss a member are counted and, where they are new, told."""
        found, known = Found(), self._found.get(url, Found())
        for raw in samples_of_tar(url):
            missing = [member for member in self._members if member_in(raw.members, member) is None]
            found = Found(found.samples + 1, found.incomplete + bool(missing))
            if found.samples > known.samples:
                self._found[url] = found
                if missing:
                    reason = f"{url}: {raw.key}: no member '{missing[0]}', there are {', '.join(raw.members)}"
                    if found.incomplete <= TOLD:
                        say(f"passed over: {reason}")
                if found.samples % JUDGED_EVERY == 0:
                    self._judge(url)
            if not missing:
                yield raw
        if found.samples > known.samples or not found.samples:
            self._end(url, found)

    def _end(self, url: str, found: Found) -> None:
        """What is to be said of a tar that was read to its end for the first time."""
        if not found.samples and url not in self._found:
            self._found[url] = found
            say(f"{url}: no sample in it")
        if found.incomplete > TOLD:
            say(f"passed over: {url}: {found.incomplete} of its {found.samples} samples, which miss a member")
        self._judge(url)

    def _judge(self, url: str) -> None:
        """Raises UserError where too many samples of those read so far are incomplete."""
        total = sum(found.samples for found in self._found.values())
        if total > self.broken > MOST_BROKEN * total:
            raise UserError(
                f"{url}: {self._found[url].incomplete} of {self._found[url].samples} samples miss a member "
                f"({self.broken} of {total} read so far, over {MOST_BROKEN:.0%}); make the shard again or leave it out"
            )


class Raw(NamedTuple):
    """A sample as it lies in a tar."""

    key: str
    members: dict[str, bytes]
    """By their names without the key: "a.png", "json"."""


def samples_of_tar(url: str) -> Iterator[Raw]:
    """What has a member of a sample, in the order of the tar, complete or not; other files are passed over.

    Raises UserError where the tar cannot be read, is not whole, or has a sample in pieces or twice.
    """
    try:
        with open_stream(url) as stream:
            yield from _grouped(stream, url)
    except FileNotFoundError:
        raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces") from None
    except (
        *(tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),  # of the tar, or of what it is packed with
        *(OSError, ValueError),  # of the line or the disk
    ) as error:
        reason = getattr(error, "strerror", None) or (error.args[0] if error.args else "") or type(error).__name__
        raise UserError(f"{url}: not a whole tar ({one_line(reason)}); copy it again or leave it out") from None


def _grouped(stream: IO[bytes], url: str) -> Iterator[Raw]:
    """Files of one key that stand together are a sample. Raises UserError, and what `_files` raises."""
    from webdataset.tariterators import base_plus_ext

    before: dict[str, bool] = {}  # the keys that are behind, and whether they had all that a sample needs
    at = Raw("", {})
    for name, data in _files(stream):
        key, ending = base_plus_ext(name)
        ending = (ending or "").lower()
        if all(member_in([ending], member) is None for member in ALL_MEMBERS) or name.rpartition("/")[2] == DATASET:
            continue
        if key != at.key:
            if at.members:
                before[at.key] = all(member_in(at.members, member) for member in members_of(False))
                yield at
            if key in before:
                how = "is in it twice" if before[key] else "is in it in pieces that do not stand together"
                raise UserError(f"{url}: {key} {how} ({ending} after {at.key}); {AGAIN}")
            at = Raw(key, {})
        if ending in at.members:
            raise UserError(f"{url}: {key}.{ending} is in it twice; {AGAIN}")
        at.members[ending] = data
    if at.members:
        yield at


class _Header(tarfile.TarInfo):
    """A header that tarfile does not take for the end where it is broken or missing."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            what = "nothing" if tarfile_.offset == 0 else "no header and no end"
            raise tarfile.ReadError(f"{what} at byte {tarfile_.offset}: {error}") from None


def _files(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of the plain files of a tar, which may be packed. Raises TarError and what reading raises."""
    with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
        while (info := tar.next()) is not None:
            if info.isreg() and not META.match(info.name):
                file = tar.extractfile(info)
                assert file is not None  # of a plain file there is one
                yield info.name, file.read()
            tar.members = []  # type: ignore[attr-defined] # else all headers are kept
        rest: Any = tar.fileobj
        while data := rest.read(STREAM_BYTES):
            if data.strip(b"\0"):
                raise tarfile.ReadError("more follows its end, as of two tars in one")
