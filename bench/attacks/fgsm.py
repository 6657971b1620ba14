"""The fast gradient sign method and its l2 form."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat


def fgsm(model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, *, threat: Threat, draws: Draws) -> Tensor:  # noqa: ARG001
    """One step of length epsilon along the steepest direction of the loss, clipped to the box.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball and box. Under ``linf`` the step is epsilon times the gradient's sign.
        draws: Unused: the method is deterministic.

    Returns:
        Adversarial candidates, shape of `x`.

    Source: Goodfellow, Shlens, Szegedy 2015, section 4. The paper does not mention clipping.
    """
    gradient, _ = input_gradient(model, x, goal.loss)
    return threat.project(x + threat.epsilon * threat.steepest(gradient), x)
