"""Attacks and metrics of the user's that misbehave: no false success is counted, and what went wrong is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.conftest import Workshop

MODULE = """
import torch


def flip(x): return torch.cat([1 - x[:, :1], x[:, 1:]], 1)
"The first number decides the class; this changes it, whatever the ball."

def cheat(model, x, goal, *, threat, draws): return flip(x)
def some(model, x, goal, *, threat, draws): return torch.where((x[:, 1:2] > 0.5), flip(x), x)
def outside_box(model, x, goal, *, threat, draws): return x - 2
def nan(model, x, goal, *, threat, draws): return x * float("nan")
def infinite(model, x, goal, *, threat, draws): return x / 0
def small(model, x, goal, *, threat, draws): return x[:, :2]
def few(model, x, goal, *, threat, draws): return x[:3]
def nothing(model, x, goal, *, threat, draws): return None
def raising(model, x, goal, *, threat, draws): raise ValueError("no gradient today")
def exiting(model, x, goal, *, threat, draws): raise SystemExit(1)
def in_place(model, x, goal, *, threat, draws): return x.copy_(flip(x))
def honest(model, x, goal, *, threat, draws, share=1.0):
    step = share * threat.epsilon * torch.where(x[:, :1] > 0.5, -1.0, 1.0)
    return threat.project(torch.cat([x[:, :1] + step, x[:, 1:]], 1), x)
def lazy(model, x, goal, *, threat, draws):
    return threat.project(x + threat.epsilon * (2 * torch.rand_like(x) - 1), x)


def margin(model, x, examples, y): return (examples - x).abs().amax(1)
def column(model, x, examples, y): return torch.zeros(len(x), 1)
def holes(model, x, examples, y): return torch.where(y > 0, torch.nan, 1.0)
def words(model, x, examples, y): return ["a"] * len(x)
def none(model, x, examples, y): return None
def spoiling(model, x, examples, y):
    size = (examples - x).abs().amax(1)
    x.zero_()
    return size
"""

SUITE = """
suite: failing
data:
  toy: {source: npz, path: toy.npz}
models:
  lin: {kind: classifier, load: "toy:linear"}
evaluations:
  wb:
    kind: robustness
    models: [lin]
    data: toy
    threat: {norm: linf, epsilon: [0.1, 0.2]}
    attacks: [fgsm, {"ours:NAME": {}, as: ours}]
    metrics: [robust_accuracy]
"""
OURS = "wb/lin/ours/linf-0.1/robust_accuracy"
FGSM = "wb/lin/fgsm/linf-0.1/robust_accuracy"
WORST = "wb/lin/worst-case/linf-0.1/robust_accuracy"


@pytest.fixture
def ours(toy: Workshop) -> Workshop:
    toy.module("ours", MODULE)
    return toy


@pytest.mark.parametrize("name", ["cheat", "some", "outside_box", "nan", "infinite"])
def test_points_outside_count_as_failures(ours: Workshop, name: str) -> None:
    """Only those points count that flip the class within reach; of the others the row says how many there are."""
    x = np.load("toy.npz")["x"]
    moved = x[:, 1] > 0.5 if name == "some" else np.ones(40, bool)
    inside = np.abs(1 - 2 * x[:, 0]) <= 0.1 if name in ("cheat", "some") else np.zeros(40, bool)
    assert 0 < (moved & ~inside).sum() <= 40
    run = ours.run(SUITE.replace("NAME", name))
    row = ours.rows(run)[OURS]
    assert run.exit_code == 0
    assert row.message.startswith(f"{(moved & ~inside).sum()} examples were outside the ball or the box or not finite")
    assert row.value == pytest.approx(1 - (moved & inside).sum() / 40)
    assert ours.rows(run)[WORST].value == min(row.value, ours.rows(run)[FGSM].value)


def test_an_attack_that_works_in_place_gains_nothing(ours: Workshop) -> None:
    run = ours.run(SUITE.replace("NAME", "in_place"))
    x = np.load("toy.npz")["x"]
    assert ours.rows(run)[OURS].value == pytest.approx(np.mean(np.abs(1 - 2 * x[:, 0]) > 0.1))


def test_an_honest_attack_reaches_what_it_can(ours: Workshop) -> None:
    run = ours.run(SUITE.replace("NAME", "honest"))
    assert ours.rows(run)[OURS].value == ours.rows(run)[FGSM].value
    assert ours.rows(run)[OURS].message == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("small", "attack 'ours:small' returned (40, 2); expected a tensor of shape (40, 4)"),
        ("few", "attack 'ours:few' returned (3, 4); expected a tensor of shape (40, 4)"),
        ("nothing", "attack 'ours:nothing' returned NoneType; expected a tensor of shape (40, 4)"),
        ("raising", "ValueError: no gradient today (raised at ours.py:"),
        ("exiting", "SystemExit: 1 (raised at ours.py:"),
        ("missing", "module 'ours' has no 'missing'"),
    ],
)
def test_attacks_that_fail(ours: Workshop, name: str, message: str) -> None:
    run = ours.run(SUITE.replace("NAME", name))
    rows = ours.rows(run)
    assert run.exit_code == 3
    assert rows[OURS].status == "failed"
    assert message in rows[OURS].message
    assert rows[FGSM].status == "ok"
    assert rows[WORST].status == "failed"
    assert rows[WORST].message.startswith("the worst case needs every attack: ")


def test_random_attacks_do_not_depend_on_what_ran_before(ours: Workshop) -> None:
    """An attack may draw from the global generators; it gets the same numbers alone, in company, and elsewhere."""
    alone = SUITE.replace("fgsm, ", "").replace("NAME", "lazy")
    together = SUITE.replace("fgsm, ", '{"ours:lazy": {}, as: first}, ').replace("NAME", "lazy")
    outcomes = []
    for number, (text, executor) in enumerate([(alone, "inline"), (together, "inline"), (alone, "local")]):
        run = ours.run(text, store=f"store{number}", out=f"out{number}", executor=executor)
        lines = (run.folder / "outcomes.csv").read_text().splitlines()
        outcomes.append([line for line in lines if ",ours," in line])
    assert len(outcomes[0]) == 80
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("column", "metric 'ours:column' returned an array of shape (40, 1); expected (40,)"),
        ("holes", "metric 'ours:holes' returned NaN or infinite values for"),
        ("words", "metric 'ours:words' returned a list; expected 40 numbers"),
        ("none", "metric 'ours:none' returned a NoneType; expected 40 numbers"),
        ("missing", "module 'ours' has no 'missing'"),
        ("margin", ""),
        ("spoiling", ""),
    ],
)
def test_metrics(ours: Workshop, name: str, message: str) -> None:
    text = SUITE.replace("NAME", "honest").replace(
        "[robust_accuracy]", f'[robust_accuracy, {{"ours:{name}": {{}}, as: mine}}]'
    )
    run = ours.run(text)
    rows = [ours.rows(run)[f"wb/lin/ours/linf-{epsilon}/mine"] for epsilon in (0.1, 0.2)]
    assert run.exit_code == (3 if message else 0)
    for row, epsilon in zip(rows, (0.1, 0.2), strict=True):
        assert message in row.message
        if not message:
            assert 0 < row.value <= epsilon + 1e-6
            assert row.n == 40
    if not message:
        assert rows[0].value < rows[1].value
    # what the attack found stands, whatever a metric makes of it
    for attack in ("ours", "fgsm", "worst-case"):
        row = ours.rows(run)[f"wb/lin/{attack}/linf-0.1/robust_accuracy"]
        assert (row.status, row.n) == ("ok", 40)
    assert ours.rows(run)["wb/lin/clean/none/accuracy"].status == "ok"


GENERATION = """
suite: metrics
data:
  grid: {source: ring8, samples: 200}
models:
  theirs: {kind: generator, samples: s.npz}
evaluations:
  gen: {kind: generation, models: [theirs], data: grid, samples: 50, metrics: [modes, "ours:NAME"]}
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("a.mean()", ""),
        ("3", ""),
        ("float('nan')", "metric 'ours:value' returned nan; expected a finite number"),
        ("a", "metric 'ours:value' returned a Tensor; expected one number"),
        ("None", "metric 'ours:value' returned a NoneType; expected one number"),
        ("1 / 0", "ZeroDivisionError: division by zero (raised at ours.py:"),
    ],
)
def test_metrics_of_samples(workshop: Workshop, body: str, message: str) -> None:
    workshop.module("ours", f"def value(a, b): return {body}\n")
    np.savez("s.npz", samples=np.zeros((50, 2)))
    run = workshop.run(GENERATION.replace("NAME", "value"))
    row = workshop.rows(run)["gen/theirs/grid/value"]
    assert row.status == ("failed" if message else "ok")
    assert message in row.message
    assert workshop.rows(run)["gen/theirs/grid/modes"].status == "ok"
