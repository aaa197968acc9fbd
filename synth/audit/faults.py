"""What can be wrong with a dataset, one line each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """shard: its number as six digits; "" where the whole dataset is meant. key: of a sample, "" where no one is."""

    shard: str
    key: str
    what: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.shard, self.key, self.what) if part)
