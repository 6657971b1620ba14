"""Auto-PGD on the cross-entropy, on the difference of logits ratio, and towards classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.auto_pgd import auto_pgd
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.threat import Threat


def apgd_ce(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 100,
    restarts: int = 1,
) -> Tensor:
    """Auto-PGD on the cross-entropy.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample, for the random starts.
        steps: Gradient steps a restart.
        restarts: Starts a sample at the most.

    Returns:
        An adversarial example where one was seen, else the point of highest loss; shape of `x`.

    Source: Croce and Hein 2020, algorithm 1.
    """
    return _restarts(model, x, goal, "cross-entropy", threat=threat, draws=draws, steps=steps, restarts=restarts)


def apgd_dlr(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 100,
    restarts: int = 1,
) -> Tensor:
    """Auto-PGD on the difference of logits ratio; arguments and result as for `apgd_ce`.

    Source: Croce and Hein 2020, section 4.
    """
    return _restarts(model, x, goal, "dlr", threat=threat, draws=draws, steps=steps, restarts=restarts)


def apgd_t(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 100,
    restarts: int = 1,
    targets: int = 9,
) -> Tensor:
    """Auto-PGD on the targeted difference of logits ratio, one likely class after another.

    Any wrong class is a success, whichever was aimed at. A targeted goal is aimed at alone.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample, for the random starts.
        steps: Gradient steps a restart.
        restarts: Starts a class and sample at the most.
        targets: Likeliest classes other than the label to aim at; fewer where there are fewer.

    Returns:
        An adversarial example where one was seen, else the last class's point of highest loss; shape of `x`.

    Source: Croce and Hein 2020, section 4.
    """
    found, rows = x.clone(), torch.arange(len(x), device=x.device)
    for place, classes in enumerate(aims(model, x, goal, targets)):
        aim = goal.towards(classes).by("dlr")

        def loss(logits: Tensor, here: Tensor, aim: Goal = aim) -> Tensor:
            return aim.rows(here).loss(logits)

        for restart in range(restarts):
            stream = place * restarts + restart
            rows = auto_pgd(model, x, goal, rows, loss, found, threat=threat, draws=draws, stream=stream, steps=steps)
            if len(rows) == 0:
                return found
    return found


def aims(model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, targets: int) -> list[Tensor]:
    """Classes to aim at, each of shape (n,), likeliest on the clean input first; the goal's own where it has one."""
    if goal.targets is not None:
        return [goal.targets]
    with torch.no_grad():
        logits = model(x)
    others = logits.scatter(1, goal.labels[:, None], -torch.inf)
    return list(others.topk(min(targets, logits.shape[1] - 1), 1).indices.unbind(1))


def _restarts(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    objective: Objective,
    *,
    threat: Threat,
    draws: Draws,
    steps: int,
    restarts: int,
) -> Tensor:
    found, rows, aim = x.clone(), torch.arange(len(x), device=x.device), goal.by(objective)

    def loss(logits: Tensor, here: Tensor) -> Tensor:
        return aim.rows(here).loss(logits)

    for restart in range(restarts):
        rows = auto_pgd(model, x, goal, rows, loss, found, threat=threat, draws=draws, stream=restart, steps=steps)
        if len(rows) == 0:
            break
    return found
