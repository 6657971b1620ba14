"""The basic iterative method."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import Best, ascend
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.threat import Threat


def bim(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    steps: int = 10,
    step_size: float | None = None,
    keep_going: bool = False,
    loss: Objective = "cross-entropy",
) -> Tensor:
    """Small steepest steps from the clean image, each clipped to the ball and the box.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards (with the least likely class, the iterative least-likely method).
        threat: Ball and box.
        draws: Unused: the method is deterministic.
        steps: Gradient steps.
        step_size: Length of a step in the threat's norm; None takes epsilon / steps.
        keep_going: Go on after success and return the point of largest margin.
        loss: What to ascend: ``cross-entropy``, ``margin`` or ``dlr``.

    Returns:
        For each sample the point of largest margin seen (the paper returns the last), shape of `x`.

    Source: Kurakin, Goodfellow, Bengio 2017, section 2.2; the l2 form steps along the gradient's direction.
    """
    length = threat.epsilon / steps if step_size is None else step_size
    best, rows = Best(x), torch.arange(len(x), device=x.device)
    ascend(model, goal.by(loss), rows, x, x, best, threat=threat, steps=steps, length=length, keep_going=keep_going)
    return best.points
