"""What is special to FMN; closed forms are in `test_ddn`."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attacks.attack import create
from bench.attacks.draws import Draws
from bench.attacks.fmn import fmn
from bench.attacks.goal import Goal
from bench.attacks.threat import Threat


def test_an_exact_estimate_does_not_end_on_the_boundary(linear) -> None:
    """On a linear model the first estimate is the distance itself, and a tie is no example."""
    model = linear(8, 2, 0)
    x = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    threat, draws = Threat("l2", math.inf, -math.inf, math.inf), Draws(torch.arange(50))
    found = fmn(model, x, Goal(y), threat=threat, draws=draws, steps=3)
    optimum = (model(x)[:, 0] - model(x)[:, 1]).abs() / (model.weight[0] - model.weight[1]).norm()
    assert bool((model(found).argmax(1) != y).all())
    assert float(((found - x).norm(dim=1) / optimum).max()) <= 1.02 + 1e-4


def test_l1_examples_are_sparse(linear) -> None:
    """Of a linear model one entry is the best to change, where the box leaves room."""
    model = linear(100, 2, 0)
    x = torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    result = create("fmn", norm="l1", epsilon=math.inf, low=-1e6, high=1e6)(model, x, model(x).argmax(1))
    largest = (model.weight[0] - model.weight[1]).abs().argmax()
    changed = (result.x_adv - x).abs()
    assert float((changed[:, largest] / changed.sum(1)).median()) > 0.99


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", math.inf)])
def test_estimates_lead_to_the_boundary_in_a_few_steps(norm, dual) -> None:
    """Where the difference of logits flattens out, the first estimate falls short, and the next ones close in."""
    generator = torch.Generator().manual_seed(0)
    weights, x = torch.randn(16, generator=generator), torch.zeros(1, 16)
    found = fmn(
        lambda z: torch.stack([z[:, 0] * 0, (1 + z @ weights).clamp_min(0.1).log() - math.log(2)], 1),
        x,
        Goal(torch.tensor([0])),
        threat=Threat(norm, math.inf, -9.0, 9.0),
        draws=Draws(torch.tensor([0])),
        steps=10,
    )
    distance = torch.linalg.vector_norm(found, ord={"linf": math.inf, "l2": 2, "l1": 1}[norm])
    optimum = 1 / torch.linalg.vector_norm(weights, ord=dual)
    assert 1 - 1e-4 < float(distance / optimum) < 1.1


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_entries_stuck_at_the_box_do_not_stop_the_others(norm) -> None:
    """The steep entry, where nearly all the gradient's length is, cannot move; the gentle ones have to do the work."""
    weights, x = torch.tensor([1e4] + [1.0] * 8), torch.tensor([[1.0] + [0.2] * 8])
    found = fmn(
        lambda z: torch.stack([z[:, 0] * 0 + 1e4 + 4.0, z @ weights], 1),
        x,
        Goal(torch.tensor([0])),
        threat=Threat(norm, math.inf),
        draws=Draws(torch.tensor([0])),
        steps=300,
    )
    # the eight add up to 1.6, and it takes 4
    assert float((found - x).sum()) == pytest.approx(2.4, rel=0.02)
    if norm != "l1":
        assert (found - x)[0, 1:].tolist() == pytest.approx([0.3] * 8, rel=0.05)


def test_a_box_that_cuts_steps_short_does_not_keep_the_radius_below_the_boundary(linear) -> None:
    """One of two entries has a fiftieth of the box of room at the most; every step aims beyond it, and is clipped."""
    model = linear(2, 2, 1)
    corner = (torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    x = (corner - 0.02 * torch.rand(200, 2, generator=torch.Generator().manual_seed(1))).abs()
    assert bool(create("fmn", norm="l2", epsilon=math.inf, steps=200)(model, x, model(x).argmax(1)).success.all())


def test_the_radius_follows_success_to_the_boundary(curved, images) -> None:
    """Examples lie at the boundary: the other class leads by a hundredth of the original lead at most."""
    x, y = images
    for norm in ("linf", "l2", "l1"):
        result = create("fmn", norm=norm, epsilon=math.inf, steps=300)(curved, x, y)
        goal = Goal(y)
        lead = goal.margin(curved(result.x_adv)) / goal.margin(curved(x)).abs()
        away = torch.arange(40) % 5 != 0
        assert bool(result.success.all())
        assert float(lead[away].median()) < 0.01
