"""sha256 of all that both programs write, before and after a change that is to change nothing (issue 8 alone).

    python -m bench.proof --tree DIR --out before.json     of the checkout in DIR
    python -m bench.proof --against before.json            of this one; says what differs, exit code 1

Tars of each shipped recipe, of the large ones on real pairs, `synth degrade` with every effect, the pictures of
preview, render and stats, and the weights of `tiny` and of the autoencoder: in one piece, and killed and resumed.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file

LIMIT, REAL = 24, 200
PAIRS = {
    "vif": ("vif", "vif"),
    "mef": ("mef/deepfuse_iccv17-Seq_26-p0", "mef/empa_hdr-Cafe-p0"),
    "mff": ("mff/mfi_whu30-MFI-WHU_01",),
}
TINY = {"checkpoint_every": 50, "log_every": 10, "workers": 1}


class Proof:
    """Runs commands of a checkout, each in a process of its own."""

    def __init__(self, tree: Path, work: Path, data: Path) -> None:
        self.tree, self.work, self.data = tree.resolve(), work, data.resolve()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.tree),
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def start(self, *words: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            cwd=self.work,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: object) -> bytes:
        process = self.start(*words)
        said, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, words))}: {errors.decode()[-2000:]}")
        return said

    def synth(self) -> Iterator[tuple[str, str]]:
        for recipe in sorted((self.tree / "recipes").glob("*.yaml")):
            out = self.work / "shards" / recipe.stem
            self.run("synth", "generate", "--recipe", recipe, "--limit", LIMIT, "--out", out)
            yield from tars(f"recipe/{recipe.stem}", out)
        for name, side in (("all_in_one", "train"), ("test", "test")):
            out, pairs = self.work / "real" / name, self.data / "pairs" / side
            recipe = self.tree / "recipes" / f"{name}.yaml"
            self.run("synth", "generate", "--recipe", recipe, "--data", pairs, "--limit", REAL, "--out", out)
            yield from tars(f"real/{name}", out)
            yield from self._looked_at(name, recipe, pairs, out)
        yield from self._degraded()

    def _looked_at(self, name: str, recipe: Path, pairs: Path, shards: Path) -> Iterator[tuple[str, str]]:
        out = self.work / "looked" / name
        self.run("synth", "preview", shards, "--out", out / "sheet.png", "--count", 6)
        self.run("synth", "preview", shards, "--out", out / "page.html", "--count", 6)
        self.run("synth", "stats", shards, "--picture", out / "stats.png", "--json", out / "stats.json")
        for index in range(0, 16, 3):
            self.run(
                *("synth", "render", "--recipe", recipe, "--data", pairs, "--index", index),
                *("--out", out / f"render{index}"),
            )
        yield from files(f"looked/{name}", out)

    def _degraded(self) -> Iterator[tuple[str, str]]:
        listed = self.run("synth", "effects").decode().splitlines()
        words = [f"--effect={line.partition(':')[0]}=0.5" for line in listed if not line.startswith(" ")]
        pairs = self.data / "pairs" / "test"
        vif = sorted(pairs.glob("vif/*"))[:: max(1, len(list(pairs.glob("vif/*"))) // 2)][:2]
        chosen = [("vif", folder) for folder in vif]
        chosen += [(task, pairs / name) for task in ("mef", "mff") for name in PAIRS[task]]
        for number, (task, folder) in enumerate(chosen):
            a, b = (next(iter(sorted(folder.glob(f"{image}.*")))) for image in "ab")
            out = self.work / "degraded" / f"{number}"
            self.run("synth", "degrade", a, b, *words, "--task", task, "--seed", number, "--out", out)
        yield from files("degraded", self.work / "degraded")

    def trainer(self) -> Iterator[tuple[str, str]]:
        shards = self.work / "trained_on"
        recipe = self.tree / "recipes" / "mef_haze.yaml"
        if not shards.exists():
            self.run("synth", "generate", "--recipe", recipe, "--out", shards)
        config = self.work / "tiny.yaml"
        tiny = yaml.safe_load((self.tree / "trainer/configs/tiny.yaml").read_text())
        config.write_text(yaml.safe_dump(tiny | {"run": TINY}), encoding="utf-8")
        train = ("trainer", "train", "--shards", shards, "--config", config, "--device", "cpu")
        whole, killed = self.work / "runs/whole", self.work / "runs/killed"
        self.run(*train, "--samples", 200, "--out", whole)
        yield "tiny/200", tensors(whole / "weights")
        self._killed((*train, "--samples", 100, "--out", killed), killed)
        yield "tiny/50+kill+50", tensors(killed / "weights")
        ours = self.work / "runs/ours"
        self.run(*train, "--samples", 48, "--autoencoder", "mmaif", "--out", ours)
        yield "tiny/mmaif", tensors(ours / "weights")
        pair = self.work / "pair"
        pair.mkdir(exist_ok=True)
        subprocess.run(["tar", "-xf", shards / "000000.tar", "-C", pair], check=True)
        a, b = (next(iter(sorted(pair.glob(f"000000003.{image}.*")))) for image in "ab")
        fused = self.work / "fused.png"
        self.run(
            *("trainer", "fuse", a, b, "--prompt", "remove the haze and fuse the images"),
            *("--weights", whole / "weights", "--out", fused, "--device", "cpu"),
        )
        yield "tiny/fused", sha256(fused)
        autoencoder = (
            *("trainer", "autoencoder", "train", "--shards", shards, "--width", 16, "--channels", 8),
            *("--lapped-steps", 20, "--samples", 60, "--device", "cpu"),
        )
        self.run(*autoencoder, "--out", self.work / "runs/ae")
        yield "autoencoder/60", tensors(self.work / "runs/ae/weights")
        self.run(*autoencoder, "--out", self.work / "runs/ae2", "--stop-after", 30)
        self.run(*autoencoder, "--out", self.work / "runs/ae2")
        yield "autoencoder/30+stop+30", tensors(self.work / "runs/ae2/weights")

    def _killed(self, words: tuple[object, ...], out: Path) -> None:
        """Kills a run once its first checkpoint stands, and lets the same command go on."""
        process = self.start(*words)
        while process.poll() is None and not list((out / "checkpoints").glob("[0-9]*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.run(*words)


def tars(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.tar")):
        yield f"{name}/{path.name}", sha256(path)


def files(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{name}/{path.relative_to(folder)}", sha256(path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tensors(folder: Path) -> str:
    """Of all tensors of a folder's weights, sorted by their bytes: what they are called may change."""
    held = []
    for path in sorted(folder.rglob("*.safetensors")):
        for value in load_file(path).values():
            held.append(f"{value.dtype} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes())
    return hashlib.sha256(b"".join(sorted(held))).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=Path(), help="the checkout")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", choices=("synth", "trainer"))
    options = parser.parse_args()
    found: dict[str, str] = {}
    expected = {} if options.against is None else json.loads(options.against.read_text())
    wrong = []
    with tempfile.TemporaryDirectory(prefix="proof-") as work:
        proof = Proof(options.tree, Path(work), options.data)
        for part in ("synth", "trainer") if options.only is None else (options.only,):
            for name, digest in getattr(proof, part)():
                found[name] = digest
                if options.against is not None and expected.get(name) != digest:
                    wrong.append(name)
                    print(f"differs: {name}", flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{len(found)} hashes" + (f", {len(wrong)} differ" if options.against is not None else ""))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
