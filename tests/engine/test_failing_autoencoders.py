"""Autoencoders, their attacks and their data, when they do not do what they should."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.conftest import Workshop

MODULE = """
import torch
from torch import nn


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
    def encode(self, x): return self.inner(x)
    def decode(self, z): return z.sigmoid()
    def forward(self, x): return self.decode(self.encode(x))

class Nan(Good):
    def decode(self, z): return z * float("nan")
class Narrow(Good):
    def decode(self, z): return z[:, :2]
class Single(Good):
    def decode(self, z): return z[:1]
class Array(Good):
    def decode(self, z): return z.detach().numpy()
class Constant(Good):
    def decode(self, z): return z * 0
class Raising(Good):
    def decode(self, z): raise ValueError("no")
class Half(Good):
    decode = None

def nothing(model, x, target, *, low, high, draws): return x
def shifted(model, x, target, *, low, high, draws): return (x + 0.01).clamp(low, high)
def nan(model, x, target, *, low, high, draws): return x * float("nan")
def outside(model, x, target, *, low, high, draws): return target + 1
def short(model, x, target, *, low, high, draws): return x[:1]
def array(model, x, target, *, low, high, draws): return x.numpy()
"""
SUITE = """
suite: autoencoders
data:
  toy: {source: npz, path: toy.npz}
models:
  good: {kind: autoencoder, load: "nets:Good"}
  ours: {kind: autoencoder, load: "nets:NAME"}
evaluations:
  rec: {kind: reconstruction, models: [good, ours], data: toy, pairs: 4, attacks: ["nets:ATTACK"]}
"""


@pytest.fixture
def nets(toy: Workshop) -> Workshop:
    toy.module("nets", MODULE)
    return toy


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nan", "autoencoder 'ours': expected finite reconstructions of shape (4, 4), found NaN or infinite values"),
        ("Narrow", "autoencoder 'ours': expected finite reconstructions of shape (4, 4), found (4, 2)"),
        ("Single", "autoencoder 'ours': expected images as floats, one row for each of 4 inputs, found torch.float32"),
        ("Array", "autoencoder 'ours': expected images as floats, one row for each of 4 inputs, found a ndarray"),
        ("Raising", "autoencoder 'ours' failed on a batch of shape (4, 4): ValueError: no"),
        ("Constant", "autoencoder 'ours' rebuilds origin and target of every pair alike; nothing can be measured"),
    ],
)
def test_models_that_fail(nets: Workshop, name: str, message: str) -> None:
    run = nets.run(SUITE.replace("NAME", name).replace("ATTACK", "nothing"))
    assert run.exit_code == 3
    for row in run.rows:
        assert row.status == ("ok" if row.model == "good" else "failed"), row.row
        assert (message in row.message) == (row.model == "ours")


@pytest.mark.parametrize("name", ["nan", "outside"])
def test_images_outside_the_box_count_as_failures(nets: Workshop, name: str) -> None:
    run = nets.run(SUITE.replace("NAME", "Good").replace("ATTACK", name))
    assert run.exit_code == 0
    row = nets.rows(run)[f"rec/good/{name}/trade-off-1/success_rate"]
    assert row.value == 0
    assert row.message.startswith("4 examples were outside the ball or the box or not finite")


@pytest.mark.parametrize(("name", "found"), [("short", "(1, 4)"), ("array", "ndarray")])
def test_attacks_that_return_something_else(nets: Workshop, name: str, found: str) -> None:
    run = nets.run(SUITE.replace("NAME", "Good").replace("ATTACK", name))
    assert run.exit_code == 3
    message = f"attack 'nets:{name}' returned {found}; expected a tensor of shape (1, 4, 4)"
    assert all(message in row.message for row in run.rows)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(40, int), "pairs of different classes need at least two classes, found one"),
        (np.arange(3), "expected at least 4 samples for 4 pairs, found 3"),
        (None, "pairs of different classes need labelled data, and the data set has no labels"),
    ],
)
def test_pairs_that_cannot_be_made(nets: Workshop, labels: np.ndarray | None, message: str) -> None:
    count = 40 if labels is None else len(labels)
    arrays = {"x": np.random.default_rng(0).random((count, 4))} | ({} if labels is None else {"y": labels})
    np.savez("toy.npz", **arrays)
    assignments = ["data.toy.y=null"] if labels is None else []
    run = nets.run(SUITE.replace("NAME", "Good").replace("ATTACK", "nothing"), *assignments)
    assert run.exit_code == 3
    assert all(message in row.message for row in run.rows)


def test_a_pair_of_twins_counts_for_nothing(nets: Workshop) -> None:
    """An image and its twin of another class have no distance to share out; the row says how many pairs are left."""
    x = np.random.default_rng(0).random((8, 4)).astype(np.float32)
    x[1] = x[0]
    np.savez("toy.npz", x=x, y=np.array([0, 1, 0, 0, 0, 0, 0, 0]))
    run = nets.run(SUITE.replace("NAME", "Good").replace("ATTACK", "shifted"))
    rows = nets.rows(run)
    assert run.exit_code == 0
    for metric, count in {"input_distortion": 3, "target_distance": 3, "success_rate": 4}.items():
        row = rows[f"rec/good/shifted/trade-off-1/{metric}"]
        assert row.n == count
        assert np.isfinite(row.value)
    with (run.folder / "outcomes.csv").open() as file:
        assert next(csv.DictReader(file))["input_distortion"] == ""
