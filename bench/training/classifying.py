"""Training of classifiers: on clean images, and on adversarial ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.noise import random_point
from bench.attacks.threat import Norm, Threat
from bench.randomness import derive_seed
from bench.training.common import Report, TrainingData, TrainingLog, batches


def standard(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> TrainingLog:
    """Adam on the cross-entropy of clean images."""

    def clean(x: Tensor, y: Tensor, progress: float) -> Tensor:  # noqa: ARG001
        return x

    return _fit(model, data, clean, seed, report, epochs, batch_size, learning_rate)


def adversarial(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    norm: Norm,
    epsilon: float,
    steps: int,
    step_size: float | None,
    warm_up: float,
) -> TrainingLog:
    """Adam on the cross-entropy of adversarial images alone (Madry et al. 2018).

    Every batch is moved by `steps` steepest steps from a random start in the ball. The radius grows linearly
    over the first `warm_up` share of the training, without which small networks stay at a constant answer.
    """
    draws = torch.Generator().manual_seed(derive_seed(seed, "starts"))

    def worst(x: Tensor, y: Tensor, progress: float) -> Tensor:
        radius = epsilon * min(1.0, progress / warm_up) if warm_up > 0 else epsilon
        threat = Threat(norm, radius)
        length = (2.5 * radius / steps) if step_size is None else step_size * radius / epsilon
        seeds = torch.randint(2**62, (x.shape[0],), generator=draws).to(x.device)
        goal, point = Goal(y), random_point(x, threat, Draws(seeds), 0)
        for _ in range(steps):
            gradient, _ = input_gradient(model, point, goal.loss)
            point = threat.project(point + length * threat.steepest(gradient), x)
        return point

    return _fit(model, data, worst, seed, report, epochs, batch_size, learning_rate)


def _fit(
    model: nn.Module,
    data: TrainingData,
    inputs: Callable[[Tensor, Tensor, float], Tensor],
    seed: int,
    report: Report,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> TrainingLog:
    """Minimise the cross-entropy at `inputs(x, y, progress)`; the rate falls to 0 along a half cosine."""
    labels = data.labels()
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    log, a_round = TrainingLog(), math.ceil(len(data.x) / batch_size)
    loss_sum = correct = seen = 0.0
    model.train()
    order = batches(len(data.x), batch_size, epochs=epochs, seed=seed)
    for done, (_, index) in enumerate(order):
        progress = done / (epochs * a_round)
        rows = index.to(data.x.device)
        x, y = data.x[rows], labels[rows]
        for group in optimiser.param_groups:
            group["lr"] = 0.5 * learning_rate * (1 + math.cos(math.pi * progress))
        logits = model(inputs(x, y, progress))
        loss = F.cross_entropy(logits, y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        loss_sum += loss.item() * len(y)
        correct += (logits.argmax(1) == y).sum().item()
        seen += len(y)
        if (done + 1) % a_round == 0:
            log.add(loss=loss_sum / seen, accuracy=correct / seen)
            loss_sum = correct = seen = 0.0
        report(progress)
    model.eval()
    return log
