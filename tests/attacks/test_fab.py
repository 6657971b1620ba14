"""FAB-T against closed forms, its own algorithm written out plainly, and its projections against linear programming."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.fab_projections import to_plane
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import per_sample, sizes

BIG = 1e6
NORMS = ["linf", "l2", "l1"]


def nearest_boundary(model, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Distance of a linear model's nearest boundary: the margin over the dual norm of the weights' difference."""
    logits, weight = model(x).double(), model.weight.double()
    between = weight[None] - weight[y][:, None]
    dual = {"linf": between.abs().sum(2), "l2": between.norm(dim=2), "l1": between.abs().amax(2)}[norm]
    distance = (logits.gather(1, y[:, None]) - logits) / dual
    return distance.scatter(1, y[:, None], math.inf).amin(1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("inputs", [2, 10, 100, 784])
def test_linear_models_are_solved(inputs, classes, norm, linear) -> None:
    model = linear(inputs, classes, inputs)
    x = torch.randn(40, inputs, generator=torch.Generator().manual_seed(classes))
    y = model(x).argmax(1)
    result = create("fab-t", norm=norm, epsilon=math.inf, low=-BIG, high=BIG, steps=10)(model, x, y)
    ratio = result.distance / nearest_boundary(model, x, y, norm)
    assert bool(result.success.all())
    assert float(ratio.min()) > 1 - 1e-4
    assert float(ratio.median()) < 1.006
    assert float(ratio.max()) < 1.01


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, math.inf), (-math.inf, 1.0), (-math.inf, math.inf)])
def test_boxes_bind_or_do_not(norm, low, high, linear) -> None:
    model = linear(10, 10, 1)
    x = torch.rand(40, 10, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    y = model(x).argmax(1)
    result = create("fab-t", norm=norm, epsilon=math.inf, low=low, high=high, steps=20)(model, x, y)
    assert int(result.success.sum()) >= 38
    assert float(result.x_adv.min()) >= low
    assert float(result.x_adv.max()) <= high
    ratio = (result.distance / nearest_boundary(model, x, y, norm))[result.success]
    assert float(ratio.min()) > 1 - 1e-4
    if math.isinf(low) and math.isinf(high):
        assert float(ratio.max()) < 1.01


def published(model, x: Tensor, goal: Goal, aim: Tensor, norm: str, steps: int) -> tuple[Tensor, Tensor]:
    """One target of FAB-T as it is written: the gradient here, a step, a look there. Nearest distance; crossings."""

    def height(logits: Tensor) -> Tensor:
        return (logits.gather(1, aim[:, None]) - logits.gather(1, goal.labels[:, None])).squeeze(1)

    point, nearest, crossings = x, torch.full((len(x),), math.inf), torch.zeros(len(x))
    for _ in range(steps):
        gradient, logits = input_gradient(model, point, height)
        ways = []
        for start in (point, x):
            gap = -height(logits) + (gradient * (point - start)).flatten(1).sum(1)
            ways.append(to_plane(start, gradient, gap, norm=norm, low=0.0, high=1.0))
        here, there = (sizes(way, norm) for way in ways)
        alpha = per_sample((here / (here + there)).clamp(max=0.1), x)
        point = ((1 - alpha) * (point + 1.05 * ways[0]) + alpha * (x + 1.05 * ways[1])).clamp(0, 1)
        across = goal.margin(model(point)) > 0
        crossings += across
        nearest = torch.where(across, torch.minimum(nearest, sizes(point - x, norm)), nearest)
        point = torch.where(per_sample(across, x), x + 0.9 * (point - x), point)
    return nearest, crossings


@pytest.mark.parametrize("norm", NORMS)
def test_the_points_are_those_of_the_published_algorithm(norm, curved, images) -> None:
    x, y = (each[torch.arange(40) % 5 != 0] for each in images)
    second = curved(x).topk(2).indices[:, 1]
    steps = 15
    nearest, crossings = published(curved, x, Goal(y), second, norm, steps)
    result = create("fab-t", norm=norm, epsilon=math.inf, steps=steps, targets=1)(curved, x, y)
    assert torch.allclose(result.distance, nearest, rtol=1e-3)
    # one pass a step until the first crossing, then two; the step of the first crossing has two of both kinds
    assert bool((crossings > 0).all())
    assert result.backwards.unique().tolist() == [steps + 1]
    assert float(result.forwards.max()) <= 2 * steps + 2


def test_what_is_never_crossed_to_costs_one_pass_a_step() -> None:
    def steady(x: Tensor) -> Tensor:
        return torch.stack([5 + x.flatten(1).mean(1), 0 * x.flatten(1).mean(1), x.flatten(1).mean(1)], 1)

    x = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    result = create("fab-t", norm="linf", epsilon=0.3)(steady, x, torch.zeros(20, dtype=torch.int64))
    assert not bool(result.success.any())
    assert torch.equal(result.x_adv, x)
    # one look at the clean input, then a hundred steps and a last look for each of the two other classes
    assert result.forwards.unique().tolist() == [1 + 2 * 101]
    assert result.backwards.unique().tolist() == [200]


def test_near_enough_is_enough(curved, images) -> None:
    x, y = images
    far = create("fab-t", norm="linf", epsilon=math.inf, steps=20)(curved, x, y)
    epsilon = float(far.distance.quantile(0.7))
    near = create("fab-t", norm="linf", epsilon=epsilon, steps=20)(curved, x, y)
    # an example a little too far may be one still when it is put back onto the ball
    found = far.distance <= epsilon
    assert bool((found <= near.success).all())
    assert int(near.success.sum()) <= int(found.sum()) + 2
    assert bool((near.distance[found] >= far.distance[found] * (1 - 1e-6)).all())
    assert float(near.forwards[found].mean()) < 0.3 * float(far.forwards[found].mean())
    assert near.forwards[::5].tolist() == [1.0] * 8, "what is misclassified from the start leaves at once"
    assert far.forwards[::5].tolist() == [1.0] * 8
    assert far.distance[::5].tolist() == [0.0] * 8


@pytest.mark.parametrize("norm", NORMS)
def test_a_target_has_to_pass_all_other_classes(norm, linear) -> None:
    model = linear(6, 4, 2)
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    targets = model(x).argsort(1)[:, 1]
    attack = create("fab-t", norm=norm, epsilon=math.inf, low=-BIG, high=BIG, steps=30)
    result = attack(model, x, y, targets=targets)
    assert result.success.tolist() == (model(result.x_adv).argmax(1) == targets).tolist()
    assert bool(result.success.all())
    assert float(result.backwards.max()) <= 31, "one class is aimed at"


def gaps(normal: Tensor, points: Tensor, share: Tensor) -> Tensor:
    """Changes of the linear function that are some share of what the unit box allows; negative ones downwards."""
    up = torch.where(normal * share.sign()[:, None] > 0, 1 - points, points)
    return share * (up * normal.abs()).sum(1)


def problems(count: int, inputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points of the unit box, many at its edge, normals, half with ties, and gaps of up to 0.99 of what can be."""
    generator = torch.Generator().manual_seed(inputs)
    points = (3 * torch.rand(count, inputs, generator=generator) - 1).clamp(0, 1)
    normal = torch.randn(count, inputs, generator=generator)
    normal[::2] = normal[::2].round(decimals=1)
    share = 0.99 * (2 * torch.rand(count, generator=generator) - 1)
    return points, normal, gaps(normal, points, share)


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("inputs", [1, 2, 5, 12])
def test_projections_solve_the_linear_programme(norm, inputs) -> None:
    points, normal, gap = problems(40, inputs)
    found = sizes(to_plane(points, normal, gap, norm=norm, low=0.0, high=1.0), norm)
    eye, bounds = np.eye(inputs), []
    for index in range(len(points)):
        x, w = points[index].double().numpy(), normal[index].double().numpy()
        bounds = [(-value, 1 - value) for value in x]
        if norm == "linf":  # minimise t with -t <= d <= t
            cost = np.r_[np.zeros(inputs), 1]
            above = np.block([[eye, -np.ones((inputs, 1))], [-eye, -np.ones((inputs, 1))]])
            equal, bounds = np.r_[w, 0][None], [*bounds, (0, None)]
        else:  # minimise sum(t) with -t <= d <= t
            cost = np.r_[np.zeros(inputs), np.ones(inputs)]
            above = np.block([[eye, -eye], [-eye, -eye]])
            equal, bounds = np.r_[w, np.zeros(inputs)][None], [*bounds, *[(0, None)] * inputs]
        best = linprog(cost, above, np.zeros(2 * inputs), equal, [float(gap[index])], bounds)
        assert best.success
        assert float(found[index]) == pytest.approx(best.fun, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("inputs", [1, 2, 12, 784])
def test_the_l2_projection_meets_lagranges_conditions(inputs) -> None:
    points, normal, gap = problems(60, inputs)
    moved = to_plane(points, normal, gap, norm="l2", low=0.0, high=1.0)
    after = points + moved
    free = (after > 1e-6) & (after < 1 - 1e-6) & (normal != 0)
    factor = torch.where(free, moved / normal, torch.nan).nanmedian(1, keepdim=True).values
    known = ~factor.isnan().squeeze(1)
    assert int(known.sum()) >= 20
    best = (points + factor * normal).clamp(0, 1)
    assert torch.allclose(after[known], best[known], atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("inputs", [1, 12, 784])
def test_projections_end_on_the_plane_inside_the_box(norm, inputs) -> None:
    points, normal, gap = problems(60, inputs)
    moved = to_plane(points, normal, gap, norm=norm, low=0.0, high=1.0)
    assert float((points + moved).min()) >= -1e-7
    assert float((points + moved).max()) <= 1 + 1e-7
    reached = (normal * moved).double().sum(1)
    assert torch.allclose(reached, gap.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_planes_out_of_reach_are_approached_as_far_as_the_box_goes(norm) -> None:
    points, normal, _ = problems(60, 12)
    share = torch.linspace(-3, 3, 60)
    share = share[share.abs() > 1.05]
    points, normal = points[: len(share)], normal[: len(share)]
    moved = to_plane(points, normal, gaps(normal, points, share), norm=norm, low=0.0, high=1.0)
    towards = normal * share.sign()[:, None]
    corner = torch.where(towards > 0, 1.0, torch.where(towards < 0, 0.0, points))
    assert torch.allclose(points + moved, corner, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_projections_do_not_stumble_over_zeros_and_scales(norm) -> None:
    points, normal, gap = problems(20, 12)
    box = {"norm": norm, "low": 0.0, "high": 1.0}
    moved = to_plane(points, normal, gap, **box)
    assert not bool(to_plane(points, 0 * normal, gap, **box).any())
    assert not bool(to_plane(points, normal, 0 * gap, **box).any())
    for scale in (1e-25, 1e25):
        assert torch.allclose(to_plane(points, scale * normal, scale * gap, **box), moved, atol=1e-5)
    # each entry's room and slope half those of the one before: the slowest case for Newton's steps
    halves = 0.5 ** torch.arange(60.0)
    start, steep = halves[None], halves.flip(0)[None] ** 2
    for share in (1e-4, 0.5, 0.999, 1.0):
        gap = -share * (start * steep).sum(1)
        end = to_plane(start, steep, gap, **box)
        assert float((steep * end).double().sum()) == pytest.approx(float(gap), rel=1e-5)
    open_box = {"norm": norm, "low": -math.inf, "high": math.inf}
    ties = torch.ones(1, 12)
    length = {"linf": 0.25, "l2": 3 / math.sqrt(12), "l1": 3.0}[norm]
    assert float(sizes(to_plane(ties, ties, torch.tensor([3.0]), **open_box), norm)) == pytest.approx(length, rel=1e-6)
