"""The fast gradient sign method and its l2 form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat


def fgsm(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    loss: Objective = "cross-entropy",
) -> Tensor:
    """One step of length epsilon along the steepest direction of the loss, clipped to the box.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball and box. Under ``linf`` the step is epsilon times the gradient's sign.
        draws: Unused: the method is deterministic.
        loss: What to ascend: ``cross-entropy``, ``margin`` or ``dlr``.

    Returns:
        Adversarial candidates, shape of `x`.

    Source: Goodfellow, Shlens, Szegedy 2015, section 4. The paper does not mention clipping.
    """
    (examples,) = fgsm_curve(model, x, goal, threats=[threat], draws=draws, loss=loss)
    return examples


def fgsm_curve(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threats: Sequence[Threat],
    draws: Draws,  # noqa: ARG001
    loss: Objective = "cross-entropy",
) -> list[Tensor]:
    """The examples of `fgsm` at several radii, from one gradient."""
    gradient, _ = input_gradient(model, x, goal.by(loss).loss)
    direction = threats[0].steepest(gradient)
    return [threat.project(x + threat.epsilon * direction, x) for threat in threats]
