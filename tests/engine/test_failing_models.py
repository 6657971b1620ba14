"""Models that misbehave while they run: their rows say so, the others go on, and the exit code is 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.conftest import TOY_SUITE

if TYPE_CHECKING:
    from tests.conftest import Workshop

RUDE = """
import os
import torch
from toy import linear


def model():
    os.chdir("/")
    torch.set_default_dtype(torch.float64)
    return linear()
"""

MODULE = """
import sys
import torch
from torch import nn
from toy import linear

inner = linear()


class Noisy(nn.Module):
    "Says something on standard output, in every call."
    def __init__(self):
        super().__init__()
        self.inner = linear()

    def forward(self, x):
        print('{"id": "x", "status": "ok"}', flush=True)
        return self.inner(x)


def calls(function): return lambda: function

nan = calls(lambda x: inner(x) * float("nan"))
half_nan = calls(lambda x: inner(x).where(x[:, :1] > 0.5, torch.nan))
infinite = calls(lambda x: inner(x) / 0)
narrow = calls(lambda x: inner(x)[:, :1])
flat = calls(lambda x: inner(x)[:, 0])
deep = calls(lambda x: inner(x)[:, :, None])
single = calls(lambda x: inner(x).mean(0, keepdim=True))
answers = calls(lambda x: inner(x).argmax(1))
onehot = calls(lambda x: (inner(x) > 0).long())
pair = calls(lambda x: (inner(x), x))
array = calls(lambda x: inner(x).detach().numpy())
nothing = calls(lambda x: None)
detached = calls(lambda x: inner(x.detach()).detach())
raising = calls(lambda x: x @ torch.zeros(7, 2))
exiting = calls(lambda x: sys.exit(3))
double = calls(lambda x: linear().double()(x.double()))
half = calls(lambda x: inner(x).half())
"""

SUITE = """
suite: failing
data:
  toy: {source: npz, path: toy.npz}
models:
  good: {kind: classifier, load: "toy:linear"}
  ours: {kind: classifier, load: "models:NAME"}
evaluations:
  wb:
    kind: robustness
    models: [good, ours]
    data: toy
    threat: {norm: linf, epsilon: [0.1]}
    attacks: [fgsm, {pgd: {steps: 2}}]
"""


@pytest.fixture
def models(toy: Workshop) -> Workshop:
    toy.module("models", MODULE)
    return toy


FAILING = {
    "nan": "the model returned NaN or infinite logits for 40 of 40 inputs",
    "half_nan": "the model returned NaN or infinite logits for",
    "infinite": "the model returned NaN or infinite logits for 40 of 40 inputs",
    "narrow": "expected logits of shape (40, classes) with at least 2 classes, found (40, 1)",
    "flat": "expected logits of shape (40, classes) with at least 2 classes, found (40,)",
    "deep": "expected logits of shape (40, classes) with at least 2 classes, found (40, 2, 1)",
    "single": "expected logits as floats, one row for each of 40 inputs, found torch.float32 (1, 2)",
    "answers": "expected logits as floats, one row for each of 40 inputs, found torch.int64 (40,)",
    "onehot": "expected logits as floats, one row for each of 40 inputs, found torch.int64 (40, 2)",
    "pair": "expected logits as floats, one row for each of 40 inputs, found a tuple",
    "array": "expected logits as floats, one row for each of 40 inputs, found a ndarray",
    "nothing": "expected logits as floats, one row for each of 40 inputs, found a NoneType",
    "detached": "the model gives no gradient: its output does not depend on its input",
    "raising": "model 'ours' failed on a batch of shape (40, 4): RuntimeError: ",
    "exiting": "SystemExit: 3 (raised at models.py:",
}


@pytest.mark.parametrize("name", FAILING)
def test_what_went_wrong_is_said(models: Workshop, name: str) -> None:
    run = models.run(SUITE.replace("NAME", name))
    assert run.exit_code == 3
    for row_id, row in models.rows(run).items():
        if row.model == "good" or (name == "detached" and row.attack == "clean"):
            assert row.status == "ok", row_id
        else:
            assert row.status == "failed", row_id
            assert FAILING[name] in row.message
            assert np.isnan(row.value)
    if name == "detached":
        return  # an outcome, and no accident: an audit goes on from there
    # the traceback is kept for whoever has to mend the model
    assert "Traceback" in (run.folder / "errors" / "attack.wb.ours.0.fgsm.0.txt").read_text()


@pytest.mark.parametrize("name", ["double", "half"])
def test_other_precisions_are_as_good(models: Workshop, name: str) -> None:
    rows = models.rows(models.run(SUITE.replace("NAME", name)))
    for attack in ("fgsm", "pgd", "worst-case"):
        ours, good = (rows[f"wb/{model}/{attack}/linf-0.1/robust_accuracy"] for model in ("ours", "good"))
        assert ours.status == "ok", ours.message
        assert ours.value == good.value


def test_too_few_classes_for_the_labels(models: Workshop) -> None:
    x = np.load("toy.npz")["x"]
    np.savez("toy.npz", x=x, y=np.arange(40) % 5)
    run = models.run(SUITE.replace("models:NAME", "toy:linear"))
    assert run.exit_code == 3
    message = "the model returns 2 classes, but the data has labels up to 4; expected at least 5 classes"
    assert all(message in row.message for row in run.rows)


@pytest.mark.parametrize(
    ("arrays", "status", "message"),
    [
        ({"x": np.full((8, 4), 1.5)}, "failed", "data 'toy': expected values in [0, 1], found [1.5, 1.5]"),
        ({"x": np.full((8, 4), np.nan)}, "failed", "data 'toy': 32 values are NaN or infinite"),
        ({"x": np.zeros((8, 5))}, "failed", "model 'good' failed on a batch of shape (16, 5): RuntimeError"),
        ({"x": np.zeros((8, 4)), "y": np.zeros(8)}, "failed", "expected whole numbers as classes"),
        ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, "skipped", "`skip: 0` leaves none of its 0 samples"),
        ({"z": np.zeros((8, 4))}, "skipped", "toy.npz has no array 'x'; it holds"),
    ],
)
def test_data_that_cannot_be_used(models: Workshop, arrays: dict[str, np.ndarray], status: str, message: str) -> None:
    np.savez("toy.npz", **{"y": np.zeros(8, int), **arrays})
    run = models.run(SUITE.replace("models:NAME", "toy:linear"))
    assert run.exit_code == 3
    row = run.rows[0]
    assert (row.status, message in row.message) == (status, True), row.message


def test_data_without_labels(models: Workshop) -> None:
    np.savez("toy.npz", x=np.zeros((8, 4)))
    run = models.run(SUITE.replace("models:NAME", "toy:linear"), "data.toy.y=null")
    assert "data 'toy' has no labels; classifiers are judged by labels" in run.rows[0].message


def test_printing_does_no_harm(models: Workshop) -> None:
    """Neither here nor in a worker, which speaks to its parent through a pipe."""
    run = models.run(SUITE.replace("NAME", "Noisy"), executor="local")
    assert run.exit_code == 0
    assert '"status": "ok"' in (run.folder / "worker.log").read_text()


def test_a_message_of_many_lines_stays_a_line(models: Workshop) -> None:
    models.module("models", "def NAME(): raise ValueError('one\\ntwo\\udc80 ' + 'x' * 5000)\n")
    run = models.run(SUITE)
    row = models.rows(run)["wb/ours/clean/none/accuracy"]
    assert "one two\\udc80 xxx" in row.message
    assert len(row.message) <= 1000
    assert len((run.folder / "leaderboard.csv").read_text().splitlines()) == len(run.rows) + 1


def test_what_one_model_does_to_the_process_no_other_gets_to_feel(toy: Workshop) -> None:
    """A working directory or a default type of tensors that somebody's code changes."""
    toy.module("rude", RUDE)
    text = TOY_SUITE.replace("  lin: {", '  rude: {kind: classifier, load: "rude:model"}\n  lin: {')
    text = text.replace("models: [lin]", "models: [rude, lin]")
    here = Path.cwd()
    run = toy.run(text, store="store", out="out")
    assert Path.cwd() == here
    assert torch.get_default_dtype() == torch.float32
    assert {row.status for row in run.rows if row.model == "lin"} == {"ok"}
    assert (toy.folder / "out" / "leaderboard.csv").exists()
