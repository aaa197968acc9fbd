"""Tars without sidecars, read from front to back by webdataset."""

from __future__ import annotations

import hashlib
import lzma
import zlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from trainer.addresses import path_of
from trainer.data.format import member_in
from trainer.data.order import permutation
from trainer.data.places import at_once, identity, open_stream
from trainer.data.samples import Sample, decode, members_of
from trainer.errors import UserError
from trainer.files import one_line


class StreamedShards:
    """Tars without sidecars, read from front to back.

    The order of shards in cycle c is the Philox permutation keyed by (seed, c); inside a tar samples keep their
    order. A sample's number is its position. To resume is to pass over what was seen.
    """

    def __init__(self, tars: list[str], seed: int, clean: bool = False) -> None:
        self.tars = tars
        self.seed = seed
        self._members = members_of(clean)
        # names, sizes and first bytes: the same tars on disk and over http, and seldom the same for other tars
        names = [path_of(url).rsplit("/", 1)[-1] for url in tars]
        named = [f"{name} {what}" for name, what in zip(names, at_once(identity, tars), strict=True)]
        self.fingerprint = hashlib.sha256("\n".join(named).encode()).hexdigest()
        self._next = 0
        self._stream = self._raw()

    def at(self, position: int) -> int:
        return position

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
            samples.append(decode(raw["__key__"], raw, url, self._members))
        return samples

    def close(self) -> None:
        self._stream.close()

    def _raw(self) -> Generator[tuple[str, dict[str, Any]], None, None]:
        cycle = 0
        while True:
            empty = True
            for shard in permutation(self.seed, cycle, len(self.tars)):
                for raw in _samples_of_tar(self.tars[shard], self._members):
                    empty = False
                    yield self.tars[shard], raw
            if empty:
                needed = ", ".join(sorted(self._members))
                raise UserError(f"--shards {self.tars[0]}: no complete sample ({needed}) in {len(self.tars)} tars")
            cycle += 1


def _samples_of_tar(url: str, members: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The raw members of each complete sample: {"__key__": …, "a.png": bytes, …}."""
    import tarfile

    from webdataset.tariterators import group_by_keys, tar_file_expander

    try:
        with open_stream(url) as stream:
            for raw in group_by_keys(tar_file_expander([{"url": url, "stream": stream}])):
                if all(member_in(raw, member) for member in members):
                    yield raw
    except FileNotFoundError:
        raise UserError(f"--shards {url}: not there; check the path, the address and the range in braces") from None
    except (
        *(tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),  # of the tar, or of what it is packed with
        *(OSError, ValueError),  # of the line or the disk; a member that comes twice
    ) as error:
        # webdataset adds the stream and its address to the arguments of an error
        reason = getattr(error, "strerror", None) or (error.args[0] if error.args else "") or type(error).__name__
        raise UserError(f"{url}: not a whole tar ({one_line(reason)}); copy it again or leave it out") from None
