"""Noise of the size of an attack: the control every attack has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.threat import Threat, per_sample, sizes


def random_point(x: Tensor, threat: Threat, draws: Draws, stream: int, law: str = "uniform") -> Tensor:
    """A point drawn from the ball around each input, then clipped to the box; shape of `x`.

    Args:
        x: Centres inside the box, shape (n, ...).
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample.
        stream: Another number gives other points; the same points, scaled, under another radius.
        law: ``uniform`` in the ball, or ``sign``: a corner of it (``linf``), a point of its surface (``l2``).
    """
    shape = tuple(x.shape[1:])
    if threat.norm == "linf":
        centred = 2 * draws.uniform(shape, stream) - 1
        return threat.project(x + threat.epsilon * (centred.sign() if law == "sign" else centred), x)
    direction = draws.normal(shape, stream)
    radius = draws.uniform((1,), 2_000_003 + stream).squeeze(1).double() ** (1.0 / max(1, x[0].numel()))
    length = (threat.epsilon * (torch.ones_like(radius) if law == "sign" else radius)).to(x.dtype)
    return threat.project(x + direction * per_sample(length / sizes(direction, "l2").clamp_min(1e-12), x), x)


def noise(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    law: str = "uniform",
    repeats: int = 1,
) -> Tensor:
    """Add random perturbations of a fixed law, keeping the one that does most damage where there are several.

    Args:
        model: Inputs to logits (n, classes); asked only when `repeats` is above 1.
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets.
        threat: Ball and box.
        draws: One seed a sample.
        law: As in `random_point`.
        repeats: Draws a sample.

    Returns:
        Perturbed inputs, shape of `x`.

    Source: Goodfellow, Shlens, Szegedy 2015, section 6 (the control experiments of adversarial training).
    """
    (examples,) = noise_curve(model, x, goal, threats=[threat], draws=draws, law=law, repeats=repeats)
    return examples


def noise_curve(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threats: Sequence[Threat],
    draws: Draws,
    law: str = "uniform",
    repeats: int = 1,
) -> list[Tensor]:
    """The examples of `noise` at several radii: the same draws, scaled."""
    examples = [x] * len(threats)
    margins = [x.new_full((len(x),), -torch.inf)] * len(threats)
    for repeat in range(repeats):
        for level, threat in enumerate(threats):
            moved = random_point(x, threat, draws, repeat, law)
            if repeats == 1:
                examples[level] = moved
                continue
            with torch.inference_mode():
                margin = goal.margin(model(moved)).clone()
            better = margin > margins[level]
            examples[level] = torch.where(per_sample(better, x), moved, examples[level])
            margins[level] = torch.where(better, margin, margins[level])
    return examples
