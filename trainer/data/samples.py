"""Samples by number, from shards with sidecars; and the decoding of a sample's members, however they were read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from trainer.data.cache import ShardCache
from trainer.data.choice import ALL, Only
from trainer.data.format import CLEAN, IMAGES, MEMBERS, PICTURES, check_format, member_in
from trainer.data.images import Image, decode_member
from trainer.data.index import Index
from trainer.data.places import Ranges
from trainer.errors import UserError
from trainer.files import one_line, parse_json

MOST_BROKEN = 0.01
"""Share of the samples that may be broken."""
WAY_OUT = "leave the shard out or make it again"


@dataclass(frozen=True)
class Sample:
    """One degraded pair, what its instruction asks for, and what was drawn to make it."""

    key: str
    a: Image
    """(H, W, 3) uint8 RGB, as are the other images."""
    b: Image
    target: Image
    instruction: str
    record: dict[str, Any]
    clean_a: Image | None = None
    """The clean pair, where it was asked for."""
    clean_b: Image | None = None


class Broken(UserError):
    """A sample that is there and cannot be used."""


S = TypeVar("S")


class Stored(ABC, Generic[S]):
    """What shards with sidecars hold, by number: 0 … len - 1, in the order of the rows.

    Reading changes nothing that can be seen: any threads may, and processes that are forked or get a pickled copy, so
    that a DataLoader of torch can drive it. Bytes are held to their sha256 when they are first read.
    """

    def __init__(self, index: Index, cache: ShardCache | None = None) -> None:
        self.index = index
        self._ranges = Ranges(cache)
        self._whole = np.zeros(len(index), dtype=bool)

    def __len__(self) -> int:
        return len(self.index)

    @abstractmethod
    def decode(self, key: str, found: Mapping[str, memoryview], tar: str) -> S:
        """From the members of a sample by name without the key. Raises UserError."""

    def __getitem__(self, number: int) -> S:
        """Read in one request and decoded. Raises IndexError, UserError; Broken where its bytes are not what they
        should be.
        """
        tar, key, members = self.index[number]
        start = min(member.offset for member in members)
        end = max(member.offset + member.size for member in members)
        try:
            span = self._ranges.read(tar, start, end - start)
        except FileNotFoundError:
            raise UserError(f"{tar}: gone since the run began; put it back and run the same command again") from None
        except OSError as error:
            raise UserError(f"{tar}: cannot be read ({error.strerror or error})") from None
        found, view = {}, memoryview(span)
        for member in members:
            found[member.name] = view[member.offset - start :][: member.size]
            if not self._whole[number] and not member.is_whole(found[member.name]):
                raise Broken(f"{tar}: {key}.{member.name}: not the bytes that its sidecar lists; copy the shard again")
        self._whole[number] = True
        try:
            return self.decode(key, found, tar)
        except UserError as error:
            raise Broken(str(error)) from None


class Samples(Stored[Sample]):
    """Degraded pairs. clean: with the clean pair. only: which are taken. cache: for shards of elsewhere.

    Raises UserError.
    """

    def __init__(self, tars: list[str], clean: bool = False, only: Only = ALL, cache: ShardCache | None = None) -> None:
        super().__init__(Index(tars, members_of(clean), only), cache)

    def decode(self, key: str, found: Mapping[str, memoryview], tar: str) -> Sample:
        return decode(key, found, tar, self.index.members)


def members_of(clean: bool) -> tuple[str, ...]:
    """The members that a reader needs, in whose order they are looked for."""
    return (*MEMBERS, *CLEAN) if clean else MEMBERS


def decode(key: str, found: Mapping[str, bytes | memoryview], url: str, members: Sequence[str] = MEMBERS) -> Sample:
    """A sample from its members by name without the key: {"a.png": …, "b.jpg": …, "json": …}. Raises UserError."""
    names = {member: member_in(found, member) for member in members}
    missing = [member for member, name in names.items() if name is None]
    if missing:
        raise UserError(f"{url}: {key}: no member '{missing[0]}', there are {', '.join(found)}; make the shard again")
    record, instruction = record_of(found["json"], f"{url}: {key}.json")
    images = {}
    for member in members:
        if member in (*IMAGES, *CLEAN):
            name = str(names[member])
            try:
                images[member] = decode_member(found[name], name)
            except ValueError as error:
                raise UserError(f"{url}: {key}.{name}: not an image ({one_line(error)}); {WAY_OUT}") from None
    if len({image.shape for image in images.values()}) > 1:
        sizes = ", ".join(f"{name} {image.shape[1]}x{image.shape[0]}" for name, image in images.items())
        raise UserError(f"{url}: {key}: images of different sizes ({sizes}); those of one sample must agree")
    return Sample(key=key, **images, instruction=instruction, record=record)


def record_of(data: bytes | memoryview, where: str) -> tuple[dict[str, Any], str]:
    """A sample's record and its instruction, from the bytes of its JSON. Raises UserError that begins with `where`."""
    record = parse_json(data, where, WAY_OUT)
    check_format(record.get("version"), PICTURES, where)
    instruction = record.get("instruction")
    if not isinstance(instruction, str):
        raise UserError(f"{where}: instruction: a sentence is needed, got {one_line(repr(instruction))}; {WAY_OUT}")
    return record, instruction
