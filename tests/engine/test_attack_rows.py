"""Attacks through a suite: budgets, norms, whole curves, and what the leaderboard says of their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from tests.conftest import Workshop

SUITE = """
suite: rows
data:
  toy: {source: npz, path: toy.npz}
models:
  lin: {kind: classifier, load: "toy:linear"}
evaluations:
  wb:
    kind: robustness
    models: [lin]
    data: toy
    threat: {norm: NORM, epsilon: [0.1, 0.2, 0.3, 0.4]}
    attacks: [ATTACKS]
"""


def run(toy: Workshop, attacks: str, norm: str = "linf", extra: str = "") -> tuple[dict[str, float], pd.DataFrame]:
    """Values by row, and the outcomes."""
    done = toy.run(SUITE.replace("ATTACKS", attacks).replace("NORM", norm) + extra)
    assert done.exit_code == 0, [row.message for row in done.rows]
    return {name: row.value for name, row in toy.rows(done).items()}, pd.read_csv(toy.folder / "out" / "outcomes.csv")


def exact(epsilon: float) -> float:
    """The share of points farther than epsilon from the middle: one number decides, so all norms agree."""
    return float(np.mean(np.abs(np.load("toy.npz")["x"][:, 0] - 0.5) > epsilon))


@pytest.mark.parametrize(
    ("attacks", "norm"),
    [
        ("fgsm, bim, mi-fgsm, {pgd: {steps: 20}}, apgd-ce, apgd-dlr, apgd-t, fab-t, deepfool, fmn, autoattack", "linf"),
        ("fgsm, bim, mi-fgsm, {pgd: {steps: 20}}, apgd-ce, apgd-dlr, apgd-t, fab-t, deepfool, ddn, fmn", "l2"),
        ("l1-apgd, fab-t, fmn", "l1"),
    ],
)
def test_every_attack_gives_the_exact_curve_of_a_linear_model(toy: Workshop, attacks: str, norm: str) -> None:
    values, outcomes = run(toy, attacks, norm)
    for epsilon in (0.1, 0.2, 0.3, 0.4):
        for attack in outcomes.attack.unique():
            found = values[f"wb/lin/{attack}/{norm}-{epsilon}/robust_accuracy"]
            assert found == pytest.approx(exact(epsilon), abs=1.5 / 40), (attack, epsilon)
    spent = outcomes.groupby("attack").backwards.sum() / 40
    if norm == "linf":
        assert spent["fgsm"] == 1
        assert spent["pgd"] < 2 * 20, "four radii for less than the price of two"
    known = outcomes.groupby("attack").known.unique()
    assert set(known["fmn"]) == {"measured"}


def test_a_budget_stops_an_attack_and_its_best_point_counts(toy: Workshop) -> None:
    free, _ = run(toy, "{pgd: {steps: 40, step_size: 0.01, start: clean}}")
    short, outcomes = run(
        toy, "{pgd: {steps: 40, step_size: 0.01, start: clean}}", extra="    budget: {forwards: 15, backwards: 12}\n"
    )
    assert outcomes.forwards.max() <= 15
    assert outcomes.backwards.max() == 12
    row = "wb/lin/pgd/linf-{}/robust_accuracy"
    # twelve steps of a hundredth reach 0.12
    assert short[row.format(0.1)] == free[row.format(0.1)] == pytest.approx(exact(0.1), abs=1 / 40)
    assert short[row.format(0.4)] == pytest.approx(exact(0.12), abs=1 / 40)
    assert short[row.format(0.4)] > free[row.format(0.4)]


def test_a_budget_is_part_of_the_key(toy: Workshop) -> None:
    text = SUITE.replace("ATTACKS", "fgsm").replace("NORM", "linf")
    toy.run(text)
    toy.run(text, out="again")
    toy.run(text + "    budget: {forwards: 5}\n", out="budgeted")
    assert "attack/wb/lin/0/fgsm/0" not in toy.journal("queued", "again")
    assert "attack/wb/lin/0/fgsm/0" in toy.journal("queued", "budgeted")


def test_of_probabilities_a_sentence_warns(toy: Workshop) -> None:
    toy.module("soft", "import toy\n\n\ndef model():\n    net = toy.linear()\n    return lambda x: net(x).softmax(1)\n")
    done = toy.run(SUITE.replace("toy:linear", "soft:model").replace("ATTACKS", "fgsm").replace("NORM", "linf"))
    assert done.exit_code == 0
    row = toy.rows(done)["wb/lin/fgsm/linf-0.1/robust_accuracy"]
    assert row.status == "ok"
    assert "the model returns probabilities" in row.message
