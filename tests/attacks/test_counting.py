"""Passes are counted for the samples they belong to, and a spent budget ends an attack without losing anything."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.budget import Budget, BudgetedModel, BudgetSpentError
from bench.attacks.counting import CountedModel
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat

USER_ATTACKS = """
import torch

def part(model, x, goal, *, threat, draws):
    "Asks about the second sample alone, three times."
    for _ in range(3):
        model.rows(torch.tensor([1]))(x[1:2])
    return x

def doubled(model, x, goal, *, threat, draws):
    model(torch.cat([x, x]))
    return x

def greedy(model, x, goal, *, threat, draws):
    "Walks towards the top right corner for ever, and forgets where it has been."
    point = x
    while True:
        point = threat.project(point + 0.02, x)
        model(point)

def patient(model, x, goal, *, threat, draws):
    "Goes on for a hundred steps for one sample only."
    for step in range(100):
        model.rows(torch.tensor([0]))(x[:1])
    model(threat.project(x + 1, x))
    return x
"""


def model(x: Tensor) -> Tensor:
    """Class 1 when the mean is above a half."""
    mean = x.flatten(1).mean(1) - 0.5
    return torch.stack([-mean, mean], 1)


X, Y = torch.full((4, 2), 0.4), torch.zeros(4, dtype=torch.int64)


@pytest.fixture(autouse=True)
def _user_attacks(tmp_path, monkeypatch) -> None:
    (tmp_path / "user_attacks.py").write_text(USER_ATTACKS)
    monkeypatch.syspath_prepend(tmp_path)


def test_rows_of_rows_are_counted_for_the_samples_they_are() -> None:
    counted = CountedModel(model, 4)
    part = counted.rows(torch.tensor([3, 1, 0])).rows(torch.tensor([0, 2]))
    part(X[[3, 0]])
    counted(X)
    input_gradient(counted.rows(torch.tensor([2])), X[2:3], lambda logits: logits[:, 0])
    assert counted.forwards.tolist() == [2.0, 1.0, 2.0, 2.0]
    assert counted.backwards.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_users_attack_is_counted_whatever_it_calls() -> None:
    part = create("user_attacks:part", norm="linf", epsilon=0.2)(model, X, Y)
    assert part.forwards.tolist() == [0.0, 3.0, 0.0, 0.0]
    doubled = create("user_attacks:doubled", norm="linf", epsilon=0.2)(model, X, Y)
    assert doubled.forwards.tolist() == [2.0] * 4


def test_an_attack_that_never_ends_ends_with_its_budget_and_its_best_point() -> None:
    enough = create("user_attacks:greedy", norm="linf", epsilon=0.2, budget=Budget(forwards=8))(model, X, Y)
    assert enough.forwards.tolist() == [8.0] * 4
    assert bool(enough.success.all())
    assert float((enough.x_adv - X).max()) == pytest.approx(0.16, abs=1e-6)
    short = create("user_attacks:greedy", norm="linf", epsilon=0.2, budget=Budget(forwards=4))(model, X, Y)
    assert short.forwards.tolist() == [4.0] * 4
    assert not bool(short.success.any())


def test_samples_with_budget_left_go_on_when_others_have_none() -> None:
    with_budget = create("user_attacks:patient", norm="linf", epsilon=0.2, budget=Budget(forwards=5))(model, X, Y)
    # the first sample spent its budget; its 6th call, alone, ended the attack before the last one for everybody
    assert with_budget.forwards.tolist() == [5.0, 0.0, 0.0, 0.0]
    spent = BudgetedModel(model, X, Goal(Y), Threat("linf", 0.2), Budget(forwards=2))
    first = spent.rows(torch.tensor([0]))
    first(X[:1])
    first(X[:1])
    logits = spent(X + 0.15)
    assert logits[0].tolist() == [0.0, 0.0], "no answer for the first sample"
    assert bool((logits[1:, 1] > logits[1:, 0]).all())
    assert spent.forwards.tolist() == [2.0, 1.0, 1.0, 1.0]
    assert spent.score[1:].tolist() == pytest.approx([0.1] * 3, abs=1e-6)
    assert torch.equal(spent.best[0], X[0])
    with pytest.raises(BudgetSpentError):
        first(X[:1])


def test_several_rows_of_one_sample_share_its_budget() -> None:
    spent = BudgetedModel(model, X[:1], Goal(Y[:1]), Threat("linf", 0.5), Budget(forwards=3))
    index = torch.zeros(5, dtype=torch.int64)
    tried = torch.tensor([0.5, 0.8, 0.7, 0.9, 0.9])[:, None].expand(5, 2)
    logits = spent.rows(index)(tried)
    assert spent.forwards.tolist() == [3.0]
    assert logits[3:].abs().sum() == 0
    assert float(spent.best[0, 0]) == pytest.approx(0.8), "the best of those that were answered"


def test_backward_passes_have_a_budget_of_their_own() -> None:
    result = create("pgd", norm="linf", epsilon=0.05, steps=40, budget=Budget(backwards=7))(model, X, Y)
    assert result.backwards.tolist() == [7.0] * 4
    assert not bool(result.success.any())


@pytest.mark.parametrize(
    ("name", "norm"), [("deepfool", "linf"), ("deepfool", "l2"), ("fab-t", "linf"), ("cw-l2", "l2")]
)
def test_several_backward_passes_of_one_forward_pass_keep_to_the_budget(name, norm, linear) -> None:
    net = linear(8, 6, 0)
    x = torch.rand(5, 8, generator=torch.Generator().manual_seed(0))
    y = net(x).argmax(1)
    free = create(name, norm=norm, epsilon=1e-4)(net, x, y)
    assert float(free.backwards.max()) > 3
    bounded = create(name, norm=norm, epsilon=1e-4, budget=Budget(backwards=3))(net, x, y)
    assert float(bounded.backwards.max()) == 3


def test_points_outside_the_ball_are_not_kept() -> None:
    spent = BudgetedModel(model, X, Goal(Y), Threat("linf", 0.2), Budget(forwards=9))
    spent(X + 0.5)
    assert bool(torch.isinf(spent.score).all())
    nearest = BudgetedModel(model, X, Goal(Y), Threat("l2", float("inf")), Budget(forwards=9))
    nearest(X + 0.5)
    nearest(X + 0.2)
    nearest(X + 0.3)
    assert float(nearest.best[0, 0]) == pytest.approx(0.6)
