"""What the tests of the suite language share: a suite that uses every part of it, and the command line in process."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from bench.cli import main
from bench.errors import SuiteError
from bench.suite.check import check

VALID = """\
suite: example
description: every part of the language once
seed: 3
data:
  digits: {source: mnist, split: test, take: 40}
  train-digits: {source: mnist, split: train, skip: 10, take: 100}
  grid: {source: grid25, samples: 1000}
  mine: {source: npz, path: mine.npz, x: images, range: [-1, 1]}
  folder: {source: folder, path: images, size: [8, 8], mode: L}
  ours: {source: "mypackage.data:load", args: {size: 3}}
models:
  softmax: {kind: classifier, arch: softmax, train: {recipe: standard, data: train-digits, epochs: 1}, defenses: [{quantisation: {levels: 4}}, logit-scale]}
  wide:
    kind: classifier
    arch: {mlp: {hidden: [20, 10]}}
    train: {recipe: adversarial, data: train-digits, epsilon: 8/255, norm: l2}
  mine: {kind: classifier, load: "mypackage.models:build", args: {width: 64}, weights: best.safetensors}
  vae: {kind: autoencoder, arch: vae, train: {recipe: autoencoding, data: train-digits}}
  gan: {kind: generator, arch: gan-grid, trials: 2, train: {recipe: packed-gan, data: grid, packing: 2}}
  drawn: {kind: generator, samples: drawn.npz}
evaluations:
  whitebox:
    kind: robustness
    models: [softmax, wide, mine]
    data: digits
    threat: {norm: linf, epsilon: [0.1, 8/255], target: random}
    attacks: [fgsm, {pgd: {steps: 4, step_size: 1e-3}, as: pgd-4}, "mypackage.attacks:nudge"]
    metrics: [robust_accuracy, confidence, {"mypackage.metrics:drop": {}, as: drop}]
    timeout: 10m
  transfer:
    kind: transfer
    surrogates: [softmax]
    victims: [wide, mine]
    data: digits
    threat: {norm: l2, epsilon: 2}
    attacks: [pgd]
  codes:
    kind: reconstruction
    models: [vae]
    data: digits
    attacks: [{latent: {trade_off: [0.1, 10], steps: 5}}]
    pairs: 4
  modes:
    kind: generation
    models: [gan, drawn]
    data: grid
    samples: 100
    metrics: [modes, frechet]
  pictures: {kind: generation, models: [vae], data: digits, samples: 20, metrics: [{frechet: {features: wide}}]}
expect:
  - {row: whitebox/softmax/worst-case/linf-0.1-random/robust_accuracy, min: 0.1, max: 1}
  - {row: modes/real-data/grid/modes, equals: 25, tolerance: 1}
quoted:
  - {row: modes/gan/grid/modes, value: 17.3, plus_minus: 0.8, source: "Lin et al. 2018, Table 1"}
"""  # noqa: E501


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def bench_here(*words: str) -> Ended:
    """Run the command line in this process; anything but an exit is an error of the test."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["bench", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code, out.getvalue(), err.getvalue())


def bench_in_a_process(*words: str, folder: Path) -> Ended:
    """Run the command line as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def mistakes_in(text: str, *assignments: str) -> list[str]:
    """The mistakes of a suite, as they are printed; none when it is well formed."""
    try:
        check(text, "s.yaml", assignments)
    except SuiteError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.fixture(scope="session")
def bench() -> Callable[..., Ended]:
    """The command line in process: `bench("check", file)`."""
    return bench_here


@pytest.fixture(scope="session")
def bench_apart() -> Callable[..., Ended]:
    """The command line in a process of its own: `bench_apart("check", file, folder=...)`."""
    return bench_in_a_process


@pytest.fixture(scope="session")
def mistakes() -> Callable[..., list[str]]:
    """The mistakes of the text of a suite."""
    return mistakes_in


@pytest.fixture(scope="session")
def valid() -> str:
    """A suite without mistakes that uses every part of the language."""
    return VALID
