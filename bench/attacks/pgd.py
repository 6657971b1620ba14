"""Projected gradient descent with restarts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import Best, ascend
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.noise import random_point
from bench.attacks.threat import Threat


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
    loss: Objective = "cross-entropy",
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
        loss: What to ascend: ``cross-entropy``, ``margin`` or ``dlr``.

    Returns:
        For each sample the point of largest margin over all steps and restarts, shape of `x`.

    Source: Madry et al. 2018, section 2.1 and the released code's random start.
    """
    length = 2.5 * threat.epsilon / steps if step_size is None else step_size
    aim, best, rows = goal.by(loss), Best(x), torch.arange(len(x), device=x.device)
    for restart in range(restarts):
        origin = x[rows]
        point = origin
        if start == "random" or restart > 0:
            point = random_point(origin, threat, draws.rows(rows), restart)
        left = ascend(
            model, aim, rows, origin, point, best, threat=threat, steps=steps, length=length, keep_going=keep_going
        )
        rows = rows if keep_going else left
        if len(rows) == 0:
            break
    return best.points
