"""What is special to Carlini and Wagner's attack; closed forms are in `test_ddn`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import AttackResult, create
from bench.attacks.carlini_wagner import _Adam, _enter, _leave
from bench.attacks.goal import Goal
from bench.attacks.threat import Threat

FEW: dict[str, Any] = {"steps": 150, "searches": 5, "weight": 0.1}


def attack(model: Any, x: Tensor, y: Tensor, **options: Any) -> AttackResult:
    return create("cw-l2", norm="l2", epsilon=math.inf, **{**FEW, **options})(model, x, y)


@pytest.mark.parametrize("confidence", [0.5, 2.0])
def test_confident_examples_have_the_margin_and_cost_distance(confidence, curved, images) -> None:
    x, y = images
    low, high = -1e6, 1e6
    options = {"norm": "l2", "epsilon": math.inf, "low": low, "high": high, **FEW, "learning_rate": 0.05}
    plain = create("cw-l2", **options)(curved, x, y)
    sure = create("cw-l2", **options, confidence=confidence)(curved, x, y)
    found = sure.distance > 0
    assert int(found.sum()) >= 20
    assert float(Goal(y).margin(curved(sure.x_adv))[found].min()) > confidence
    assert float(sure.distance[found].median()) > float(plain.distance[found].median())


def test_ending_searches_early_costs_hardly_any_distance(curved, images) -> None:
    x, y = images
    whole, early = (attack(curved, x, y, abort_early=abort, searches=3) for abort in (False, True))
    assert float(early.forwards.sum()) < 0.9 * float(whole.forwards.sum())
    assert float(early.distance.median()) <= 1.01 * float(whole.distance.median())


def test_more_searches_find_nearer_examples(curved, images) -> None:
    x, y = images
    few, many = (attack(curved, x, y, searches=searches, weight=10.0) for searches in (1, 8))
    # both are drawn in along lines of their own, which may favour the first by a hair
    assert bool((many.distance <= 1.003 * few.distance).all())
    assert float(many.distance.mean()) < 0.95 * float(few.distance.mean())


def test_the_weight_grows_until_there_is_an_example(curved, images) -> None:
    """Of a weight of a millionth nothing comes; the ninth is a hundred."""
    x, y = images
    x, y = x[1:5], y[1:5]

    def bent(z: Tensor) -> Tensor:
        return (curved(z) * 5).sinh()  # so that the first look misses

    few, many = (attack(bent, x, y, searches=searches, weight=1e-6, learning_rate=0.05) for searches in (1, 9))
    assert int(few.success.sum()) == 0
    assert int(many.success.sum()) == 4


@pytest.mark.parametrize("box", [(0.0, 1.0), (-3.0, 5.0), (0.0, 255.0), (-math.inf, 1.0), (-1e6, 1e6)])
def test_the_variable_reaches_every_input_and_never_leaves_the_box(box) -> None:
    threat = Threat("l2", math.inf, *box)
    low, high = max(box[0], -5.0), min(box[1], 300.0)
    x = torch.linspace(low, high, 101).reshape(1, -1)
    variable = _enter(x, threat)
    assert bool(variable.isfinite().all())
    point, _ = _leave(variable, threat)
    assert float((point - x).abs().max()) <= 1e-4 * (high - low)
    point, slope = _leave(variable + 1e4 * torch.randn(1, 101), threat)
    assert box[0] <= float(point.min()) <= float(point.max()) <= box[1]
    assert torch.as_tensor(slope).isfinite().all()


def test_the_variable_has_the_derivative_it_says() -> None:
    threat = Threat("l2", math.inf, -2.0, 3.0)
    variable = _enter(torch.tensor([[-1.9, 0.0, 0.5, 2.5]], dtype=torch.float64), threat)
    _, slope = _leave(variable, threat)
    numeric = (_leave(variable + 1e-6, threat)[0] - _leave(variable - 1e-6, threat)[0]) / 2e-6
    assert torch.as_tensor(slope).tolist()[0] == pytest.approx(numeric.tolist()[0], rel=1e-6)


def test_steps_are_those_of_torch_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, generator=generator)
    theirs = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.03)
    ours = _Adam.at(start.clone())
    for count in range(1, 30):
        gradient = torch.randn(3, 4, generator=generator)
        theirs.grad = gradient
        optimiser.step()
        ours.step(gradient, 0.03, count)
    assert ours.variable.flatten().tolist() == pytest.approx(theirs.detach().flatten().tolist(), rel=1e-5, abs=1e-6)


def test_images_at_the_ends_of_the_box_move(linear) -> None:
    """The tanh is flat there, and its inverse infinite."""
    model = linear(32, 2, 0)
    x = torch.rand(10, 32, generator=torch.Generator().manual_seed(0)).round()
    y = model(x).argmax(1)
    result = attack(model, x, y, steps=600, searches=3, weight=1.0)
    assert bool(result.success.all())
    assert bool(result.x_adv.isfinite().all())
