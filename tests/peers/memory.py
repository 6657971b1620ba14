"""Memory that an attack on many images takes, in a process of its own: `memory.py IMAGES` prints its peak in bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SHAPE = (3, 32, 32)
BATCH_SIZE = 250


def peak(images: int) -> int:
    """Largest resident size of a process that attacks so many images of 3x32x32, in bytes."""
    done = subprocess.run([sys.executable, __file__, str(images)], check=True, capture_output=True, text=True)
    return int(done.stdout)


def main(images: int) -> None:
    import torch

    from bench.attacks.attack import create
    from bench.models.classifiers import cnn_small

    torch.manual_seed(0)
    model = cnn_small(shape=SHAPE, classes=10, width=16).eval().requires_grad_(False)
    x = torch.rand(images, *SHAPE)
    with torch.inference_mode():
        y = torch.cat([model(part).argmax(1) for part in x.split(BATCH_SIZE)]).clone()
    attack = create("pgd", norm="linf", epsilon=1e-4, steps=5)
    attack(model, x, y, batch_size=BATCH_SIZE)
    # not getrusage's figure, which a process inherits from the one that started it
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(1024 * int(found[1]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
