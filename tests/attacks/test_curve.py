"""Robustness at several radii from work that is shared."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.curve import ATTACKED, INFERRED, MEASURED, curve

EPSILONS = [0.4, 0.1, 0.2, 0.3]


def model(x: Tensor) -> Tensor:
    """Class 1 as soon as the first number falls below 0.35."""
    return torch.stack([x[:, 0] - 0.35, 0.35 - x[:, 0]], 1) * 10


X = torch.tensor([[0.4, 0.0], [0.5, 0.0], [0.6, 0.0], [0.7, 0.0], [0.9, 0.0]])
Y = torch.zeros(5, dtype=torch.int64)
BROKEN = [
    [True, False, False, False, False],
    [True, True, False, False, False],
    [True, True, True, False, False],
    [True, True, True, True, False],
]


@pytest.mark.parametrize(
    "name", ["fgsm", "bim", "mi-fgsm", "pgd", "apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "deepfool", "fmn", "square"]
)
def test_the_curve_is_the_exact_one(name) -> None:
    options = {"step_size": 0.02, "steps": 60} if name == "pgd" else {}
    found = curve(create(name, norm="linf", epsilon=0.0, **options), model, X, Y, epsilons=EPSILONS)
    assert found.epsilons == sorted(EPSILONS)
    assert found.success.tolist() == BROKEN
    for level, epsilon in enumerate(found.epsilons):
        inside = (found.examples[level] - X).abs().amax(1) <= epsilon + 1e-6
        assert bool(inside[found.success[level]].all())


def test_one_gradient_serves_all_radii() -> None:
    found = curve(create("fgsm", norm="linf", epsilon=0.0), model, X, Y, epsilons=EPSILONS)
    assert found.backwards.sum(0).tolist() == found.forwards.sum(0).tolist() == [1.0] * 5
    assert bool((found.known == ATTACKED).all())


def test_a_minimum_norm_attack_runs_once() -> None:
    found = curve(create("fmn", norm="linf", epsilon=0.0, steps=50), model, X, Y, epsilons=EPSILONS)
    assert bool((found.known == MEASURED).all())
    assert float(found.backwards.sum(0).max()) <= 51


def test_failure_is_paid_for_once() -> None:
    attack = create("pgd", norm="linf", epsilon=0.0, steps=20, start="clean")
    found = curve(attack, model, X, Y, epsilons=EPSILONS)
    # the last sample stands at 0.4 and is taken as standing below; the third is broken at 0.4 by a point within 0.3
    assert found.known[:, 4].tolist() == [INFERRED, INFERRED, INFERRED, ATTACKED]
    assert found.known[:, 2].tolist() == [INFERRED, ATTACKED, INFERRED, ATTACKED]
    assert found.backwards[:, 4].tolist() == [0.0, 0.0, 0.0, 20.0]
    separate = sum(
        float(create("pgd", norm="linf", epsilon=epsilon, steps=20, start="clean")(model, X, Y).backwards.sum())
        for epsilon in EPSILONS
    )
    assert float(found.backwards.sum()) < 0.6 * separate


def test_an_example_that_lies_within_a_smaller_radius_answers_for_it() -> None:
    attack = create("pgd", norm="linf", epsilon=0.0, steps=40, step_size=0.01, start="clean")
    found = curve(attack, model, X[:1], Y[:1], epsilons=EPSILONS)
    assert found.success[:, 0].tolist() == [True] * 4
    assert found.known[:, 0].tolist() == [INFERRED, INFERRED, INFERRED, ATTACKED]
    assert float(found.backwards.sum()) <= 7


def test_every_sample_at_every_radius_for_transfer() -> None:
    attack = create("pgd", norm="linf", epsilon=0.0, steps=5, keep_going=True)
    found = curve(attack, model, X, Y, epsilons=EPSILONS, every=True)
    assert bool((found.known == ATTACKED).all())
    assert found.backwards.tolist() == [[5.0] * 5] * 4


def test_of_a_users_attack_failure_at_one_radius_says_nothing_of_another(tmp_path, monkeypatch) -> None:
    (tmp_path / "fickle.py").write_text(
        "def fickle(model, x, goal, *, threat, draws):\n"
        "    return threat.project(x - 1, x) if threat.epsilon < 0.25 else x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = curve(create("fickle:fickle", norm="linf", epsilon=0.0), model, X, Y, epsilons=EPSILONS)
    assert found.success.tolist() == [BROKEN[0], BROKEN[1], BROKEN[1], BROKEN[1]]
    assert found.known[2].tolist() == [INFERRED, INFERRED, ATTACKED, ATTACKED, ATTACKED]
