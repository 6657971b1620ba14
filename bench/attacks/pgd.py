"""Projected gradient descent with restarts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat, per_sample, sizes


def random_start(x: Tensor, threat: Threat, draws: Draws, restart: int) -> Tensor:
    """A point drawn uniformly from the ball around each input, then clipped to the box; shape of `x`."""
    shape = tuple(x.shape[1:])
    if threat.norm == "linf":
        return threat.project(x + threat.epsilon * (2 * draws.uniform(shape, restart) - 1), x)
    direction = draws.normal(shape, restart)
    radius = draws.uniform((1,), 2_000_003 + restart).squeeze(1).double() ** (1.0 / max(1, x[0].numel()))
    length = (threat.epsilon * radius).to(x.dtype) / sizes(direction, "l2").clamp_min(1e-12)
    return threat.project(x + direction * per_sample(length, x), x)


def pgd(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 40,
    step_size: float | None = None,
    restarts: int = 1,
    start: str = "random",
    keep_going: bool = False,
) -> Tensor:
    """Ascend the loss by steepest steps inside the ball, from random points, keeping the best point seen.

    A sample that has reached its goal leaves the batch at once, unless `keep_going` asks for the most
    confident example there is (which is what transfers to other models).

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball and box.
        draws: One seed a sample, for the random starts.
        steps: Gradient steps a restart.
        step_size: Length of a step in the threat's norm; None takes 2.5 epsilon / steps.
        restarts: Starts a sample at the most.
        start: ``random`` (uniform in the ball) or ``clean`` for the first restart; later ones are random.
        keep_going: Go on after success and return the point of largest margin.

    Returns:
        For each sample the point of largest margin over all steps and restarts, shape of `x`.

    Source: Madry et al. 2018, section 2.1 and the released code's random start.
    """
    length = 2.5 * threat.epsilon / steps if step_size is None else step_size
    best = x.clone()
    best_margin = x.new_full((x.shape[0],), -torch.inf)
    open_rows = torch.arange(x.shape[0], device=x.device)
    for restart in range(restarts):
        rows, origin, aim = open_rows, x[open_rows], goal.rows(open_rows)
        point = origin
        if start == "random" or restart > 0:
            point = random_start(origin, threat, draws.rows(open_rows), restart)
        for step in range(steps + 1):
            if step < steps:
                gradient, logits = input_gradient(model, point, aim.loss)
            else:
                with torch.no_grad():
                    logits = model(point)
            margin = aim.margin(logits)
            better = margin > best_margin[rows]
            best_margin[rows[better]] = margin[better]
            best[rows[better]] = point[better]
            if not keep_going:
                going = (margin <= 0).nonzero().squeeze(1)
                if going.numel() < rows.numel():
                    rows, origin, aim, point = rows[going], origin[going], aim.rows(going), point[going]
                    gradient = gradient[going]
                if rows.numel() == 0:
                    break
            if step < steps:
                point = threat.project(point + length * threat.steepest(gradient), origin)
        if not keep_going:
            open_rows = rows
            if open_rows.numel() == 0:
                break
    return best
