"""Training on the mixture of clean and FGSM losses, redone by hand and at its two ends."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attacks.attack import create
from bench.data import load_named
from bench.models.classifiers import mlp
from bench.models.maxout import maxout
from bench.randomness import forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData
from bench.training.descending import sgd
from bench.training.fgsm_adversarial import fgsm_adversarial

SHORT = {"epochs": 2, "batch_size": 20, "learning_rate": 0.2}


def silent(_: float) -> None:
    """No progress."""


def noise() -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    return TrainingData(torch.rand(60, 1, 4, 4, generator=generator), torch.arange(60) % 3)


def fresh(factory=mlp, **options) -> nn.Module:
    with forked_torch_seed(0):
        return factory(shape=(1, 4, 4), classes=3, **(options or {"hidden": [8]}))


def trained(recipe, name: str, model: nn.Module | None = None, **given) -> nn.Module:
    model = fresh() if model is None else model
    recipe(model, noise(), seed=0, report=silent, **RECIPES[name].options(**given).model_dump())
    return model


def assert_same(first: nn.Module, second: nn.Module) -> None:
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_with_the_whole_weight_on_clean_images_it_is_plain_descent() -> None:
    mixed = trained(fgsm_adversarial, "fgsm-adversarial", alpha=1.0, momentum=0.9, nesterov=True, **SHORT)
    assert_same(mixed, trained(sgd, "sgd", momentum=0.9, nesterov=True, **SHORT))


def test_a_step_of_no_length_is_plain_descent() -> None:
    mixed = trained(fgsm_adversarial, "fgsm-adversarial", alpha=0.3, epsilon=1e-12, **SHORT)
    assert_same(mixed, trained(sgd, "sgd", **SHORT))


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.25])
def test_one_step_by_hand(alpha: float, clip: bool) -> None:
    """One batch of everything. The gradient of the loss does not include what the examples owe to the weights."""
    data, reference = noise(), fresh()
    x, y = data.x.clone().requires_grad_(), data.labels()
    (slope,) = torch.autograd.grad(F.cross_entropy(reference(x), y), x)
    moved = (x + 0.5 * slope.sign()).detach()
    moved = moved.clamp(0, 1) if clip else moved
    loss = alpha * F.cross_entropy(reference(data.x), y) + (1 - alpha) * F.cross_entropy(reference(moved), y)
    loss.backward()
    given = {"epochs": 1, "batch_size": 60, "learning_rate": 0.2}
    model = trained(fgsm_adversarial, "fgsm-adversarial", alpha=alpha, clip=clip, epsilon=0.5, **given)
    for new, old in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.2 * old.grad)


def test_examples_are_made_against_the_network_without_dropout() -> None:
    """With dropout in the way many pixels would have no gradient, and stay where they are."""
    seen: list[Tensor] = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = fresh(maxout, hidden=[8], pieces=2, input_dropout=0.5, dropout=0.5)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                seen.append(x.detach())
            return self.net(x)

    trained(fgsm_adversarial, "fgsm-adversarial", Watched(), epsilon=0.5, epochs=1, batch_size=60)
    clean, moved = seen[-1].chunk(2)
    torch.testing.assert_close((moved - clean).abs(), torch.full_like(clean, 0.5))


def test_it_buys_robustness_to_fgsm() -> None:
    samples = load_named("mnist", split="train", take=3000)
    digits = TrainingData(torch.from_numpy(samples.inputs()), torch.from_numpy(samples.y))

    def robust(recipe, name: str) -> float:
        with forked_torch_seed(0):
            model = mlp(shape=(1, 28, 28), classes=10, hidden=[64])
        given = {"epochs": 8, "batch_size": 25, "momentum": 0.5}
        log = recipe(model, digits, seed=0, report=silent, **RECIPES[name].options(**given).model_dump())
        assert log.figures["accuracy"][-1] > 0.85
        x, y = digits.x[:500], digits.labels()[:500]
        attack = create("fgsm", norm="linf", epsilon=0.25)
        return 1 - float(attack(model.requires_grad_(False), x, y).success.double().mean())

    assert robust(sgd, "sgd") < 0.1
    assert robust(fgsm_adversarial, "fgsm-adversarial") > 0.5
