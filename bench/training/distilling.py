"""Defensive distillation: a network learns another's answers at a high temperature."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.randomness import derive_seed
from bench.training.common import Report, TrainingData, TrainingLog
from bench.training.descending import Descent, Judged, clean_loss, descend

_BATCH = 1000  # samples labelled at once


def distillation(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    temperature: float,
    epochs: int,
    start_epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
) -> TrainingLog:
    """Train a teacher and then, from the same start, a student on the teacher's probabilities; both at a temperature.

    Training at temperature T descends the cross-entropy of softmax(z / T), z being the logits. Both networks start
    from one that was trained for `start_epochs` without temperature: from random weights, gradients that T divides
    are too small to begin with. The model becomes the student, and is to be used as it is: at temperature 1.

    Args:
        model: A classifier: images (n, ...) to logits (n, classes).
        data: Labelled images.
        seed: Seed of the order of samples and of dropout.
        report: Told the share that is done.
        temperature: What logits are divided by.
        epochs: Passes over the data, of the teacher and of the student each.
        start_epochs: Passes at temperature 1 that give the common start.
        batch_size: Samples a step.
        learning_rate: Rate.
        momentum: Momentum.
        nesterov: Nesterov's form of the momentum.

    Returns:
        The student's `loss` and `accuracy`, the same of the `teacher` and of the `start`, one entry an epoch.

    Source: Papernot, McDaniel, Wu, Jha, Swami 2016, section IV; the common start and the optimiser as in the
    training code of Carlini and Wagner 2017.
    """
    log = TrainingLog()
    total, done = start_epochs + 2 * epochs, 0

    def phase(name: str, net: nn.Module, judge: Callable[[Tensor], Judged], length: int) -> None:
        nonlocal done
        descent = Descent(length, batch_size, learning_rate, momentum=momentum, nesterov=nesterov)
        descend(
            net,
            judge,
            len(data.x),
            descent,
            seed=derive_seed(seed, name),
            report=lambda share: report((done + share * length) / total),
            log=log,
            prefix="" if name == "student" else f"{name}_",
        )
        done += length

    phase("start", model, clean_loss(model, data), start_epochs)
    teacher = copy.deepcopy(model)
    phase("teacher", teacher, clean_loss(teacher, data, temperature), epochs)
    answers = soft_labels(teacher, data.x, temperature)
    phase("student", model, soft_loss(model, data, answers, temperature), epochs)
    return log


def soft_labels(teacher: nn.Module, x: Tensor, temperature: float) -> Tensor:
    """A network's probabilities softmax(z / temperature) for inputs (n, ...), shape (n, classes).

    >>> soft_labels(nn.Identity(), torch.tensor([[0.0, 0.0], [200.0, 0.0]]), 100.0)
    tensor([[0.5000, 0.5000],
            [0.8808, 0.1192]])
    """
    with torch.no_grad():
        return torch.cat([(teacher(part) / temperature).softmax(1) for part in torch.split(x, _BATCH)])


def soft_loss(model: nn.Module, data: TrainingData, answers: Tensor, temperature: float) -> Callable[[Tensor], Judged]:
    """The cross-entropy with probabilities (n, classes) as labels, for `descend`; the true classes are only counted."""
    labels = data.labels()

    def judge(rows: Tensor) -> Judged:
        rows = rows.to(data.x.device)
        logits = model(data.x[rows])
        loss = F.cross_entropy(logits / temperature, answers[rows])
        return Judged(loss, {"accuracy": (logits.argmax(1) == labels[rows]).sum()})

    return judge
