"""Data sets that a function of the user's makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.data import load_named
from bench.errors import BenchError, DataError

if TYPE_CHECKING:
    from tests.conftest import Workshop

MODULE = """
import numpy as np
import torch

X = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 0, 1])

def pair(): return X, Y
def triple(): return X, Y, ["a", "b", "c", "d"]
def mapping(): return {"y": Y, "x": X}
def tensors(): return torch.tensor(X, requires_grad=True), torch.tensor(Y)
def lists(): return X.tolist(), Y.tolist()
def unlabelled(): return X, None
def wide(): return X * 2 - 1, Y
def images(): return (X * 255).astype(np.uint8), Y
def sized(count=4): return X[:count], Y[:count]

def nothing(): return None
def single(): return X
def no_x(): return {"y": Y}
def few_ids(): return X, Y, ["a", "b"]
def same_ids(): return X, Y, ["a", "a", "b", "c"]
def ragged(): return [[1.0], [1.0, 2.0]], [0, 1]
def words(): return [["a"], ["b"]], [0, 1]
def objects(): return np.array([[object()]]), [0]
def floats(): return X, Y.astype(float)
def flat(): return X[:, 0], Y
def raising(): raise RuntimeError("the server is down")
number = 3
"""


@pytest.fixture
def made(workshop: Workshop) -> Workshop:
    workshop.module("made", MODULE)
    return workshop


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["pair", "triple", "mapping", "tensors", "lists"])
def test_forms_of_returning_data(name: str) -> None:
    samples = load_named(f"made:{name}")
    assert samples.inputs().tolist() == np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3).tolist()
    assert samples.y is not None
    assert samples.y.tolist() == [0, 1, 0, 1]
    assert list(samples.ids) == (["a", "b", "c", "d"] if name == "triple" else ["000000", "000001", "000002", "000003"])


@pytest.mark.usefixtures("made")
def test_arguments_labels_and_types() -> None:
    assert len(load_named("made:sized", args={"count": 2})) == 2
    assert load_named("made:unlabelled").y is None
    assert load_named("made:images").inputs().max() == 1
    assert load_named("made:pair", skip=1, take=2).ids == ("000001", "000002")


@pytest.mark.usefixtures("made")
def test_the_range_is_declared() -> None:
    with pytest.raises(DataError, match=r"expected values in \[0, 1\], found \[-1, 1\]; .* declare its range"):
        load_named("made:wide")
    assert load_named("made:wide", range=(-1, 1)).inputs().min() == -1


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"returned a NoneType; expected \(x, y\)"),
        ("single", "returned a ndarray; expected"),
        ("no_x", "returned no inputs under the key 'x'"),
        ("few_ids", "found 2 different ids for 4 samples"),
        ("same_ids", "found 3 different ids for 4 samples"),
        ("ragged", "returned `x` that is no array of one shape"),
        ("words", "expected inputs as floats or uint8, found <U1"),
        ("objects", "expected inputs as floats or uint8, found object"),
        ("floats", "expected whole numbers as classes, found an array of float64"),
        ("flat", r"expected inputs of shape \(n, ...\), found an array of shape \(4,\)"),
        ("number", "'made:number' is a int; expected something that can be called"),
        ("pear", "module 'made' has no 'pear'; did you mean 'pair'"),
    ],
)
def test_what_is_wrong_is_said(name: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        load_named(f"made:{name}")


SUITE = """
suite: imported
data:
  mine: {{source: "made:{function}"}}
  toy: {{source: npz, path: toy.npz}}
models:
  lin: {{kind: classifier, load: "toy:linear"}}
evaluations:
  mine: {{kind: robustness, models: [lin], data: mine, threat: {{norm: linf, epsilon: 0.1}}, attacks: [fgsm]}}
  toy: {{kind: robustness, models: [lin], data: toy, threat: {{norm: linf, epsilon: 0.1}}, attacks: [fgsm]}}
"""


def test_a_source_that_raises_costs_its_own_rows_only(made: Workshop) -> None:
    made.toy()
    run = made.run(SUITE.format(function="raising"))
    rows = made.rows(run)
    assert run.exit_code == 3
    assert run.states["data/mine"].status == "failed"
    broken = rows["mine/lin/fgsm/linf-0.1/robust_accuracy"]
    assert broken.status == "skipped"
    assert "RuntimeError: the server is down (raised at made.py:" in broken.message
    assert rows["toy/lin/fgsm/linf-0.1/robust_accuracy"].status == "ok"


def test_a_source_is_run_once(made: Workshop) -> None:
    made.toy()
    made.module("made", MODULE + "\ndef four(): print('again'); return np.repeat(X, 2, 1)[:, :4], Y\n")
    text = SUITE.format(function="four")
    first, second = made.run(text), made.run(text)
    assert first.exit_code == second.exit_code == 0
    assert made.journal("queued").count("data/mine") == 1
    assert second.states["data/mine"].origin == "store"


def test_new_ids_make_new_outcomes(made: Workshop) -> None:
    """Random numbers and reports go by the ids, so the same samples under other names are other data."""
    made.toy()
    four = MODULE + "\ndef four(): return np.repeat(X, 2, 1)[:, :4], Y, list(NAMES)\n"
    made.module("made", four.replace("NAMES", "'abcd'"))
    first = made.run(SUITE.format(function="four"))
    made.module("made", four.replace("NAMES", "'vwxyz'[:4]"))
    second = made.run(SUITE.format(function="four"))
    assert "mine,lin,0,fgsm,,linf-0.1,v," in (second.folder / "outcomes.csv").read_text()
    key = "attack/mine/lin/0/fgsm/0"
    assert first.states[key].key != second.states[key].key
