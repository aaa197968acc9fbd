"""Sentences that are encoded already: the table that `trainer encode` writes beside its shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer.addresses import beside, path_of
from trainer.data.places import can_be_had, is_pipe, is_remote, read
from trainer.errors import UserError
from trainer.files import one_line
from trainer.frozen.text import Prompts, TextEncoder, padded_to, together

TABLE = "prompts.arrow"
"""In the folder of the shards."""
ROWS = 1024
"""Of a record batch."""


class PromptTable:
    """Sentence → embedding; on this machine the file is mapped, so that memory holds the sentences alone.

    A table may cut sentences elsewhere than `text`: those are then not found in it. Raises UserError where it cannot be
    read, or is of another text encoder than `text`.
    """

    def __init__(self, url: str, text: TextEncoder) -> None:
        import pyarrow as pa

        try:
            source = pa.BufferReader(read(url)) if is_remote(url) else pa.memory_map(url)
            file = pa.ipc.open_file(source)
            told = {name.decode(): value.decode() for name, value in (file.schema.metadata or {}).items()}
            if told.get("mmaif.text") != text.hash:
                raise UserError(
                    f"{url}: of another text encoder than the run's; give the config by which the shards were encoded, "
                    "or remove the file to have sentences encoded on the way"
                )
            self._cut_at = int(told["mmaif.max_tokens"])
            self._batches = [file.get_batch(number) for number in range(file.num_record_batches)]
            self._places = {
                sentence: (number, row)
                for number, batch in enumerate(self._batches)
                for row, sentence in enumerate(batch["sentence"].to_pylist())
            }
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise UserError(f"{url}: cannot be read ({one_line(error)}); copy it again, or remove it") from None
        self.url, self._text = url, text

    def __len__(self) -> int:
        return len(self._places)

    def find(self, sentence: str) -> Prompts | None:
        """Of one sentence, without a dimension for several; None where it is not there, or not as long as it should be.

        Raises UserError.
        """
        place = self._places.get(sentence)
        if place is None:
            return None
        batch, row = self._batches[place[0]], place[1]
        words = np.frombuffer(batch["tokens"][row].as_buffer(), np.float16)
        pooled = np.frombuffer(batch["pooled"][row].as_buffer(), np.float32)
        dim, most, count = self._text.dim, self._text.max_tokens, len(words) // self._text.dim
        if len(pooled) != dim or len(words) % dim or count > self._cut_at:
            raise UserError(f"{self.url}: {one_line(sentence)}: no embedding of {dim} numbers; encode the shards anew")
        if count > most or (count == self._cut_at < most):  # longer than the run reads; cut, where the run may read on
            return None
        tokens = torch.from_numpy(words.astype(np.float32).reshape(-1, dim))
        found = Prompts(tokens, torch.ones(count, dtype=torch.bool), torch.from_numpy(pooled.copy()))
        return padded_to(found, self._text.padded)


class Sentences:
    """A text encoder that first looks into the tables beside shards; what is in none is encoded."""

    def __init__(self, text: TextEncoder, tars: Iterable[str]) -> None:
        tables = {path_of(url): url for url in (beside(tar, TABLE) for tar in tars if not is_pipe(tar))}  # one a folder
        urls = [url for url in tables.values() if can_be_had(url)]
        self.text, self.tables = text, [PromptTable(url, text) for url in urls]

    def __call__(self, prompts: list[str]) -> Prompts:
        each = [next(self._found(prompt), None) for prompt in prompts]
        new = [prompt for prompt, found in zip(prompts, each, strict=True) if found is None]
        made = iter(zip(*(part.cpu() for part in self.text(new)), strict=True)) if new else iter(())
        rows = [Prompts(*next(made)) if found is None else found for found in each]
        return Prompts(*(part.to(self.text.device) for part in together(rows)))

    def _found(self, prompt: str) -> Iterator[Prompts]:
        for table in self.tables:
            found = table.find(prompt)
            if found is not None:
                yield found


def write_prompts(path: Path, sentences: Sequence[str], text: TextEncoder, done: Any = None) -> None:
    """A table of these sentences, each encoded alone: tokens in fp16, the sentence embedding in fp32.

    done: called with the number of sentences behind it.
    """
    import pyarrow as pa

    told = {"mmaif.version": "1", "mmaif.kind": "prompts", "mmaif.text": text.hash}
    told["mmaif.max_tokens"] = str(text.max_tokens)
    fields = [("sentence", pa.string()), ("tokens", pa.binary()), ("pooled", pa.binary())]
    schema = pa.schema(fields, metadata=told)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        for start in range(0, len(sentences), ROWS):
            part = list(sentences[start : start + ROWS])
            words, pooled = [], []
            for sentence in part:
                encoded = text([sentence])
                words.append(encoded.tokens[encoded.mask].half().cpu().numpy().tobytes())
                pooled.append(encoded.pooled[0].float().cpu().numpy().tobytes())
            file.write_batch(pa.record_batch([part, words, pooled], schema=schema))
            if done is not None:
                done(start + len(part))
