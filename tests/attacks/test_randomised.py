"""Models that are random, and models with stages a gradient does not pass."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.attacks.attack import create
from bench.attacks.counting import CountedModel
from bench.attacks.gradients import class_gradients, input_gradient
from bench.defenses.stage import Stage, substituting


class Shaky(nn.Module):
    """Logits (a x, 0) whose slope is drawn anew at each pass, its mean 1 and deviation 8: single gradients mislead."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        slope = 1 + 8 * torch.randn((), generator=self.generator)
        own = slope * x.flatten(1).sum(1)
        return torch.stack([own, torch.zeros_like(own)], 1)


def test_the_gradient_is_the_mean_over_passes() -> None:
    x = torch.zeros(3, 2)
    counted = CountedModel(Shaky(), 3, averaged=400)
    gradient, output = input_gradient(counted, x, lambda logits: logits[:, 0])
    slopes = 1 + 8 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    # drawn one after another, as the model draws them
    one_by_one = torch.Generator().manual_seed(0)
    expected = sum(1 + 8 * torch.randn((), generator=one_by_one) for _ in range(400)) / 400
    assert torch.allclose(gradient, expected.expand(3, 2), rtol=1e-4)
    assert abs(float(slopes.mean()) - 1) < 1.5
    assert output.shape == (3, 2)
    assert counted.forwards.tolist() == counted.backwards.tolist() == [400.0] * 3


def test_the_objective_is_averaged_not_the_logits() -> None:
    """A loss curved in the logits tells the two apart: E (s x)^2 has slope 2 x E s^2, (E s x)^2 has 2 x (E s)^2."""
    flips = iter([1.0, -1.0] * 2)

    def model(x: Tensor) -> Tensor:
        return torch.cat([next(flips) * x, torch.zeros_like(x)], 1)

    gradient, _ = input_gradient(CountedModel(model, 1, averaged=2), torch.tensor([[3.0]]), lambda out: out[:, 0] ** 2)
    assert float(gradient) == pytest.approx(6.0)
    averaged, _ = class_gradients(CountedModel(model, 1, averaged=2), torch.tensor([[3.0]]), lambda out: out**2)
    assert float(averaged[0]) == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["fgsm", "bim", "mi-fgsm", "pgd"])
def test_averaging_finds_what_a_single_pass_misses(name) -> None:
    """Lowering x is right on average; the sign of a single draw's slope is wrong almost every other time.

    At a high temperature the cross-entropy is a line, so that the mean gradient is that of the mean slope.
    """
    x, y = torch.full((1, 1), 0.5), torch.zeros(1, dtype=torch.int64)
    options = {} if name == "fgsm" else {"steps": 1, "keep_going": True}
    if name == "pgd":
        options |= {"start": "clean", "step_size": 0.1}
    right = {1: 0, 200: 0}
    for passes in right:
        for seed in range(40):
            model = Shaky().eval()
            model.generator.manual_seed(seed)
            directions: list[float] = []

            def seen(batch: Tensor, model: Shaky = model, directions: list[float] = directions) -> Tensor:
                directions.append(float(batch.detach()[0, 0]))
                return model(batch)

            create(name, norm="linf", epsilon=0.1, eot=passes, temperature=1e4, **options)(seen, x, y)
            right[passes] += min(directions) < 0.45
    assert right[200] >= 34
    assert right[1] <= 32


def quantised(substitute: Stage | None = None) -> nn.Module:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stage = substitute or Stage(lambda x: (x * 7).round() / 7)

        def forward(self, x: Tensor) -> Tensor:
            seen = self.stage(x).flatten(1).sum(1)
            return torch.stack([seen - 1.5, 1.5 - seen], 1)

    return Model().eval()


@pytest.mark.parametrize(
    "name", ["fgsm", "bim", "mi-fgsm", "pgd", "apgd-ce", "fab-t", "deepfool", "ddn", "fmn", "cw-l2"]
)
def test_bpda_attacks_what_rounding_hides(name) -> None:
    """Rounding has no gradient, so gradient attacks stand still; stepping over it they see the sum of the pixels."""
    norm = "l2" if name in ("ddn", "cw-l2") else "linf"
    epsilon = 0.3 if norm == "linf" else 0.6
    x, y = torch.full((4, 4), 0.5), torch.zeros(4, dtype=torch.int64)
    options = {"start": "clean"} if name == "pgd" else {}
    stuck = create(name, norm=norm, epsilon=epsilon, **options)(quantised(), x, y)
    through = create(name, norm=norm, epsilon=epsilon, bpda=True, **options)(quantised(), x, y)
    assert bool(through.success.all())
    if name not in ("apgd-ce", "ddn"):  # these two move at random, and may cross a step of the quantiser by it
        assert not bool(stuck.success.any())


def test_a_substitute_gives_its_gradient_and_the_stage_its_value() -> None:
    stage = Stage(torch.round, substitute=lambda x: 3 * x)
    x = torch.tensor([0.2, 0.9], requires_grad=True)
    with substituting(True):
        value = stage(x)
        assert value.tolist() == [0.0, 1.0]
        assert torch.autograd.grad(value.sum(), x)[0].tolist() == [3.0, 3.0]
    assert torch.equal(stage(x), torch.round(x))


def test_temperature_brings_back_a_gradient_that_underflows() -> None:
    """Logits a thousand apart: the softmax is exact to the last bit and its cross-entropy has no gradient."""
    weight = torch.tensor([[1.0], [-1.0]]) * 1e4

    def model(x: Tensor) -> Tensor:
        return (x - 0.45) @ weight.T

    x, y = torch.full((4, 1), 0.5), torch.zeros(4, dtype=torch.int64)
    for options in ({"temperature": 1e4}, {"loss": "margin"}, {"loss": "dlr"}):
        assert bool(create("fgsm", norm="linf", epsilon=0.1, **options)(model, x, y).success.all())
    assert not bool(create("fgsm", norm="linf", epsilon=0.1)(model, x, y).success.any())
    assert math.isfinite(float(create("fgsm", norm="linf", epsilon=0.1)(model, x, y).distance.max()))
