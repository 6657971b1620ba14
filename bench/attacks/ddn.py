"""The decoupled direction and norm attack."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bench.attacks.ascent import pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.nearest import cosine, direction, first_look, unit
from bench.attacks.threat import Threat, per_sample, sizes


def ddn(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 1000,
    norm_step: float = 0.05,
) -> Tensor:
    """Walk along a sphere around the clean input that shrinks after each example and grows after each failure.

    Steps along the normalised gradient of the cross-entropy fall from one width of the box to a hundredth along a
    cosine, and the first sphere has a radius of one width (1 where there is no box), as published for [0, 1]. The
    gradient is taken in a form that does not vanish where the model is sure; where it does vanish, a sample that is no
    example moves in a random direction of its own. What `first_look` sees counts as well.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to reach.
        threat: Box, under ``l2``; a sample with an example within a finite radius is done.
        draws: One seed a sample, for directions where there is no gradient.
        steps: Gradient steps.
        norm_step: Share by which the radius shrinks or grows a step.

    Returns:
        For each sample the nearest example seen, or the clean input where there was none; shape of `x`.

    Source: Rony, Hafemann, Oliveira, Ben Ayed, Sabourin, Granger 2019, algorithm 1, without quantisation.

    >>> plane = lambda x: torch.stack([x @ torch.tensor([3.0, 4.0]), torch.ones(len(x))], 1)
    >>> threat, draws = Threat("l2", float("inf"), -9.0, 9.0), Draws(torch.tensor([0]))
    >>> found = ddn(plane, torch.tensor([[1.0, 0.75]]), Goal(torch.tensor([0])), threat=threat, draws=draws)
    >>> bool(1.0 <= (found - torch.tensor([[1.0, 0.75]])).norm() < 1.01)
    True
    """
    best, width, every = first_look(model, x, goal, threat), unit(threat), pace(x.device)
    rows = best.searching(threat).nonzero().squeeze(1)
    if len(rows) == 0:
        return best.points
    part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
    origin = point = x[rows]
    radius = x.new_full((len(rows),), width)
    stray = draws.rows(rows).normal(tuple(x.shape[1:]), 0).to(x.dtype)
    for step in range(steps + 1):
        if step < steps:
            gradient, logits = input_gradient(part, point, partial(_log_odds, aim))
        else:
            with torch.no_grad():
                logits = part(point)
        reached, delta = aim.margin(logits) > 0, point - origin
        near.note(point, sizes(delta, "l2"), reached)
        if step == steps:
            break
        if step > 0 and step % every == 0:
            going = near.searching(threat).nonzero().squeeze(1)
            if len(going) < len(rows):
                best.put(rows, near)
                rows = rows[going]
                if len(rows) == 0:
                    return best.points
                part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
                origin, delta, radius, reached, gradient, stray = (
                    each[going] for each in (origin, delta, radius, reached, gradient, stray)
                )
        sideways = torch.where(per_sample(reached, stray), 0.0, stray)
        delta = delta + width * cosine(1.0, 0.01, step / steps) * direction(gradient, sideways)
        radius = radius * torch.where(reached, 1 - norm_step, 1 + norm_step)
        delta *= per_sample(radius / sizes(delta, "l2").clamp_min(1e-30), delta)
        point = (origin + delta).clamp_(threat.low, threat.high)
    best.put(rows, near)
    return best.points


def _log_odds(goal: Goal, logits: Tensor) -> Tensor:
    """The log odds of the goal, shape (n,): their gradients have the direction of the cross-entropy's.

    The cross-entropy is the softplus of its label's log odds. Its own gradient vanishes where a model is sure.
    """
    wanted = (goal.labels if goal.targets is None else goal.targets)[:, None]
    own = logits.gather(1, wanted).squeeze(1)
    others = logits.scatter(1, wanted, -torch.inf).logsumexp(1)
    return others - own if goal.targets is None else own - others
