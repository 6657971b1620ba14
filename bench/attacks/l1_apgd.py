"""Auto-PGD under l1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import pace, replace_rows
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal, Objective
from bench.attacks.gradients import input_gradient
from bench.attacks.threat import Threat, per_sample

STAGES = ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4))
"""Radius, in units of epsilon, and share of the steps of each stage of the schedule."""


def l1_apgd(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,
    steps: int = 100,
    restarts: int = 1,
    loss: Objective = "cross-entropy",
    schedule: bool = True,
) -> Tensor:
    """Sparse steepest steps, projected exactly onto the l1 ball cut by the box.

    How many entries a step moves follows how many the best point has moved. With the schedule, a run begins in a
    ball of three times the radius, where ascent is easier, and each stage begins where the last one ended.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to move towards.
        threat: The l1 ball and the box.
        draws: One seed a sample, for the random starts.
        steps: Gradient steps a restart.
        restarts: Starts a sample at the most.
        loss: What to ascend: ``cross-entropy`` or ``dlr``.
        schedule: Begin in larger balls.

    Returns:
        An adversarial example where one was seen, else the point of highest loss; shape of `x`.

    Source: Croce and Hein 2021 ("Mind the box"), algorithm 1 and section 4.
    """
    found, rows = x.clone(), torch.arange(len(x), device=x.device)
    aim = goal.by(loss)
    for restart in range(restarts):
        tops = x + draws.normal(tuple(x.shape[1:]), restart)
        for factor, share in STAGES if schedule else ((1.0, 1.0),):
            ball = Threat("l1", factor * threat.epsilon, threat.low, threat.high)
            start = ball.project(tops[rows], x[rows])
            part = max(1, int(share * steps))
            rows = _stage(model, x, aim, rows, start, found, tops, ball=ball, last=factor == 1, steps=part)
            if len(rows) == 0:
                return found
        found[rows] = tops[rows]
    return found


def _stage(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    aim: Goal,
    rows: Tensor,
    point: Tensor,
    found: Tensor,
    tops: Tensor,
    *,
    ball: Threat,
    last: bool,
    steps: int,
) -> Tensor:
    """Ascend in one ball. In the last stage samples that reach their goal leave, their points in `found`.

    The points of highest loss end up in `tops`; the rows that have not reached their goal are returned.
    """
    size = x[0].numel()
    part, every, stretch = of_rows(model, rows), pace(x.device), max(int(0.04 * steps), 1)
    origin, top, top_loss = x[rows], point, point.new_full((len(rows),), -torch.inf)
    top_gradient = point
    moved = _moved(point, origin)
    share, before = moved / size / 1.5, moved
    step_size = torch.full_like(top_loss, ball.epsilon)
    reached = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(steps + 1):
        here = aim.rows(rows)
        if step < steps:
            gradient, logits = input_gradient(part, point, here.loss)
        else:
            with torch.no_grad():
                gradient, logits = top_gradient, part(point)
        loss = here.loss(logits)
        better = loss > top_loss
        mask = per_sample(better, point)
        top, top_gradient = torch.where(mask, point, top), torch.where(mask, gradient, top_gradient)
        top_loss = torch.where(better, loss, top_loss)
        if last:
            fooled = (here.margin(logits) > 0) & ~reached
            replace_rows(found, point, fooled, rows)
            reached |= fooled
            if step % every == 0 or step == steps:
                going = (~reached).nonzero().squeeze(1)
                if len(going) < len(rows):
                    rows, origin, point, gradient = rows[going], origin[going], point[going], gradient[going]
                    top, top_gradient, top_loss = top[going], top_gradient[going], top_loss[going]
                    share, before, step_size = share[going], before[going], step_size[going]
                    reached, part = reached[going], of_rows(model, rows)
                if len(going) == 0:
                    return rows
        if step == steps:
            break
        if step > 0 and step % stretch == 0:
            moved = _moved(top, origin)
            sparser = moved < 0.95 * before
            share, before = moved / size / 1.5, moved
            shorter = (step_size / 1.5).clamp_min(ball.epsilon / 10)
            step_size = torch.where(sparser, ball.epsilon, shorter)
            mask = per_sample(sparser, point)
            point, gradient = torch.where(mask, top, point), torch.where(mask, top_gradient, gradient)
        direction = _sparse_sign(gradient, share)
        point = ball.project(point + direction * per_sample(step_size, point), origin)
    tops[rows] = top
    return rows


def _moved(point: Tensor, origin: Tensor) -> Tensor:
    """How many entries of each sample differ from the clean ones, shape (n,), as floats."""
    return (point != origin).flatten(1).sum(1).to(point.dtype)


def _sparse_sign(gradient: Tensor, share: Tensor) -> Tensor:
    """The signs of the largest entries, a share of all, scaled to l1 length one; shape of `gradient`."""
    flat = gradient.flatten(1)
    ordered = flat.abs().sort(1).values
    # rounded down, where the released code rounds up: of few entries the same two would move for ever
    place = flat.shape[1] - (share * flat.shape[1]).long().clamp(1, flat.shape[1])
    threshold = ordered.gather(1, place[:, None])
    signs = torch.where(flat.abs() >= threshold, flat.sign(), 0.0)
    return (signs / signs.abs().sum(1, keepdim=True).clamp_min(1)).reshape(gradient.shape)
