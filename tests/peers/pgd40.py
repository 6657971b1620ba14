"""PGD-40 of torchattacks and ours, on the same weights and images. Not a test: the peers are no dependency.

python -m venv peers && peers/bin/pip install -e '.[peers]' && peers/bin/python tests/peers/pgd40.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import safetensors.torch
import torch
import torchattacks

from bench.attacks.attack import create
from bench.data import load_named
from bench.models import zoo
from bench.models.classifiers import cnn_small


def main(name: str = "cnn-pgd", count: int = 1000, epsilon: float = 0.3, trials: int = 10) -> None:
    """Print robust accuracy and time of both, on the zoo's network."""
    entry = next(entry for entry in zoo.index().values() if entry["model"] == name)
    model = cnn_small(shape=(1, 28, 28), classes=10, width=16)
    model.load_state_dict(safetensors.torch.load_file(Path(zoo.FOLDER) / entry["file"]))
    model.eval().requires_grad_(False)
    samples = load_named("mnist", split="test", take=count)
    x, y = torch.from_numpy(samples.inputs()), torch.from_numpy(samples.y)
    for trial in range(trials):
        torch.manual_seed(trial)
        started = time.perf_counter()
        peer = torchattacks.PGD(model, eps=epsilon, alpha=0.01, steps=40, random_start=True)
        theirs = torch.cat([peer(x[i : i + 250], y[i : i + 250]) for i in range(0, count, 250)])
        middle = time.perf_counter()
        attack = create("pgd", norm="linf", epsilon=epsilon, seed=trial, steps=40, step_size=0.01)
        ours = torch.cat([attack(model, x[i : i + 250], y[i : i + 250]).x_adv for i in range(0, count, 250)])
        ended = time.perf_counter()
        accuracy = [float((model(batch).argmax(1) == y).double().mean()) for batch in (theirs, ours)]
        print(
            f"{name}, seed {trial}: torchattacks {accuracy[0]:.1%} in {middle - started:.1f} s, "
            f"bench {accuracy[1]:.1%} in {ended - middle:.1f} s"
        )


if __name__ == "__main__":
    main(*sys.argv[1:2])
