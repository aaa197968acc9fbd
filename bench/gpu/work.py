"""What runs on the machine with the GPU: it renders and trains at the same time, and leaves small files."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

PIECE = 15 * 2**20
"""Bytes of a file that comes back, at most."""
RECIPE = "recipes/release.yaml"
LOOKED_AT, LOOKED_AT_SEED = 12, 1_000_003
"""Samples that are fused on the way, and the seed of their recipe."""
COMPARED, BETTER = 40, "better"
"""Photographs by which two autoencoders are compared, and the file that marks the new one."""
NAMED = ("torch", "numpy", "opencv-python-headless", "opencv-python", "pillow", "scikit-image", "pyarrow", "pydantic")


def autoencoder(pack: Path, given: argparse.Namespace) -> int:
    """Trains the autoencoder; samples for the network are rendered meanwhile, and go on to be when this is over."""
    begun = prepare(pack, given)
    render(given)
    command = ["autoencoder", "train", "--photos", given.work / "photos", "--pairs", given.work / "pairs"]
    form = "--width 192 --encoder-blocks 4 --decoder-blocks 4 --edge-width 28 --edge-blocks 3 --lapped-steps 300"
    pace = "--batch 24 --lr 3e-3 --precision bf16 --workers 4 --log-every 8000 --samples 4000000"
    out = given.work / "autoencoder"
    code = _run("trainer", *command, *form.split(), *pace.split(), "--for", f"{given.minutes}m", "--out", out)
    _give(given.out, "autoencoder", [out / "weights", out / "log.jsonl"])
    if code == 0:
        _compare(given, out / "weights")
    print(f"{_shards(given)} shards rendered; {time.monotonic() - begun:.0f} s in all", flush=True)
    return code


def train(pack: Path, given: argparse.Namespace) -> int:
    """Trains the network on samples that are being rendered; stops the rendering at the end."""
    begun = time.monotonic()
    given.work.mkdir(parents=True, exist_ok=True)
    trained = given.work / "autoencoder" / "weights"
    better = given.autoencoder == "mmaif" and not given.init and (trained / BETTER).is_file()
    out = given.work / "run"
    options = ["--config", given.config, "--shards", given.work / "shards", "--out", out]
    options += ["--autoencoder", trained if better else given.autoencoder]
    options += ["--for", f"{given.minutes - given.flow_minutes}m"]
    options += ["--init", given.init] if given.init else []
    options += ["--val-shards", given.work / "looked-at", "--set", f"run.val_samples={LOOKED_AT}"]
    trainer = subprocess.Popen(_command("trainer", "train", *options), env=_environment())  # waits for samples
    prepare(pack, given)
    _render_looked_at(given)
    renderer = render(given)
    ended = threading.Event()
    copier = threading.Thread(target=_copies, args=(out, given, ended), daemon=True)
    copier.start()
    code = trainer.wait()
    ended.set()
    copier.join()
    if (out / "weights").is_dir():  # else the last copy stays
        _give(given.out, "weights", [out / "weights", out / "log.jsonl"])
    _pictures(out, given.out)
    if code == 0 and given.flow_minutes:
        out = _flow(given, out)
    if renderer is not None:
        renderer.terminate()
    print(f"{_shards(given)} shards rendered; {time.monotonic() - begun:.0f} s in all", flush=True)
    return code or _run("bench.gpu.fuse_time", out / "weights")


def prepare(pack: Path, given: argparse.Namespace) -> float:
    """Says what is there, stops where something is missing, and unpacks the pictures. Returns when it began."""
    begun = time.monotonic()
    for name in NAMED:
        try:
            print(f"{name} {version(name)}", end="  ")
        except PackageNotFoundError:
            print(f"{name} -", end="  ")
    shared = shutil.disk_usage("/dev/shm").free / 2**30 if Path("/dev/shm").is_dir() else 0
    print(f"python {sys.version.split()[0]}  {os.cpu_count()} cores  {shared:.1f} GiB of shared memory", flush=True)
    from PIL import features

    import_module("synth.cli")

    if not features.check("avif"):
        raise SystemExit("Pillow here reads no AVIF; carry a newer one")
    given.out.mkdir(parents=True, exist_ok=True)
    for kind in ("pairs", "photos"):
        if (pack / kind).is_dir() and not (given.work / kind).is_dir():
            files = sorted((pack / kind).rglob("*.avif"))
            made = [given.work / kind / file.relative_to(pack / kind).with_suffix(".png") for file in files]
            for folder in {path.parent for path in made}:
                folder.mkdir(parents=True)
            with ProcessPoolExecutor(given.workers) as pool:
                list(pool.map(_to_png, files, made, chunksize=8))
            print(f"{len(files)} {kind} unpacked, {time.monotonic() - begun:.1f} s", flush=True)
    return begun


def render(given: argparse.Namespace) -> subprocess.Popen[bytes] | None:
    """Starts `synth` in a session of its own, so that it outlives this command; not where it has been at work."""
    shards = given.work / "shards"
    if shards.is_dir():
        return None
    photos = given.work / "pairs" / "photos"  # where synth looks for photographs to make pairs of
    if (given.work / "photos").is_dir() and not photos.exists():
        photos.symlink_to((given.work / "photos").resolve())
    command = ["nice", "-n", "15", *_command("synth", "generate", "--recipe", RECIPE, "--data", given.work / "pairs")]
    command += ["--limit", str(given.render), "--samples-per-shard", "64", "--workers", str(given.workers)]
    with (given.work / "render.txt").open("w") as log:
        return subprocess.Popen([*command, "--out", str(shards)], stdout=log, stderr=log, start_new_session=True)


def _flow(given: argparse.Namespace, regression: Path) -> Path:
    """Trains a flow from a regression's weights and returns its run, or the regression's where that fails: its weights
    hold both, and come back in the place of the regression's.
    """
    out, path = given.work / "flow", given.work / "flow.yaml"
    values = yaml.safe_load((regression / "config.yaml").read_text(encoding="utf-8")) | {"name": "flow", "init": None}
    values["model"]["adapters"] = 16
    values["objective"] = {"kind": "flow", "start": "regression", "sigma": 0.05, "times": "early", "steps": 2}
    values["training"] |= {"lr": 5e-4, "optimizer": "adamw"}
    last = values["pool"]["stages"][-1]
    values["pool"]["stages"] = [last | {"until": 1}]
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    options = ["--config", path, "--shards", given.work / "shards", "--init", regression / "weights", "--out", out]
    if _run("trainer", "train", *options, "--for", f"{given.flow_minutes}m"):
        return regression
    shutil.copyfile(out / "log.jsonl", out / "flow.jsonl")
    _give(given.out, "weights", [out / "weights", regression / "log.jsonl", out / "flow.jsonl"])
    return out


def _render_looked_at(given: argparse.Namespace) -> None:
    """Samples of the same pairs, with damage that no other sample has, before all else is rendered: for the sheet."""
    out = given.work / "looked-at"
    if not out.is_dir():
        recipe = yaml.safe_load(Path(RECIPE).read_text(encoding="utf-8")) | {"name": out.name, "seed": LOOKED_AT_SEED}
        path = given.work / f"{out.name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        command = ["generate", "--recipe", path, "--data", given.work / "pairs", "--limit", LOOKED_AT]
        _run("synth", *command, "--workers", given.workers, "--out", out)


def _pictures(run: Path, out: Path) -> None:
    """The curves of the run, and its last sheet: what is too large to come back stays."""
    _run("trainer", "plot", run, "--out", out / "curves.png")
    sheets = sorted((run / "sheets").glob("*.png"))
    if sheets and sheets[-1].stat().st_size <= PIECE:
        shutil.copyfile(sheets[-1], out / "sheet.png")


def _compare(given: argparse.Namespace, weights: Path) -> None:
    """Round trips of some photographs by the shipped autoencoder and by the new one, marked where it is better."""
    import torch

    from trainer.data.images import read_image
    from trainer.frozen.loading import load_autoencoder
    from trainer.training.parts import round_trip_psnr

    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = [read_image(path) for path in sorted((given.work / "photos").iterdir())[:COMPARED]]
    old, new = (round_trip_psnr(load_autoencoder(path, device), images) for path in ("mmaif", weights))
    print(f"{len(images)} photographs: {old:.2f} dB shipped, {new:.2f} dB new", flush=True)
    if new > old:
        (weights / BETTER).touch()


def _environment() -> dict[str, str]:
    return os.environ | {"TORCHDYNAMO_SUPPRESS_ERRORS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _to_png(source: Path, to: Path) -> None:
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # there are as many processes as cores
    with Image.open(source) as image:
        image.save(to, compress_level=1)


def _run(module: str, *arguments: object) -> int:
    """A Python module with its arguments, its output passed on."""
    return subprocess.run(_command(module, *arguments), env=_environment()).returncode


def _command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def _shards(given: argparse.Namespace) -> int:
    return len(list((given.work / "shards").glob("*.parquet")))


def _copies(run: Path, given: argparse.Namespace, ended: threading.Event) -> None:
    """The averaged weights of each newer checkpoint, for a weights folder that comes back without an end."""
    last, folder = None, given.work / "average" / "weights"
    while not ended.wait(given.look):
        found = sorted(path for path in run.glob("checkpoints/*") if path.name.isdigit())
        if not found or found[-1] == last:
            continue
        last = found[-1]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            _average(run, last, folder)
        except OSError:  # newer ones have replaced it
            continue
        _give(given.out, "weights", [folder, run / "log.jsonl"])


def _average(run: Path, checkpoint: Path, folder: Path) -> None:
    """Writes the weights folder of a run as it stood at a checkpoint."""
    import torch
    from safetensors.torch import load_file

    from trainer.config import load_config
    from trainer.frozen.text import TextEncoder
    from trainer.inference.fuser import Fuser
    from trainer.objectives import make_objective
    from trainer.training.parts import build_model, reopen_autoencoder

    config, device = load_config(str(run / "config.yaml")), torch.device("cpu")
    autoencoder = reopen_autoencoder(run / "autoencoder", device)
    text = TextEncoder(config.text.encoder, config.text.max_tokens, device)
    model = build_model(config, autoencoder, text.dim)
    model.load_state_dict(load_file(checkpoint / "ema.safetensors"))
    Fuser(model, autoencoder, text, make_objective(config.objective, autoencoder)).save(folder, config)


def _give(out: Path, name: str, paths: Sequence[Path]) -> None:
    """A tar of what is there of these, in pieces NAME-<number>.tar.<piece>of<pieces>: `cat NAME-*.tar.* | tar x`.

    It takes the place of what was given by that name before. A kill at any moment leaves all pieces of one number: they
    are written beside `out`, and moved into it before the others go.
    """
    before = sorted(out.glob(f"{name}-*.tar.*"))
    number = 1 + max((int(piece.name.removeprefix(f"{name}-").partition(".")[0]) for piece in before), default=0)
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path in paths:
            if path.exists():
                tar.add(path, arcname=path.name)
    data, beside = whole.getbuffer(), out.with_name(f".{out.name}-{name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    starts = range(0, len(data), PIECE)
    pieces = [f"{name}-{number:04d}.tar.{piece:02d}of{len(starts):02d}" for piece in range(1, len(starts) + 1)]
    for piece, start in zip(pieces, starts, strict=True):
        (beside / piece).write_bytes(data[start : start + PIECE])
    for piece in pieces:
        (beside / piece).rename(out / piece)
    for old in before:
        old.unlink()
    beside.rmdir()
