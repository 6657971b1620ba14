"""Climbing a loss inside a ball, the loop that PGD, BIM and MI-FGSM share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.counting import of_rows
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat, per_sample


class Best:
    """For each sample of a batch the point of largest margin so far.

    Attributes:
        points: Shape of the batch; the clean inputs before anything else was seen.
        margin: How far past the decision boundary they are, shape (n,); minus infinity at first.
    """

    def __init__(self, x: Tensor) -> None:
        self.points = x.clone()
        self.margin = x.new_full((x.shape[0],), -torch.inf)

    def put(self, rows: Tensor, points: Tensor, margin: Tensor) -> None:
        """Take over points of some samples where they are better."""
        better = margin > self.margin[rows]
        self.points[rows] = torch.where(per_sample(better, points), points, self.points[rows])
        self.margin[rows] = torch.where(better, margin, self.margin[rows])


def pace(device: torch.device) -> int:
    """Steps between looks at who has reached the goal: looking costs nothing on a CPU, a wait on a GPU."""
    return 1 if device.type == "cpu" else 10


def replace_rows(into: Tensor, points: Tensor, chosen: Tensor, rows: Tensor | None = None) -> None:
    """Overwrite some samples' points, in place: by rows on a CPU, without a wait on a GPU.

    Args:
        into: Points to overwrite, shape (n, ...).
        points: New points of `rows`, shape (m, ...).
        chosen: Which of these to write, shape (m,), bool.
        rows: Samples the points belong to, shape (m,); None when they are all, in their order.
    """
    if points.device.type == "cpu":
        index = chosen.nonzero().squeeze(1)
        if len(index):
            into[index if rows is None else rows[index]] = points[index]
    elif rows is None:
        torch.where(per_sample(chosen, points), points, into, out=into)
    else:
        into[rows] = torch.where(per_sample(chosen, points), points, into[rows])


def ascend(
    model: Callable[[Tensor], Tensor],
    goal: Goal,
    rows: Tensor,
    origin: Tensor,
    point: Tensor,
    best: Best,
    *,
    threat: Threat,
    steps: int,
    length: float,
    decay: float | None = None,
    keep_going: bool = False,
) -> Tensor:
    """Steepest steps of one length, each projected back into the ball and the box; the best point seen is noted.

    Samples that have reached their goal leave the batch, unless `keep_going`.

    Args:
        model: Inputs to logits (n, classes) of the whole batch.
        goal: What the whole batch wants.
        rows: Samples to move, shape (m,).
        origin: Their clean inputs, shape (m, ...).
        point: Where they start, shape (m, ...).
        best: Best points of the whole batch; updated.
        threat: Ball and box.
        steps: Gradient steps.
        length: Length of a step in the threat's norm.
        decay: Share of the velocity that a step keeps; None for no velocity.
        keep_going: Go on after success.

    Returns:
        The rows that have not reached their goal.
    """
    part, aim = of_rows(model, rows), goal.rows(rows)
    top, top_margin = point.clone(), point.new_full((len(rows),), -torch.inf)
    velocity, ball = torch.zeros_like(point) if decay is not None else None, threat.around(origin)
    every = pace(point.device)
    for step in range(steps + 1):
        if step < steps:
            gradient, logits = input_gradient(part, point, aim.loss)
        else:
            with torch.no_grad():
                logits = part(point)
        margin = aim.margin(logits)
        better = margin > top_margin
        replace_rows(top, point, better)
        top_margin = torch.where(better, margin, top_margin)
        if not keep_going and (step % every == 0 or step == steps):
            going = (top_margin <= 0).nonzero().squeeze(1)
            if len(going) < len(rows):
                gone = (top_margin > 0).nonzero().squeeze(1)
                best.points[rows[gone]], best.margin[rows[gone]] = top[gone], top_margin[gone]
                rows, point, top, top_margin = (each[going] for each in (rows, point, top, top_margin))
                part, aim, gradient, ball = of_rows(model, rows), goal.rows(rows), gradient[going], ball.rows(going)
                velocity = None if velocity is None else velocity[going]
            if len(rows) == 0:
                return rows
        if step < steps:
            if velocity is not None and decay is not None:
                size = gradient.flatten(1).abs().mean(1).clamp_min(1e-30)
                gradient = velocity = decay * velocity + gradient / per_sample(size, gradient)
            point = ball.project_(threat.steepest(gradient).mul_(length).add_(point))
    best.put(rows, top, top_margin)
    return rows
