"""`trainer encode`, from options to a dataset folder; run again, it goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from trainer.config import Config
from trainer.console import say
from trainer.data.batches import Needs
from trainer.data.format import LATENTS, sidecar_of
from trainer.data.index import column_of, schema_of
from trainer.data.latents import AUTOENCODER, FUSION
from trainer.data.prompts import TABLE, PromptTable, write_prompts
from trainer.data.samples import MOST_BROKEN
from trainer.data.shards import IndexedShards, open_shards
from trainer.device import choose_device
from trainer.encoding.shard import ShardEncoder, file_facts
from trainer.encoding.visits import Visits
from trainer.errors import UserError
from trainer.files import atomically, read_json
from trainer.frozen.autoencoder import Autoencoder
from trainer.frozen.fusion import NAME as BASE
from trainer.frozen.loading import load_autoencoder
from trainer.frozen.text import TextEncoder
from trainer.locks import LOCK, FolderLock, check_free
from trainer.objectives import make_objective
from trainer.training.parts import prepare_autoencoder

MANIFEST = "dataset.json"
MADE_BY = "mmaif.encoding"
"""Of a sidecar's metadata: the sha256 of all that decides the bytes of its shard."""
TOGETHER = {"cpu": 1, "cuda": 16}


class _Job(NamedTuple):
    source: str
    tar: Path
    samples: int


def encode(  # noqa: PLR0913
    config: Config,
    urls: Sequence[str],
    out: Path,
    visits: Visits,
    *,
    workers: int = 0,
    together: int | None = None,
    device: str | None = None,
) -> str:
    """Encodes shards of pictures for runs of this config into the folder `out`; returns what stands there, in words.

    workers: processes of one thread each; 0: this one, with all threads of torch. together: samples whose pictures are
    encoded at once; by default 1 on a CPU and 16 on a GPU. Besides its shards the folder holds `autoencoder/`, and the
    table of the sentences. What an earlier call with the same settings finished stays. Raises UserError. (Seven
    arguments: what `trainer encode` is given.)
    """
    if ":/" in str(out) or (out.exists() and not out.is_dir()):  # of a URL a path keeps one slash
        raise UserError(f"--out {out}: name a folder of this machine")
    if out.is_dir():
        check_free(out)
    where = choose_device(device)
    shards = open_shards(list(urls), config.seed)
    if not isinstance(shards, IndexedShards):
        raise UserError(f"--shards {shards.tars[0]}: no sidecar (.parquet) beside it, which is needed here")
    text = TextEncoder(config.text.encoder, config.text.max_tokens, where)
    autoencoder = _autoencoder(config, shards, out, where)
    objective = make_objective(config.objective, autoencoder)
    needs = Needs(config.model.sees_pixels, objective.needs_pictures)
    manifest = _manifest(config, shards, autoencoder, visits, needs)
    told = {"mmaif.version": str(manifest["version"]), AUTOENCODER: autoencoder.hash, FUSION: BASE}
    told[MADE_BY] = _hash(manifest["encoding"])
    encoder = ShardEncoder(autoencoder, visits, needs, together or TOGETHER.get(where.type, 1), told)
    each = zip(shards.tars, shards.samples.index.counts, strict=True)
    jobs = [_Job(source, out / f"{number:06d}.tar", count) for number, (source, count) in enumerate(each)]
    shards.close()
    with _claimed(out, manifest, autoencoder):
        _encode(encoder, jobs, workers)
        sentences = sorted({sentence for job in jobs for sentence in column_of(str(job.tar), "instruction")})
        _prompts(out / TABLE, sentences, text)
        if text.cut:
            say(f"warning: {text.cut} sentences were cut at {text.max_tokens} tokens (text.max_tokens)")
        finished = _finished(manifest, jobs)
        atomically(
            out / MANIFEST, lambda path: path.write_text(json.dumps(finished, indent=1) + "\n", encoding="utf-8")
        )
        total = sum(shard["tar_bytes"] for shard in finished["shards"])
    return (
        f"{out}: {finished['counts']['samples']} samples of latents, {total / 1e6:.1f} MB, {len(sentences)} sentences"
    )


def _autoencoder(config: Config, shards: IndexedShards[Any], out: Path, device: torch.device) -> Autoencoder:
    """That of an earlier call, or what the config says."""
    kept = out / "autoencoder"
    return load_autoencoder(kept, device) if kept.is_dir() else prepare_autoencoder(config, shards, device)


def _manifest(
    config: Config, shards: IndexedShards[Any], autoencoder: Autoencoder, visits: Visits, needs: Needs
) -> dict[str, Any]:
    encoding = {
        "shards": shards.fingerprint,
        "autoencoder": autoencoder.hash,
        "autoencoder_config": config.autoencoder.model_dump(),
        "base": BASE,
        "visits": visits.model_dump(),
        "pixels": needs.planes,
        "glance": needs.pixels,
    }
    if shards.mates:
        encoding["drawn"] = "group"  # by earlier versions each sample had windows of its own
    version = shards.samples.index.version
    return {"version": version, "kind": LATENTS, "name": config.name, "complete": False, "encoding": encoding}


def _hash(encoding: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(encoding, sort_keys=True).encode()).hexdigest()


@contextmanager
def _claimed(out: Path, manifest: Mapping[str, Any], autoencoder: Autoencoder) -> Iterator[None]:
    """Makes the folder what it is to be, and holds it. Raises UserError where it holds something else, or where another
    run holds it.
    """
    _check(out, manifest)
    lock = FolderLock(out)
    try:
        _check(out, manifest)  # of a run that has ended since
        if not (out / MANIFEST).is_file():
            text = json.dumps(manifest, indent=1) + "\n"
            atomically(out / MANIFEST, lambda new: new.write_text(text, encoding="utf-8"))
        if not (out / "autoencoder").is_dir():
            atomically(out / "autoencoder", autoencoder.save)
        yield
    finally:
        lock.release()


def _check(out: Path, manifest: Mapping[str, Any]) -> None:
    """Raises UserError where the folder holds something else."""
    path = out / MANIFEST
    if path.is_file():
        there = read_json(path, f"--out {path}", "name another folder").get("encoding", {})
        wanted = manifest["encoding"]
        different = [name for name in wanted if not isinstance(there, dict) or there.get(name) != wanted[name]]
        if different:
            raise UserError(
                f"--out {out}: holds a dataset of other settings ({', '.join(different)}); name another folder"
            )
    elif out.is_dir() and any(path.name != LOCK for path in out.iterdir()):
        raise UserError(f"--out {out}: holds something else; name an empty or new folder")


def _is_there(tar: Path, made_by: str) -> bool:
    """Whether a shard is finished: its sidecar is written last."""
    return Path(sidecar_of(str(tar))).is_file() and schema_of(str(tar))[1].get(MADE_BY) == made_by


def _encode(encoder: ShardEncoder, jobs: Sequence[_Job], workers: int) -> None:
    """The shards that are not there yet. Raises UserError where more than MOST_BROKEN of all samples are broken."""
    finished = [job for job in jobs if _is_there(job.tar, encoder.told[MADE_BY])]
    behind, total = (sum(job.samples for job in some) for some in (finished, jobs))
    broken = 0
    if behind:
        say(f"{behind} of {total} samples are encoded already")

    def count(more: int) -> None:
        nonlocal broken
        broken += more
        if broken > MOST_BROKEN * total:
            raise UserError(f"{broken} of {total} samples cannot be used, over {MOST_BROKEN:.0%}; see the lines above")

    count(behind - sum(len(column_of(str(job.tar), "key")) for job in finished) // encoder.visits.count)
    missing = [job for job in jobs if job not in finished]
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("encoding", total=total, completed=behind)
        if not workers:
            for job in missing:
                count(encoder.encode(job.source, job.tar, lambda behind: progress.advance(task, behind)))
            return
        # spawned: torch's threads do not live through a fork
        pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))
        try:
            for job, more in zip(missing, pool.map(partial(_encode_one, encoder), missing), strict=True):
                count(more)
                progress.advance(task, job.samples)
        finally:
            pool.shutdown(cancel_futures=True)


def _encode_one(encoder: ShardEncoder, job: _Job) -> int:
    return encoder.encode(job.source, job.tar)


def _prompts(path: Path, sentences: Sequence[str], text: TextEncoder) -> None:
    """The table of these sentences, unless it is there."""
    if path.is_file():
        table = PromptTable(str(path), text)
        if all(table.find(sentence) is not None for sentence in sentences):
            return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sentences", total=len(sentences))
        atomically(
            path, lambda new: write_prompts(new, sentences, text, lambda done: progress.update(task, completed=done))
        )


def _finished(manifest: Mapping[str, Any], jobs: Sequence[_Job]) -> dict[str, Any]:
    shards = []
    for job in jobs:
        told = schema_of(str(job.tar))[1]
        entry: dict[str, Any] = {"name": job.tar.name, "samples": len(column_of(str(job.tar), "key"))}
        entry |= {"tar_bytes": int(told["mmaif.tar_bytes"]), "tar_sha256": told["mmaif.tar_sha256"]}
        sidecar = file_facts(Path(sidecar_of(str(job.tar))))
        entry |= {f"parquet_{name}": value for name, value in sidecar.items()}
        shards.append(entry)
    counts = {"samples": sum(entry["samples"] for entry in shards), "failed": 0}
    return {**manifest, "complete": True, "counts": counts, "shards": shards}
