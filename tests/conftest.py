"""What tests of several parts share: a folder with small suites, modules and runs in it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results.row import Row
from bench.runner import Run, run

# a shell that starts the tests in the background has them, and all they start, ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)

TOY_MODULE = """
import torch
from torch import nn


def linear(scale=4.0):
    "Class 1 where the first of four inputs is above a half."
    model = nn.Linear(4, 2)
    model.weight.data = scale * torch.tensor([[-1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    model.bias.data = scale * torch.tensor([0.5, -0.5])
    return model
"""

TOY_SUITE = """
suite: toy
data:
  toy: {source: npz, path: toy.npz}
models:
  lin: {kind: classifier, load: "toy:linear"}
evaluations:
  wb:
    kind: robustness
    models: [lin]
    data: toy
    threat: {norm: linf, epsilon: [0.1, 0.3]}
    attacks: [fgsm, {pgd: {steps: 3}}]
"""

RING_SUITE = """
suite: ring
data:
  ring: {source: ring8, samples: 400}
models:
  gan:
    kind: generator
    arch: {gan-grid: {width: 8}}
    trials: 3
    train: {recipe: packed-gan, data: ring, iterations: 8, looks: 4, batch_size: 20, width: 8}
evaluations:
  ring:
    kind: generation
    models: [gan]
    data: ring
    samples: 100
    metrics: [modes, history, {collapse_region: {packs: 3}}]
"""

FEATURES_SUITE = """\
suite: features
data:
  digits: {source: mnist, split: test, take: 60}
models:
  inception: {kind: features, arch: {inception-fid: {tap: 64, resize: tensorflow}}}
  means: {kind: features, load: "toy:means"}
  drawn: {kind: generator, samples: drawn.npz}
evaluations:
  gen:
    kind: generation
    models: [drawn]
    data: digits
    samples: 20
    metrics:
      - {frechet: {features: NETWORK}, as: fid}
      - {kernel_distance: {features: NETWORK}, as: kid}
      - {kernel_distance: {features: NETWORK, subsets: 10, subset_size: 15}, as: kid-subsets}
      - {prdc: {features: NETWORK, k: 3}}
"""


def toy_arrays(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points in the unit cube of four dimensions; the class says on which side of a half the first number is."""
    x = np.random.default_rng(seed).random((count, 4)).astype(np.float32)
    return x, (x[:, 0] > 0.5).astype(np.int64)


@dataclass(frozen=True)
class Workshop:
    """The current folder of a test.

    Attributes:
        folder: Where everything is; also the working directory.
    """

    folder: Path

    def module(self, name: str, source: str) -> None:
        """Write a user's module that suites can name."""
        (self.folder / f"{name}.py").write_text(source)
        importlib.invalidate_caches()

    def toy(self, count: int = 40) -> None:
        """Write the toy data and module."""
        x, y = toy_arrays(count)
        np.savez(self.folder / "toy.npz", x=x, y=y)
        self.module("toy", TOY_MODULE)

    def suite(self, text: str = TOY_SUITE) -> Path:
        """Write a suite file."""
        path = self.folder / "suite.yaml"
        path.write_text(text)
        return path

    def run(self, text: str = TOY_SUITE, *assignments: str, **options: Any) -> Run:
        """Run a suite in this process, or as the options say."""
        chosen = {"executor": "inline", "out": self.folder / "out", "store": self.folder / "store", "device": "cpu"}
        return run(self.suite(text), assignments, **{**chosen, **options})

    @staticmethod
    def rows(run: Run) -> Mapping[str, Row]:
        """A run's rows by id."""
        return {row.row: row for row in run.rows}

    def command(self, *words: str) -> list[str]:
        """The command line of `bench` with these words."""
        return [sys.executable, "-m", "bench", *words]

    def shell(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `bench` as a process of its own."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def journal(self, event: str, out: str = "out") -> list[str]:
        """The jobs of the lines of one kind in a run's journal, in their order."""
        lines = map(json.loads, (self.folder / out / "journal.jsonl").read_text().splitlines())
        return [line["job"] for line in lines if line["event"] == event]


@pytest.fixture(scope="session")
def ring_suite() -> str:
    """A suite of a small GAN on a ring of Gaussians, whose trainings keep looks."""
    return RING_SUITE


@pytest.fixture(scope="session")
def features_suite() -> Callable[[str], str]:
    """The suite whose metrics compare images from a file by features of a network, `inception` or `means`."""
    return lambda network: FEATURES_SUITE.replace("NETWORK", network)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """A folder of the test's own, which is the working directory and where user modules are found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield Workshop(tmp_path)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def toy(workshop: Workshop) -> Workshop:
    """The same, with the toy data and module in it."""
    workshop.toy()
    return workshop
