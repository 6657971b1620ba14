"""Our attacks and our peers' on the same weights, images, radius and device, in one process: `make speed`.

Every tool runs at its own best batch size, found by trial, in turns with the others; the fastest of its runs counts.
All examples are judged by `bench.attacks.verify`. Status 1 when a claim was missed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox looks for git on import and does not need it

import torch
from rows import ROWS, Settings
from table import Table
from timing import Clock

PEERS = ("foolbox", "torchattacks", "adversarial-robustness-toolbox", "pyautoattack")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="rows to run")
    parser.add_argument("--images", type=int, default=None, help="images of MNIST (1000; with --quick 100)")
    parser.add_argument("--rounds", type=int, default=None, help="runs of each tool in the row pgd (5; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="a look at everything with few images")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count seconds of CPU; on a busy machine, with --threads 1"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.cpu_time:
        Clock.now = staticmethod(time.process_time)
    images = chosen.images or (100 if chosen.quick else 1000)
    sizes = [size for size in (50, 100, 250, 500, 1000) if size < images] + [images]
    settings = Settings(images, chosen.rounds or (1 if chosen.quick else 5), sizes, chosen.quick)
    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    print(f"{images} images, {chosen.threads} threads, {platform.machine()}, torch {torch.__version__}, {peers}\n")
    table = Table()
    table.begin()
    for name in chosen.only:
        ROWS[name](settings, table)
    return 0 if table.end() else 1


if __name__ == "__main__":
    sys.exit(main())
