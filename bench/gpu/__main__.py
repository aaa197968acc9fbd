"""`python -m bench.gpu pack --data ROOT` here; `autoencoder`, `train` and `speed` on the machine with the GPU."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.command import parsed, parser

PACK = Path(".gpu")
QUICK = {"seconds": 60.0, "each": 0.05, "pairs_mib": 1.0, "photos_mib": 0.1}


def main() -> None:
    wanted = parser(__doc__)
    commands = wanted.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="write what has to travel into .gpu/")
    pack.add_argument("--data", type=Path, required=True, help="with pairs/train and photos/train")
    pack.add_argument("--pairs-mib", type=float, default=19.5)
    pack.add_argument("--photos-mib", type=float, default=0.0, help="for the autoencoder; none where it is not trained")
    for name in ("autoencoder", "train"):
        work = commands.add_parser(name)
        work.add_argument("--minutes", type=float, required=True, help="of the training itself")
        work.add_argument("--work", type=Path, default=Path("/tmp/gpu"), help="a folder for what is large")
        work.add_argument("--out", type=Path, required=True, help="what is to come back")
        work.add_argument("--render", type=int, default=120_000, help="samples")
        work.add_argument("--workers", type=int, default=12, help="processes that render")
        work.add_argument("--autoencoder", default="mmaif", help="of the network; its folder, where one was trained")
        work.add_argument("--init", default=None, help="averaged weights to begin from")
        work.add_argument("--config", default="gpu")
        work.add_argument("--look", type=float, default=10.0, help="seconds between looks for a checkpoint to copy")
        work.add_argument("--flow-minutes", type=float, default=0.0, help="of the time, for a flow from the network")
    quick = commands.add_parser("speed")
    quick.add_argument("--seconds", type=float, default=120.0, help="after which nothing new begins")
    quick.add_argument("--each", type=float, default=8.0, help="seconds of steps that are timed of each trial")
    given = parsed(wanted, globals(), QUICK)
    if given.command == "speed":
        from bench.gpu import speed

        if given.quick:
            speed.rehearse()
        sys.exit(speed.speed(given))
    if given.command == "pack":
        from bench.gpu.pack import pack as write

        sys.exit(write(PACK, given.data, given.pairs_mib, given.photos_mib, given.quick))
    from bench.gpu import work

    sys.exit(getattr(work, given.command)(PACK, given))


if __name__ == "__main__":
    main()
