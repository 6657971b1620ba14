"""Closed forms for the searches for the nearest example, and what is special to DDN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create
from bench.attacks.goal import Goal
from bench.attacks.nearest import direction, first_look
from bench.attacks.threat import Threat

BIG = 1e6  # a box so wide that it never binds
DUAL = {"linf": 1, "l2": 2, "l1": math.inf}
CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("ddn", "l2", {"steps": 200}),
    ("fmn", "linf", {"steps": 200}),
    ("fmn", "l2", {"steps": 200}),
    ("fmn", "l1", {"steps": 200}),
    ("cw-l2", "l2", {"steps": 200, "weight": 0.1, "searches": 6}),
]
every_search = pytest.mark.parametrize(
    ("name", "norm", "options"), CASES, ids=[f"{name}-{norm}" for name, norm, _ in CASES]
)


def distances(name: str, norm: Any, options: dict[str, Any], model: Any, x: Tensor, y: Tensor, **more: Any) -> Tensor:
    """How far the examples are, shape (n,); infinite where there is none."""
    result = create(name, norm=norm, epsilon=more.pop("epsilon", math.inf), **options, **more)(model, x, y)
    return torch.where(result.success, result.distance, torch.inf)


def nearest_plane(model: Any, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Distance to the nearest decision boundary of a linear model, shape (n,): |margin| over the dual norm."""
    logits = model(x)
    gaps = logits.gather(1, y[:, None]) - logits
    normals = model.weight[None] - model.weight[y][:, None]
    away = gaps / torch.linalg.vector_norm(normals, ord=DUAL[norm], dim=2)
    return away.scatter(1, y[:, None], torch.inf).amin(1)


@every_search
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("inputs", [2, 10, 100, 784])
def test_examples_of_linear_models_are_the_nearest(name, norm, options, inputs, classes, linear) -> None:
    model = linear(inputs, classes, 0)
    x = torch.randn(25, inputs, generator=torch.Generator().manual_seed(50))
    y = model(x).argmax(1)
    ratio = distances(name, norm, options, model, x, y, low=-BIG, high=BIG) / nearest_plane(model, x, y, norm)
    assert float(ratio.min()) > 1 - 1e-3
    assert float(ratio.median()) <= 1.05
    assert float(ratio.max()) <= 1.25


def ball_model(centre: Tensor) -> Callable[[Tensor], Tensor]:
    """Class 0 inside the unit sphere around `centre`, class 1 outside; the boundary is nowhere near linear."""
    return lambda x: torch.stack([torch.ones(len(x)), (x - centre).square().sum(1)], 1)


def nearest_outside(offset: Tensor, norm: str) -> Tensor:
    """How far points at `offset` from the centre of the unit ball are from its surface, shape (n,)."""
    squared = offset.square().sum(1)
    if norm == "l2":
        return 1 - squared.sqrt()
    # a ball that grows around a point inside a sphere touches it with a corner first: all entries move away from
    # the centre by the same amount (linf), or the largest alone moves (l1)
    count, moved = (offset.shape[1], offset.abs().sum(1)) if norm == "linf" else (1, offset.abs().amax(1))
    return ((moved**2 + count * (1 - squared)).sqrt() - moved) / count


@every_search
def test_examples_beyond_a_sphere_are_the_nearest(name, norm, options) -> None:
    generator = torch.Generator().manual_seed(4)
    centre = torch.rand(16, generator=generator)
    offset = torch.randn(40, 16, generator=generator)
    offset *= (0.3 + 0.6 * torch.rand(40, 1, generator=generator)) / offset.norm(dim=1, keepdim=True)
    x, y = centre + offset, torch.zeros(40, dtype=torch.int64)
    wide = {"low": -math.inf, "high": math.inf}
    ratio = distances(name, norm, options, ball_model(centre), x, y, **wide) / nearest_outside(offset, norm)
    assert float(ratio.min()) > 1 - 1e-3
    assert float(ratio.median()) <= 1.05
    assert float(ratio.max()) <= 1.25
    # the first look alone goes much too far where the boundary is curved, so that the search has to do the work
    look = first_look(ball_model(centre), x, Goal(y), Threat(norm, math.inf, -math.inf, math.inf))
    assert float((look.distance / nearest_outside(offset, norm)).median()) > 1.1


def nearest_in_the_box(x: Tensor, margin: Tensor, normal: Tensor, norm: str) -> Tensor:
    """Least norm of a move inside [0, 1] that changes a linear margin by `margin`, shape (n,), by bisection."""
    room = torch.where(normal > 0, 1 - x, x)
    if norm == "l1":  # the steepest entries first, each as far as there is room
        order = normal.abs().argsort(descending=True)
        gain = (room * normal.abs())[:, order].cumsum(1)
        before = torch.cat([torch.zeros(len(x), 1), gain[:, :-1]], 1)
        used = ((margin[:, None] - before) / normal.abs()[order]).clamp_min(0)
        return torch.minimum(used, room[:, order]).sum(1)
    shape = torch.ones_like(normal) if norm == "linf" else normal.abs()
    low, high = torch.zeros(len(x), 1), torch.full((len(x), 1), 1e3)
    for _ in range(60):
        middle = (low + high) / 2
        enough = (torch.minimum(middle * shape, room) * normal.abs()).sum(1, keepdim=True) >= margin[:, None]
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    move = torch.minimum(high * shape, room)
    return move.amax(1) if norm == "linf" else move.norm(dim=1)


@every_search
def test_examples_in_a_box_that_binds_are_the_nearest(name, norm, options, linear) -> None:
    """Most entries lie at the ends of the box and half of them cannot follow the gradient."""
    model = linear(64, 2, 1)
    x = torch.rand(40, 64, generator=torch.Generator().manual_seed(3)).mul(3).sub(1).clamp(0, 1)
    logits = model(x)
    y, normal = logits.argmax(1), model.weight[1] - model.weight[0]
    margin = (logits[:, 0] - logits[:, 1]).abs()
    best = torch.empty(40)
    for label, sign in ((0, 1), (1, -1)):
        rows = y == label
        best[rows] = nearest_in_the_box(x[rows], margin[rows], sign * normal, norm)
    if name == "cw-l2":  # the tanh is flat at the ends of the box, and what begins there is slow to leave
        options = {**options, "steps": 600}
    result = create(name, norm=norm, epsilon=math.inf, **options)(model, x, y)
    assert bool(result.success.all())
    assert 0 <= float(result.x_adv.min()) < float(result.x_adv.max()) <= 1
    ratio = result.distance / best
    assert float(ratio.min()) > 1 - 1e-3
    assert float(ratio.median()) <= 1.05
    assert float(ratio.max()) <= 1.25


@every_search
@pytest.mark.parametrize(("low", "high"), [(0.0, math.inf), (-math.inf, 1.0)])
def test_a_box_may_be_infinite_on_either_side(name, norm, options, low, high, curved, images) -> None:
    x, y = images
    boxed = distances(name, norm, options, curved, x, y)
    result = create(name, norm=norm, epsilon=math.inf, low=low, high=high, **options)(curved, x, y)
    assert bool(result.success.all())
    assert low <= float(result.x_adv.min()) < float(result.x_adv.max()) <= high
    # the wider box holds all examples of the narrower one
    assert float(result.distance.mean()) <= 1.02 * float(boxed.mean())


@every_search
def test_data_in_other_units_fare_alike(name, norm, options, curved, images) -> None:
    """Images in [-128, 128], not [0, 1]: a power of two, so that not even the rounding is another."""
    x, y = images
    plain = distances(name, norm, options, curved, x, y)
    scaled = distances(name, norm, options, lambda z: curved(z / 256 + 0.5), (x - 0.5) * 256, y, low=-128.0, high=128.0)
    assert scaled / 256 == pytest.approx(plain, rel=0.01)


@every_search
def test_targets_are_reached(name, norm, options, curved, images) -> None:
    x, y = images
    targets = (y + 3) % 8
    result = create(name, norm=norm, epsilon=math.inf, low=-BIG, high=BIG, **options)(curved, x, y, targets=targets)
    free = create(name, norm=norm, epsilon=math.inf, low=-BIG, high=BIG, **options)(curved, x, y)
    assert int(result.success.sum()) >= 38
    assert curved(result.x_adv[result.success]).argmax(1).tolist() == targets[result.success].tolist()
    assert float(result.distance[result.success].median()) > float(free.distance.median())


@every_search
def test_samples_leave_when_an_example_lies_within_the_radius(name, norm, options, curved, images) -> None:
    x, y = images
    nearest = distances(name, norm, options, curved, x, y)
    radius = float(nearest.median())
    result = create(name, norm=norm, epsilon=radius, **options)(curved, x, y)
    # an example just outside may still be one when it is pulled into the ball
    clear = (nearest - radius).abs() > 0.01 * radius
    assert int(clear.sum()) >= 35
    assert result.success[clear].tolist() == (nearest <= radius)[clear].tolist()
    assert float(result.distance[result.success].max()) <= radius * (1 + 1e-6)
    assert float(result.forwards[result.success].mean()) < 0.5 * float(result.forwards[~result.success].mean())


@every_search
def test_misclassified_samples_stay_where_they_are(name, norm, options, curved, images) -> None:
    x, y = images
    result = create(name, norm=norm, epsilon=math.inf, **options)(curved, x, y)
    assert torch.equal(result.x_adv[::5], x[::5])
    # the first look costs two passes forward and one backward for each other class
    assert result.forwards[::5].tolist() == [2] * 8
    assert result.backwards[::5].tolist() == [7] * 8


@every_search
def test_where_nothing_is_found_the_image_is_returned(name, norm, options) -> None:
    x = torch.rand(5, 8, generator=torch.Generator().manual_seed(0))
    result = create(name, norm=norm, epsilon=math.inf, **options)(
        lambda z: torch.stack([z.sum(1) * 0 + 9, z.sum(1)], 1), x, torch.zeros(5, dtype=torch.int64)
    )
    assert torch.equal(result.x_adv, x)
    assert not result.success.any()


def test_the_first_look_sees_the_nearest_boundary_not_the_likeliest_class() -> None:
    weights = torch.tensor([[1.0, 0.0], [0.9, 0.0], [0.0, 9.0]])
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    look = first_look(lambda z: z @ weights.T, x, Goal(y), Threat("l2", math.inf, -9.0, 9.0))
    # class 1 is a tenth of a logit away along a slope of 0.1, class 2 a whole logit along one of 82 ** 0.5
    assert look.distance.tolist() == pytest.approx([1.02 / 82**0.5])
    assert (look.points @ weights.T).argmax(1).tolist() == [2]


def test_ddn_finds_its_way_off_a_plateau() -> None:
    """There is no gradient within 0.5 of the inputs, only beyond."""

    def plateau(x: Tensor) -> Tensor:
        return torch.stack([torch.full((len(x),), 0.25), (x.norm(dim=1) - 0.5).relu()], 1)

    found = distances("ddn", "l2", {"steps": 200}, plateau, torch.zeros(3, 8), torch.zeros(3).long(), low=-1.0)
    assert found.tolist() == pytest.approx([0.75] * 3, rel=0.01)


@pytest.mark.parametrize("targeted", [False, True])
def test_ddn_is_not_masked_by_a_model_that_is_sure(targeted, curved, images) -> None:
    """Logits a thousand times as large: the cross-entropy's gradient is 0 in float32, its direction is there."""
    x, y = images
    targets = (y + 3) % 8 if targeted else None

    def sure(z: Tensor) -> Tensor:
        return 1000 * curved(z)

    threat = {"norm": "l2", "epsilon": math.inf, "low": -BIG, "high": BIG}
    found = create("ddn", **threat, steps=100)(sure, x, y, targets=targets)
    plain = create("fmn", **threat, steps=100)(curved, x, y, targets=targets)
    assert bool(found.success.all())
    assert float(found.distance.median()) <= 1.05 * float(plain.distance.median())


def test_directions_survive_gradients_whose_squares_underflow() -> None:
    tiny = torch.tensor([[3e-38, -4e-38], [3e30, 4e30], [0.0, 0.0]])
    assert direction(tiny).flatten().tolist() == pytest.approx([0.6, -0.8, 0.6, 0.8, 0.0, 0.0], rel=1e-5)
