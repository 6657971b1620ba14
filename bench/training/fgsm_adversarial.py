"""Training on a mixture of clean and FGSM losses."""

from __future__ import annotations

from typing import Any

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
    **how: Any,
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
        **how: The fields of `bench.training.descending.Descent`.

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

    log = TrainingLog()
    descend(model, mixed, len(data.x), Descent(**how), seed=seed, report=report, log=log)
    return log
