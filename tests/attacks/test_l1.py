"""The l1 ball cut by the box."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.attacks.attack import create
from bench.attacks.l1_ball import project_l1


@given(st.integers(0, 2**31), st.floats(0, 4))
@settings(max_examples=100, deadline=None)
def test_no_other_point_is_nearer(seed, epsilon) -> None:
    """A projection onto a convex set is the point z with (u - z)(w - z) <= 0 for every w of the set."""
    generator = torch.Generator().manual_seed(seed)
    origin = torch.rand(4, 7, generator=generator)
    origin[0] = origin[0].round()  # at the corners of the box
    wanted = 2 * torch.randn(4, 7, generator=generator)
    found = project_l1(wanted, origin, epsilon, 0.0, 1.0)
    assert float(found.abs().sum(1).max()) <= epsilon + 1e-5
    assert float((origin + found).min()) >= -1e-6
    assert float((origin + found).max()) <= 1 + 1e-6
    for _ in range(20):
        other = torch.rand(4, 7, generator=generator) - origin
        other = other * (epsilon / other.abs().sum(1, keepdim=True)).clamp_max(1)
        assert float(((wanted - found) * (other - found)).sum(1).max()) <= 1e-4


def test_it_is_the_solution_of_the_quadratic_programme() -> None:
    generator = np.random.default_rng(0)
    for _ in range(10):
        origin, wanted, radius = generator.random(5), 1.5 * generator.standard_normal(5), 2 * generator.random()
        result = scipy.optimize.minimize(
            lambda v, wanted=wanted: ((v[:5] - v[5:] - wanted) ** 2).sum(),
            np.full(10, 1e-3),
            bounds=[(0, 1 - value) for value in origin] + [(0, value) for value in origin],
            constraints=[{"type": "ineq", "fun": lambda v, radius=radius: radius - v.sum()}],
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        found = project_l1(torch.tensor(wanted)[None], torch.tensor(origin)[None], radius, 0.0, 1.0)[0].numpy()
        assert found == pytest.approx(result.x[:5] - result.x[5:], abs=2e-4)


def test_radii_may_differ_between_samples_and_the_box_may_be_unbounded() -> None:
    wanted, origin = torch.tensor([[3.0, -1.0], [3.0, -1.0]]), torch.zeros(2, 2)
    found = project_l1(wanted, origin, torch.tensor([1.0, 3.0]), -torch.inf, torch.inf)
    assert found.tolist() == [[1.0, 0.0], [2.5, -0.5]]


def test_clipping_to_the_ball_and_then_to_the_box_does_worse() -> None:
    """What "Mind the box" is about: where the best entry has no room, its share goes to the others."""
    origin = torch.tensor([[0.9, 0.5, 0.5]])
    found = project_l1(torch.tensor([[5.0, 0.4, 0.4]]), origin, 0.5, 0.0, 1.0)
    assert found[0].tolist() == pytest.approx([0.1, 0.2, 0.2], abs=1e-6)


def test_the_schedule_of_radii_costs_the_same_steps(linear) -> None:
    model = linear(16, 4, 0)
    x = torch.rand(8, 16, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    for schedule in (True, False):
        result = create("l1-apgd", norm="l1", epsilon=1e-4, steps=50, schedule=schedule)(model, x, y)
        assert result.backwards.tolist() == [50.0] * 8
        assert bool(result.valid.all())
