"""Training on a mixture of clean and FGSM losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.training.common import Report, TrainingData, TrainingLog
from bench.training.descending import Descent, Judged, descend


def fgsm_adversarial(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    alpha: float,
    epsilon: float,
    clip: bool,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    decay: float,
    momentum: float,
    final_momentum: float | None,
    momentum_epochs: int,
    nesterov: bool,
    max_column_norm: float | None,
) -> TrainingLog:
    """Descend alpha J(x) + (1 - alpha) J(x + epsilon sign(dJ/dx)), J being the cross-entropy.

    The examples are made anew for every batch, against the network as it is used: without dropout. No gradient
    flows through the sign.

    Args:
        model: A classifier: images (n, ...) in [0, 1] to logits (n, classes).
        data: Labelled images.
        seed: Seed of the order of samples and of dropout.
        report: Told the share that is done.
        alpha: Weight of the clean loss, from 0 to 1.
        epsilon: Length of the step, data units.
        clip: Clip the examples to [0, 1]; the paper mentions no clipping.
        epochs: See `bench.training.descending.Descent`, as for all that follow.
        batch_size: Clean samples a step.
        learning_rate: Rate of the first step.
        decay: What the rate is divided by after every step.
        momentum: Momentum of the first epoch.
        final_momentum: Momentum it grows to; None keeps the first.
        momentum_epochs: The epoch in which the final momentum is reached.
        nesterov: Nesterov's form of the momentum.
        max_column_norm: Longest allowed vector of weights of a unit; None for no bound.

    Returns:
        `loss`, `accuracy` (clean) and `adversarial_accuracy`, one entry an epoch.

    Source: Goodfellow, Shlens, Szegedy 2015, section 6.
    """
    labels = data.labels()

    def mixed(rows: Tensor) -> Judged:
        rows = rows.to(data.x.device)
        x, y = data.x[rows], labels[rows]
        model.eval()
        gradient, _ = input_gradient(model, x, Goal(y).loss)
        model.train()
        moved = x + epsilon * gradient.sign()
        if clip:
            moved = moved.clamp(0, 1)
        clean, adversarial = model(torch.cat([x, moved])).chunk(2)
        loss = alpha * F.cross_entropy(clean, y) + (1 - alpha) * F.cross_entropy(adversarial, y)
        hits = {"accuracy": clean.argmax(1) == y, "adversarial_accuracy": adversarial.argmax(1) == y}
        return Judged(loss, {name: flags.sum() for name, flags in hits.items()})

    descent = Descent(
        epochs, batch_size, learning_rate, decay, momentum, final_momentum, momentum_epochs, nesterov, max_column_norm
    )
    log = TrainingLog()
    descend(model, mixed, len(data.x), descent, seed=seed, report=report, log=log)
    return log
