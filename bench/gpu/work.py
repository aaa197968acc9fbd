"""What runs on the machine with the GPU: it renders and trains at the same time, and leaves small files."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

PIECE = 15 * 2**20
"""Bytes of a file that comes back, at most."""
SNAPSHOT = 90.0
"""Seconds between copies of the averaged weights into the folder that comes back, should the end not be reached."""
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
    _pieces(given.out, "autoencoder", [out / "weights", out / "log.jsonl"])
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
    threading.Thread(target=_snapshots, args=(out, given.out, ended), daemon=True).start()
    code = trainer.wait()
    ended.set()
    for piece in given.out.glob("average.*"):
        piece.unlink()
    _pieces(given.out, "weights", [out / "weights", out / "log.jsonl"])
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
    for piece in given.out.glob("weights.tar.*"):
        piece.unlink()
    shutil.copyfile(out / "log.jsonl", out / "flow.jsonl")
    _pieces(given.out, "weights", [out / "weights", regression / "log.jsonl", out / "flow.jsonl"])
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


def _snapshots(run: Path, out: Path, ended: threading.Event) -> None:
    """Now and then the averaged weights of the newest checkpoint, in fp16."""
    from safetensors.torch import load_file, save

    last = None
    while not ended.wait(SNAPSHOT):
        found = sorted(path for path in run.glob("checkpoints/*") if path.name.isdigit())
        if not found or found[-1] == last:
            continue
        last = found[-1]
        try:
            tensors = load_file(last / "ema.safetensors")
        except OSError:  # a newer one has replaced it
            continue
        data = save({name: t.half() if t.is_floating_point() else t for name, t in tensors.items()})
        _split(out, "average.safetensors", data)


def _pieces(out: Path, name: str, paths: list[Path]) -> None:
    """A tar of what is there of these, in pieces: `cat NAME.tar.* | tar x`."""
    whole = out.parent / f"{out.name}-{name}.tar"
    with tarfile.open(whole, "w") as tar:
        for path in paths:
            if path.exists():
                tar.add(path, arcname=path.name)
    _split(out, f"{name}.tar", whole.read_bytes())
    whole.unlink()


def _split(out: Path, name: str, data: bytes) -> None:
    for number, start in enumerate(range(0, len(data), PIECE)):
        (out / f"{name}.{number}").write_bytes(data[start : start + PIECE])
