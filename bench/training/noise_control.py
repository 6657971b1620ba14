"""Training on noisy images: the control that training on adversarial ones has to beat."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attacks.draws import Draws
from bench.attacks.noise import random_point
from bench.attacks.threat import Threat
from bench.randomness import derive_seed
from bench.training.common import Report, TrainingData, TrainingLog
from bench.training.descending import Descent, Judged, descend


def noise_control(
    model: nn.Module,
    data: TrainingData,
    *,
    seed: int,
    report: Report,
    law: str,
    epsilon: float,
    **how: Any,
) -> TrainingLog:
    """Descend the cross-entropy of images with random noise of the size of an attack, drawn anew for every batch.

    Args:
        model: A classifier: images (n, ...) in [0, 1] to logits (n, classes).
        data: Labelled images.
        seed: Seed of the order of samples, of the noise and of dropout.
        report: Told the share that is done.
        law: ``sign``, each pixel plus or minus epsilon, or ``uniform``, each within epsilon; clipped to [0, 1].
        epsilon: Size of the noise, data units.
        **how: The fields of `bench.training.descending.Descent`.

    Returns:
        `loss` and `accuracy` on the noisy images, one entry an epoch.

    Source: Goodfellow, Shlens, Szegedy 2015, section 6.
    """
    labels, threat = data.labels(), Threat("linf", epsilon)
    numbers = torch.Generator().manual_seed(derive_seed(seed, "noise"))

    def noisy(rows: Tensor) -> Judged:
        seeds = torch.randint(2**62, (len(rows),), generator=numbers).to(data.x.device)
        rows = rows.to(data.x.device)
        logits = model(random_point(data.x[rows], threat, Draws(seeds), 0, law))
        loss = F.cross_entropy(logits, labels[rows])
        return Judged(loss, {"accuracy": (logits.argmax(1) == labels[rows]).sum()})

    log = TrainingLog()
    descend(model, noisy, len(data.x), Descent(**how), seed=seed, report=report, log=log)
    return log
