"""Defensive distillation: labels that are probabilities, and a student that follows them."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import load_named
from bench.models.classifiers import mlp
from bench.models.maxout import maxout
from bench.randomness import derive_seed, forked_torch_seed
from bench.training.catalogue import RECIPES
from bench.training.common import TrainingData, TrainingLog
from bench.training.descending import Descent, descend, sgd
from bench.training.distilling import distillation, soft_labels, soft_loss


def silent(_: float) -> None:
    """No progress."""


def noise() -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    return TrainingData(torch.rand(60, 1, 4, 4, generator=generator), torch.arange(60) % 3)


def fresh() -> nn.Module:
    with forked_torch_seed(0):
        return mlp(shape=(1, 4, 4), classes=3, hidden=[8])


def options(name: str = "distillation", **given) -> dict[str, object]:
    return RECIPES[name].options(**given).model_dump()


def test_soft_labels_are_probabilities_that_a_temperature_evens_out() -> None:
    logits = torch.randn(2500, 10, generator=torch.Generator().manual_seed(0)) * 50
    cold, warm, hot = (soft_labels(nn.Identity(), logits, temperature) for temperature in (1e-3, 100.0, 1e6))
    for labels in (cold, warm, hot):
        torch.testing.assert_close(labels.sum(1), torch.ones(2500))
    torch.testing.assert_close(cold, F.one_hot(logits.argmax(1), 10).float())
    torch.testing.assert_close(hot, torch.full((2500, 10), 0.1), rtol=0, atol=1e-3)
    torch.testing.assert_close(warm.log() * 100 - logits, (warm.log() * 100 - logits)[:, :1].expand(-1, 10))


def test_the_soft_loss_is_least_at_the_teachers_answers() -> None:
    data = noise()
    teacher = fresh()
    answers, rows = soft_labels(teacher, data.x, 5.0), torch.arange(60)
    judged = soft_loss(teacher, data, answers, 5.0)(rows)
    entropy = -(answers * answers.log()).sum(1).mean()
    torch.testing.assert_close(judged.loss, entropy)
    judged.loss.backward()
    assert max(float(parameter.grad.abs().max()) for parameter in teacher.parameters()) < 1e-6
    warmer = soft_loss(teacher, data, answers, 4.0)(rows)
    assert warmer.loss.item() > entropy.item()


def test_hard_labels_at_temperature_one_are_plain_training() -> None:
    data = noise()
    hard = F.one_hot(data.labels(), 3).float()
    model = fresh()
    loss = soft_loss(model, data, hard, 1.0)(torch.arange(60)).loss
    torch.testing.assert_close(loss, F.cross_entropy(model(data.x), data.labels()))


def test_the_phases_by_hand() -> None:
    """Start, teacher and student with our plain recipe: a loss at temperature T is one of a network that divides."""
    data, given = noise(), {"batch_size": 20, "learning_rate": 0.3, "momentum": 0.9, "nesterov": True}
    temperature = 4.0

    class Cooled(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) / temperature

    model = fresh()
    log = distillation(
        model, data, seed=7, report=silent, **options(epochs=3, start_epochs=2, temperature=temperature, **given)
    )
    start = fresh()
    plain = options("sgd", epochs=2, **given)
    sgd(start, data, seed=derive_seed(7, "start"), report=silent, **plain)
    teacher = copy.deepcopy(start)
    plain = options("sgd", epochs=3, **given)
    of_teacher = sgd(Cooled(teacher), data, seed=derive_seed(7, "teacher"), report=silent, **plain)
    assert log.figures["teacher_loss"] == pytest.approx(of_teacher.figures["loss"], abs=1e-5)
    student, answers = start, soft_labels(teacher, data.x, temperature)
    descent = Descent(3, 20, 0.3, momentum=0.9, nesterov=True)
    judge = soft_loss(student, data, answers, temperature)
    descend(student, judge, 60, descent, seed=derive_seed(7, "student"), report=silent, log=TrainingLog())
    for ours, by_hand in zip(model.parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(ours, by_hand)
    assert {name: len(values) for name, values in log.figures.items()} == {
        "start_loss": 2, "start_accuracy": 2,
        "teacher_loss": 3, "teacher_accuracy": 3,
        "loss": 3, "accuracy": 3,
    }  # fmt: skip


def test_logits_grow_with_the_temperature_and_gradients_vanish() -> None:
    """Why it looks like a defence: at temperature 1 the student's softmax is saturated."""
    samples = load_named("mnist", split="train", take=2000)
    digits = TrainingData(torch.from_numpy(samples.inputs()), torch.from_numpy(samples.y))

    def largest(temperature: float) -> float:
        with forked_torch_seed(0):
            model = mlp(shape=(1, 28, 28), classes=10, hidden=[64])
        given = options(epochs=10, batch_size=20, learning_rate=0.05, temperature=temperature)
        distillation(model, digits, seed=0, report=silent, **given)
        with torch.no_grad():
            logits = model(digits.x)
        assert (logits.argmax(1) == digits.labels()).float().mean() > 0.9
        return float(logits.abs().amax(1).mean())

    assert largest(20.0) > 3 * largest(1.0)


def test_only_the_seed_matters() -> None:
    def trained(seed: int) -> Tensor:
        with forked_torch_seed(0):
            model = maxout(shape=(1, 4, 4), classes=3, hidden=[8], pieces=2, input_dropout=0.2, dropout=0.5)
        torch.rand(3)
        shares: list[float] = []
        distillation(model, noise(), seed=seed, report=shares.append, **options(epochs=2, batch_size=20))
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1.0)
        assert not model.training
        return torch.cat([value.flatten() for value in model.state_dict().values()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
