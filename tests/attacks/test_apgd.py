"""Auto-PGD and its losses."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from bench.attacks import losses
from bench.attacks.apgd import aims
from bench.attacks.attack import create
from bench.attacks.auto_pgd import checkpoints
from bench.attacks.goal import Goal


def test_the_checkpoints_are_the_papers() -> None:
    """Croce and Hein 2020, section 3: p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06)."""
    shares = [0.0, 0.22]
    while shares[-1] <= 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    for steps in (100, 1000):
        assert checkpoints(steps) == [round(share * steps) for share in shares[1:-1]]
    assert checkpoints(1) == [1]


def test_the_ratio_of_differences_does_not_change_with_scale_or_shift() -> None:
    logits, labels = torch.randn(50, 10, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 10
    targets = (labels + 3) % 10
    for other in (logits * 1e3, logits * 1e-3, logits + 7):
        assert torch.allclose(losses.dlr(other, labels), losses.dlr(logits, labels), atol=1e-3)
        first, second = losses.dlr_targeted(other, labels, targets), losses.dlr_targeted(logits, labels, targets)
        assert torch.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_losses_are_above_zero_exactly_where_the_answer_is_wrong(classes) -> None:
    logits = torch.randn(200, classes, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(200) % classes
    wrong = logits.argmax(1) != labels
    assert torch.equal(losses.dlr(logits, labels) > 0, wrong)
    assert torch.equal(Goal(labels, objective="margin").loss(logits) > 0, wrong)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_losses_have_a_gradient_for_few_classes(classes) -> None:
    """With three classes and the last as the target, the published ratio is -1 whatever the logits are."""
    for order in itertools.permutations(range(classes)):
        logits = torch.tensor([[float(place) for place in order]], requires_grad=True)
        label = logits.argmax(1)
        for target in ((label + 1) % classes, (label - 1) % classes):
            for loss in (losses.dlr(logits, label), losses.dlr_targeted(logits, label, target)):
                (gradient,) = torch.autograd.grad(loss.sum(), logits)
                assert float(gradient.abs().max()) > 1e-3


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "autoattack"])
def test_fewer_than_ten_classes(name, classes, linear) -> None:
    """On a linear model the smallest distance to any other class decides, and every one of these finds it."""
    model = linear(8, classes, 2)
    x = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    logits = model(x)
    y = logits.argmax(1)
    gaps = logits.gather(1, y[:, None]) - logits
    duals = (model.weight[y][:, None] - model.weight[None]).abs().sum(2)
    distance = (gaps / duals.clamp_min(1e-12)).scatter(1, y[:, None], torch.inf).amin(1)
    epsilon = float(distance.median())
    result = create(name, norm="linf", epsilon=epsilon, low=-1e6, high=1e6)(model, x, y)
    found = result.success[(distance < 0.97 * epsilon)]
    # one loss over all classes may be drawn to the wrong one; the targeted attacks try each
    assert float(found.float().mean()) >= (0.9 if name in ("apgd-ce", "apgd-dlr") else 1.0)
    assert not bool(result.success[distance > 1.001 * epsilon].any())


def test_the_classes_aimed_at_are_the_likeliest_others() -> None:
    def model(x: Tensor) -> Tensor:
        return torch.tensor([[5.0, 1.0, 9.0, 3.0]]).expand(len(x), 4)

    goal = Goal(torch.tensor([2, 0]))
    chosen = aims(model, torch.zeros(2, 1), goal, 2)
    assert [each.tolist() for each in chosen] == [[0, 2], [3, 3]]
    assert len(aims(model, torch.zeros(2, 1), goal, 9)) == 3
    assert [each.tolist() for each in aims(model, torch.zeros(2, 1), Goal(goal.labels, torch.tensor([3, 3])), 9)] == [
        [3, 3]
    ]


def test_it_finds_a_narrow_valley_that_fixed_steps_jump_over() -> None:
    """The loss is a tent whose sides push to a ridge of width .004; steps of two radii overshoot, halved ones land."""

    def model(x: Tensor) -> Tensor:
        height = 0.002 - (x[:, 0] - 0.5432).abs()
        return torch.stack([torch.zeros(len(x)), height], 1) * 100

    x, y = torch.full((20, 1), 0.4), torch.zeros(20, dtype=torch.int64)
    assert bool(create("apgd-ce", norm="linf", epsilon=0.3)(model, x, y).success.all())
    coarse = create("pgd", norm="linf", epsilon=0.3, steps=100, step_size=0.1)(model, x, y)
    assert int(coarse.success.sum()) < 20


def test_the_random_version_averages_twenty_passes(linear) -> None:
    model = linear(8, 4, 0)
    x = torch.rand(6, 8, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(1)
    result = create("autoattack", norm="linf", epsilon=1e-6, version="rand")(model, x, y)
    assert not bool(result.success.any())
    # two attacks of a hundred steps, each of twenty passes forwards and backwards
    assert result.backwards.tolist() == [2 * 100 * 20.0] * 6
    five = create("autoattack", norm="linf", epsilon=1e-6, version="rand", eot=5)(model, x, y)
    assert five.backwards.tolist() == [2 * 100 * 5.0] * 6
