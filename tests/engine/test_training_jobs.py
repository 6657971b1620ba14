"""Training as a job: the weights depend on the recipe, the data, the seed and the trial, and on nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bench.engine.store import read_record
from bench.randomness import derive_seed, forked_torch_seed
from bench.runner import Run

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: training
data:
  digits: {source: mnist, take: 60}
  ring: {source: ring8, samples: 200}
models:
  FIRST
  soft: {kind: classifier, arch: softmax, trials: 3, train: {recipe: standard, data: digits, epochs: 1}}
  robust:
    kind: classifier
    arch: {cnn-small: {width: 1}}
    train: {recipe: adversarial, data: digits, epsilon: 0.1, epochs: 1, steps: 1}
  vae: {kind: autoencoder, arch: {vae: {hidden: [4]}}, train: {recipe: autoencoding, data: digits, epochs: 1}}
  gan: {kind: generator, arch: {gan-grid: {width: 8}}, train: {recipe: packed-gan, data: ring, iterations: 3}}
"""


def contents(run: Run) -> dict[str, str]:
    assert run.exit_code == 0, {job: state.message for job, state in run.states.items()}
    return {job: state.content for job, state in run.states.items() if job.startswith("train/")}


def weights(run: Run, job: str) -> dict[str, np.ndarray[Any, Any]]:
    path = run.states[job].path
    assert path is not None
    return dict(read_record(path).arrays)


def test_same_seed_same_weights_whatever_happened_before(workshop: Workshop) -> None:
    first = contents(workshop.run(SUITE.replace("FIRST", "")))
    torch.manual_seed(999)
    torch.rand(17)
    np.random.seed(5)
    other = "extra: {kind: classifier, arch: softmax, train: {recipe: standard, data: ring, epochs: 1}}"
    other = other.replace("softmax", "{softmax: {shape: [1, 1, 2], classes: 8}}")
    second = contents(workshop.run(SUITE.replace("FIRST", other), store="fresh"))
    assert {job: second[job] for job in first} == first
    renamed = SUITE.replace("FIRST", "").replace("soft:", "renamed:")
    assert contents(workshop.run(renamed, store="third"))["train/renamed/1"] == first["train/soft/1"]


def test_trials_and_seeds_give_other_weights(workshop: Workshop) -> None:
    run = workshop.run(SUITE.replace("FIRST", ""))
    other = contents(workshop.run(SUITE.replace("FIRST", ""), "seed=1"))
    names = [f"train/soft/{trial}" for trial in range(3)]
    assert len({contents(run)[name] for name in names} | {other[name] for name in names}) == 6
    first, second = (weights(run, name) for name in names[:2])
    assert set(first) == {"head.weight", "head.bias"}
    assert np.abs(first["head.weight"] - second["head.weight"]).max() > 1e-3


def test_the_global_generators_are_put_back(workshop: Workshop) -> None:
    torch.manual_seed(3)
    np.random.seed(4)
    expected = (torch.rand(3).tolist(), np.random.rand(3).tolist())
    torch.manual_seed(3)
    np.random.seed(4)
    workshop.run(SUITE.replace("FIRST", ""))
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist()) == expected


def test_a_forked_seed_puts_the_state_back_even_after_an_error() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with forked_torch_seed(1):
        first = torch.rand(4)
    assert (torch.get_rng_state() == before).all()
    with suppress(ZeroDivisionError), forked_torch_seed(1):
        assert (torch.rand(4) == first).all()
        raise ZeroDivisionError
    assert (torch.get_rng_state() == before).all()


def test_seeds_are_named() -> None:
    seeds = {derive_seed(0), derive_seed(1), derive_seed(0, "a"), derive_seed(0, "a", "b"), derive_seed(0, "b", "a")}
    seeds |= {derive_seed(0, "a", 1), derive_seed(0, "a1")}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)


MODULE = """
import torch
from torch import nn

class Normed(nn.Sequential):
    "Batch norm keeps a count, which is an array without dimensions."
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10), nn.Dropout(0.5))

shared = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
def same(): return shared
def narrow(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 9))
def bare(): return lambda x: x
def empty(): return nn.Flatten()
class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
    def encode(self, x): return x
    def decode(self, z): return z
    def forward(self, x): return x
"""
OURS = """
suite: ours
data:
  digits: {source: mnist, take: 60}
models:
  ours: {kind: classifier, load: "nets:NAME", trials: 2, train: {recipe: standard, data: digits, epochs: 1}}
evaluations:
  wb: {kind: robustness, models: [ours], data: digits, threat: {norm: linf, epsilon: 0.01}, attacks: [fgsm]}
"""


@pytest.mark.parametrize("name", ["Normed", "same"])
def test_a_users_model_can_be_trained(workshop: Workshop, name: str) -> None:
    """Two trials of one global module are two trainings, each from the same beginning."""
    workshop.module("nets", MODULE)
    run = workshop.run(OURS.replace("NAME", name))
    first, second = (weights(run, f"train/ours/{trial}") for trial in range(2))
    assert run.exit_code == 0
    assert any((first[key] != second[key]).any() for key in first)
    again = workshop.run(OURS.replace("NAME", name).replace("trials: 2", "trials: 1"), store="fresh", out="other")
    assert contents(again)["train/ours/0"] == run.states["train/ours/0"].content
    if name == "Normed":
        assert first["2.num_batches_tracked"].shape == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NAME": "narrow"}, "the model returns 9 classes, but the data has labels up to 9; expected at least 10"),
        ({"NAME": "bare"}, "'nets:bare' gave a function; expected a torch module, since it is to be trained"),
        ({"NAME": "empty"},
         "recipe 'standard' cannot train 'nets:empty' on inputs of shape (60, 1, 28, 28): ValueError"),
        ({"take: 60": "take: 60, split: test", 'load: "nets:NAME"': "arch: {softmax: {shape: [3, 8, 8]}}"},
         "model 'softmax' failed on a batch of shape (1, 1, 28, 28): RuntimeError"),
        ({"source: mnist, take: 60": "source: npz, path: d.npz, y: null", "NAME": "same"},
         "data 'digits' has no labels; a classifier is trained on labelled data"),
        ({"NAME": "same", "epochs: 1": "epochs: 1, batch_size: 10, learning_rate: 1e37"},
         "training diverged: some weights are NaN"),
    ],
)  # fmt: skip
def test_training_that_cannot_be(workshop: Workshop, changes: dict[str, str], message: str) -> None:
    workshop.module("nets", MODULE)
    np.savez("d.npz", x=np.zeros((20, 1, 28, 28)))
    text = OURS
    for old, new in changes.items():
        text = text.replace(old, new)
    run = workshop.run(text)
    state = run.states["train/ours/0"]
    assert run.exit_code == 3
    assert state.status == "failed"
    assert message in state.message
    assert all(row.status == "skipped" and message in row.message for row in run.rows)


def test_a_recipe_that_does_not_fit_the_model(workshop: Workshop) -> None:
    workshop.module("nets", MODULE)
    text = OURS.replace("classifier", "autoencoder").replace("NAME", "Halves").replace("standard", "autoencoding")
    run = workshop.run(text[: text.index("evaluations")])
    message = "recipe 'autoencoding' cannot train 'nets:Halves' on inputs of shape (60, 1, 28, 28): AttributeError"
    assert message in run.states["train/ours/0"].message
