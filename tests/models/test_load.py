"""Models that a callable of the user's returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.conftest import Workshop

MODULE = """
import torch
from torch import nn
from toy import linear

shared = nn.Linear(4, 2)


class Scaled(nn.Module):
    def __init__(self, scale, deep=None):
        super().__init__()
        self.inner = linear(scale)

    def forward(self, x):
        return self.inner(x)


def function(scale=4.0):
    model = linear(scale)
    return lambda x: model(x)


def dropping():
    return nn.Sequential(nn.Dropout(0.9), linear())


def same(): return shared
def number(): return 3
def nothing(): return None
def raising(): raise ValueError("no such width")
def exiting(): raise SystemExit("bye")
constant = 5
"""

SUITE = """
suite: load
data:
  toy: {source: npz, path: toy.npz}
models:
  ours: {kind: classifier, load: "LOAD", MORE}
evaluations:
  wb: {kind: robustness, models: [ours], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
"""
CLEAN, ATTACKED = "wb/ours/clean/none/accuracy", "wb/ours/fgsm/linf-0.1/robust_accuracy"


@pytest.fixture
def mine(toy: Workshop) -> Workshop:
    toy.module("mine", MODULE)
    return toy


@pytest.mark.parametrize(
    ("load", "more"),
    [
        ("mine:Scaled", "args: {scale: 4.0, deep: {a: [1, 2]}}"),
        ("mine:function", ""),
        ("mine:function", "args: {scale: 1.0}"),
        ("mine:dropping", ""),  # in evaluation mode, dropout does nothing
    ],
)
def test_modules_and_plain_callables(mine: Workshop, load: str, more: str) -> None:
    run = mine.run(SUITE.replace("LOAD", load).replace(", MORE", f", {more}" if more else ""))
    assert run.exit_code == 0
    assert mine.rows(run)[CLEAN].value == 1
    expected = mine.rows(mine.run(SUITE.replace("LOAD", "toy:linear").replace(", MORE", ""), out="other"))[ATTACKED]
    assert mine.rows(run)[ATTACKED].value == expected.value


@pytest.mark.parametrize(
    ("load", "more", "message"),
    [
        ("mine:number", "", "'mine:number' returned a int; expected a module or another callable"),
        ("mine:nothing", "", "'mine:nothing' returned a NoneType"),
        ("mine:raising", "", "'mine:raising' failed to build the model: ValueError: no such width"),
        ("mine:exiting", "", "SystemExit: bye (raised at mine.py:"),
        ("mine:constant", "", "'mine:constant' is a int; expected something that can be called"),
        ("mine:funktion", "", "module 'mine' has no 'funktion'; did you mean 'function'?"),
        ("nowhere.models:build", "", "cannot import 'nowhere.models:build': no module named 'nowhere'"),
        ("broken:build", "", "cannot import 'broken:build': SyntaxError"),
        ("mine:Scaled", "args: {width: 3}", "failed to build the model: TypeError"),
        ("mine:function", "weights: w.pt", "model 'ours' is a function, not a torch module, so it cannot take weights"),
        (
            "mine:function",
            "kind: autoencoder",
            "model 'ours' is no autoencoder: expected methods `encode` and `decode`",
        ),
    ],
)
def test_what_is_wrong_is_said(mine: Workshop, load: str, more: str, message: str) -> None:
    mine.module("broken", "def build(:\n")
    torch.save({}, "w.pt")
    text = SUITE.replace("LOAD", load).replace(", MORE", f", {more}" if more else "")
    if "kind" in more:
        text = SUITE.replace("LOAD", load).replace(", MORE", "").replace("kind: classifier", more)
        text = text[: text.index("evaluations:")] + (
            "evaluations:\n  wb: {kind: reconstruction, models: [ours], data: toy, attacks: [latent], pairs: 2}\n"
        )
    run = mine.run(text)
    assert run.exit_code == 3
    assert all(row.status == "failed" for row in run.rows)
    assert all(message in row.message for row in run.rows)


def test_one_module_returned_twice_is_two_models(mine: Workshop) -> None:
    """A builder that returns a global module must not let one model's weights become another's."""
    for name, sign in (("plus", 1.0), ("minus", -1.0)):
        weight = sign * torch.tensor([[-1.0, 0, 0, 0], [1.0, 0, 0, 0]])
        torch.save({"weight": weight, "bias": sign * torch.tensor([0.5, -0.5])}, f"{name}.pt")
    run = mine.run(
        """
        suite: twice
        data: {toy: {source: npz, path: toy.npz}}
        models:
          plus: {kind: classifier, load: "mine:same", weights: plus.pt}
          minus: {kind: classifier, load: "mine:same", weights: minus.pt}
        evaluations:
          a: {kind: robustness, models: [plus, minus], data: toy, threat: {norm: linf, epsilon: 0.1}, attacks: [fgsm]}
          b: {kind: robustness, models: [plus, minus], data: toy, threat: {norm: l2, epsilon: 0.1}, attacks: [fgsm]}
        """
    )
    values = {name: row.value for name, row in mine.rows(run).items() if name.endswith("accuracy") and "clean" in name}
    assert values == {
        "a/plus/clean/none/accuracy": 1,
        "a/minus/clean/none/accuracy": 0,
        "b/plus/clean/none/accuracy": 1,
        "b/minus/clean/none/accuracy": 0,
    }
