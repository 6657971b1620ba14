"""The momentum iterative method."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import Best, ascend
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.threat import Threat


def mi_fgsm(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    steps: int = 10,
    step_size: float | None = None,
    decay: float = 1.0,
    keep_going: bool = False,
    loss: Objective = "cross-entropy",
) -> Tensor:
    """Steepest steps along a running sum of gradients, each brought to l1 length one before it is added.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball and box.
        draws: Unused: the method is deterministic.
        steps: Gradient steps.
        step_size: Length of a step in the threat's norm; None takes epsilon / steps.
        decay: Share of the sum that a step keeps; 0 gives the basic iterative method.
        keep_going: Go on after success and return the point of largest margin.
        loss: What to ascend: ``cross-entropy``, ``margin`` or ``dlr``.

    Returns:
        For each sample the point of largest margin seen (the paper returns the last), shape of `x`.

    Source: Dong et al. 2018, algorithm 1 (linf) and section 3.3 (l2).
    """
    length = threat.epsilon / steps if step_size is None else step_size
    best, rows, aim = Best(x), torch.arange(len(x), device=x.device), goal.by(loss)
    ascend(model, aim, rows, x, x, best, threat=threat, steps=steps, length=length, decay=decay, keep_going=keep_going)
    return best.points
