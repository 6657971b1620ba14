"""DeepFool against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.attacks.attack import create

BIG = 1e6


def nearest_boundary(model, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """Distance of a linear model's nearest boundary: the margin over the dual norm of the weights' difference."""
    logits, weight = model(x).double(), model.weight.double()
    between = weight[None] - weight[y][:, None]
    dual = between.abs().sum(2) if norm == "linf" else between.norm(dim=2)
    distance = (logits.gather(1, y[:, None]) - logits) / dual
    return distance.scatter(1, y[:, None], math.inf).amin(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("inputs", [2, 10, 100, 784])
def test_linear_models_are_solved_in_one_step(inputs, classes, norm, linear) -> None:
    model = linear(inputs, classes, inputs)
    x = torch.randn(40, inputs, generator=torch.Generator().manual_seed(classes))
    y = model(x).argmax(1)
    result = create("deepfool", norm=norm, epsilon=math.inf, low=-BIG, high=BIG)(model, x, y)
    ratio = result.distance / nearest_boundary(model, x, y, norm)
    assert bool(result.success.all())
    assert float(ratio.min()) > 1 - 1e-4
    assert float(ratio.max()) < 1.002
    # clean input, one step with a look, ten halvings; a backward pass for each other class
    assert result.forwards.unique().tolist() == [13]
    assert result.backwards.unique().tolist() == [classes - 1]


def test_within_epsilon_nothing_is_searched(linear) -> None:
    model = linear(20, 10, 0)
    x = torch.randn(40, 20, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    distance = nearest_boundary(model, x, y, "l2")
    epsilon = float(distance.median())
    result = create("deepfool", norm="l2", epsilon=epsilon, low=-BIG, high=BIG)(model, x, y)
    clear = (distance - epsilon).abs() > 0.03 * epsilon
    assert result.success[clear].tolist() == (distance < epsilon)[clear].tolist()
    assert result.forwards[clear].tolist() == torch.where(distance < epsilon, 3.0, 13.0)[clear].tolist()
    ratio = (result.distance / distance)[result.success & clear]
    assert torch.allclose(ratio, torch.full_like(ratio, 1.02), rtol=1e-4), "lengthened by a fiftieth"


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, math.inf), (-math.inf, 1.0), (-math.inf, math.inf)])
@pytest.mark.parametrize("classes", [2, 10])
def test_boxes_bind_or_do_not(norm, low, high, classes, linear) -> None:
    model = linear(10, classes, 1)
    x = torch.rand(60, 10, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    y = model(x).argmax(1)
    result = create("deepfool", norm=norm, epsilon=math.inf, low=low, high=high)(model, x, y)
    # the corner of the box that favours the other class most tells whether two classes can be swapped at all
    if classes == 2:
        other = model.weight[1 - y] - model.weight[y]
        top, bottom = min(high, 1e9), max(low, -1e9)
        corner = torch.where(other > 0, top, bottom)
        assert result.success.tolist() == (model(corner).argmax(1) != y).tolist()
    assert int(result.success.sum()) >= 40
    assert float(result.x_adv.min()) >= low
    assert float(result.x_adv.max()) <= high
    ratio = (result.distance / nearest_boundary(model, x, y, norm))[result.success]
    assert float(ratio.min()) > 1 - 1e-4
    assert float(ratio.median()) < 1.5


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_target_has_to_pass_all_other_classes(norm, linear) -> None:
    model = linear(6, 4, 2)
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    targets = model(x).argsort(1)[:, 1]
    result = create("deepfool", norm=norm, epsilon=math.inf, low=-BIG, high=BIG)(model, x, y, targets=targets)
    assert result.success.tolist() == (model(result.x_adv).argmax(1) == targets).tolist()
    assert int(result.success.sum()) >= 55
    untargeted = create("deepfool", norm=norm, epsilon=math.inf, low=-BIG, high=BIG)(model, x, y)
    assert bool((result.distance >= untargeted.distance)[result.success].all())


def test_ties_and_flat_places() -> None:
    """A tie is no success yet and costs next to no distance; a model without slope is left after one step."""

    def model(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0], x[:, 1], x[:, 1] - 1], 1)

    x = torch.tensor([[0.5, 0.5], [0.6, 0.4]])
    result = create("deepfool", norm="l2", epsilon=math.inf)(model, x, torch.tensor([0, 0]))
    assert bool(result.success.all())
    assert float(result.distance[0]) < 1e-3
    assert float(result.distance[1]) == pytest.approx(0.1 * math.sqrt(2), rel=2e-3)
    flat = create("deepfool", norm="l2", epsilon=math.inf)(
        lambda x: torch.tensor([2.0, 1.0, 0.0]) + 0 * x[:, :1], x, torch.tensor([0, 0])
    )
    assert not bool(flat.success.any())
    assert flat.forwards.tolist() == [3, 3]
    assert flat.backwards.tolist() == [2, 2]


def test_candidates_and_steps_bound_the_cost(curved, images) -> None:
    x, y = images
    few = create("deepfool", norm="l2", epsilon=math.inf, candidates=3)(curved, x, y)
    all_of_them = create("deepfool", norm="l2", epsilon=math.inf)(curved, x, y)
    assert few.forwards[::5].tolist() == [1.0] * 8, "what is misclassified from the start leaves at once"
    assert bool((few.backwards % 2 == 0).all())
    assert bool((all_of_them.backwards % 7 == 0).all())
    assert float(all_of_them.distance.median()) <= float(few.distance.median()) * 1.01
    one = create("deepfool", norm="l2", epsilon=math.inf, steps=1)(curved, x, y)
    assert float(one.backwards.max()) == 7
    assert 8 < int(one.success.sum()) < 40
    assert bool(all_of_them.success.all())
    # a linear sample ends within a thousandth of its boundary, whatever the overshoot
    long = create("deepfool", norm="l2", epsilon=math.inf, overshoot=0.5)(curved, x, y)
    assert torch.allclose(long.distance, all_of_them.distance, rtol=0.25)
