"""Auto-PGD: projected gradient descent that finds its own step sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from bench.attacks.ascent import pace, replace_rows
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.noise import random_point
from bench.attacks.threat import Ball, Threat, per_sample, sizes

MOMENTUM, RHO = 0.75, 0.75
"""Weight of the newest step, and share of rising steps below which a step size is halved."""


@dataclass
class State:
    """Where the samples that are still in the batch stand; m of them.

    Attributes:
        rows: Their positions in the whole batch, shape (m,).
        ball: The balls around their clean inputs.
        point: Where they are, shape (m, ...).
        before: Where they were one step ago, shape (m, ...).
        gradient: Of the loss at `point`, shape (m, ...).
        top: Points of highest loss, shape (m, ...).
        top_gradient: The gradients there, shape (m, ...).
        top_loss: The losses there, shape (m,).
        loss: The losses at `point`, shape (m,).
        step: Step sizes, shape (m,).
        rises: Steps since the last look that raised the loss, shape (m,).
        checked: Highest loss at the last look, shape (m,).
        halved: Whether the step was halved at the last look, shape (m,).
    """

    rows: Tensor
    ball: Ball
    point: Tensor
    before: Tensor
    gradient: Tensor
    top: Tensor
    top_gradient: Tensor
    top_loss: Tensor
    loss: Tensor
    step: Tensor
    rises: Tensor
    checked: Tensor
    halved: Tensor

    def keep(self, index: Tensor) -> None:
        """Drop all samples but these."""
        for each in fields(self):
            value = getattr(self, each.name)
            setattr(self, each.name, value.rows(index) if isinstance(value, Ball) else value[index])

    def see(self, gradient: Tensor, loss: Tensor) -> None:
        """Take note of the loss and gradient at the point just reached."""
        self.rises += loss > self.loss
        self.gradient, self.loss = gradient, loss
        better = loss > self.top_loss
        replace_rows(self.top, self.point, better)
        replace_rows(self.top_gradient, gradient, better)
        self.top_loss = torch.where(better, loss, self.top_loss)

    def look(self, stretch: int) -> None:
        """Halve the steps that made no progress in the last `stretch` steps, and go back to the best point."""
        stalled = self.rises <= stretch * RHO
        stalled |= ~self.halved & (self.checked >= self.top_loss)
        self.step = torch.where(stalled, self.step / 2, self.step)
        self.point, self.gradient = self.point.clone(), self.gradient.clone()
        replace_rows(self.point, self.top, stalled)
        replace_rows(self.gradient, self.top_gradient, stalled)
        # `loss` stays that of the last step taken, as in the released code
        self.rises = torch.zeros_like(self.rises)
        self.checked, self.halved = self.top_loss, stalled


def checkpoints(steps: int) -> list[int]:
    """After how many steps the step sizes are looked at.

    >>> checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    stretch, shrink, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    found, at = [], stretch
    while at <= steps:
        found.append(at)
        stretch = max(stretch - shrink, least)
        at += stretch
    return found


def auto_pgd(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    rows: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    found: Tensor,
    *,
    threat: Threat,
    draws: Draws,
    stream: int,
    steps: int,
) -> Tensor:
    """One restart from a random point for some samples; those that reach their goal leave.

    Args:
        model: Inputs to logits (n, classes) of the whole batch.
        x: Clean inputs of the whole batch, shape (n, ...).
        goal: What the whole batch wants.
        rows: Samples to move, shape (m,).
        loss: (logits of some rows, those rows) to what is ascended, one value a row.
        found: Points of the whole batch; those of `rows` are replaced by adversarial ones, or by those of highest loss.
        threat: Ball (``linf`` or ``l2``) and box.
        draws: One seed a sample of the whole batch.
        stream: Another number gives another start.
        steps: Gradient steps.

    Returns:
        The rows that have not reached their goal.

    Source: Croce and Hein 2020, algorithm 1, with the constants of section 3.
    """
    origin = x[rows]
    point = _start(origin, threat, draws.rows(rows), stream)
    none = point.new_full((len(rows),), -torch.inf)
    state = State(
        rows, threat.around(origin), point, point, point, point.clone(), torch.zeros_like(point), none, none,
        step=torch.full_like(none, 2 * threat.epsilon),
        rises=torch.zeros_like(rows), checked=none, halved=torch.ones_like(rows, dtype=torch.bool),
    )  # fmt: skip
    part, every, looks = of_rows(model, rows), pace(x.device), checkpoints(steps)
    reached = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(steps + 1):
        if step > 0:
            _move(state, 1.0 if step == 1 else MOMENTUM)
        here = state.rows
        if step < steps:
            gradient, logits = input_gradient(part, state.point, lambda logits: loss(logits, here))  # noqa: B023
        else:
            with torch.no_grad():
                gradient, logits = state.gradient, part(state.point)
        fooled = (goal.rows(here).margin(logits) > 0) & ~reached
        replace_rows(found, state.point, fooled, here)
        reached |= fooled
        state.see(gradient, loss(logits, here))
        if step == 0:
            state.rises, state.checked = torch.zeros_like(here), state.top_loss
        if step % every == 0 or step == steps:
            going = (~reached).nonzero().squeeze(1)
            if len(going) < len(here):
                state.keep(going)
                reached, part = reached[going], of_rows(model, state.rows)
            if len(going) == 0:
                return state.rows
        if step in looks:
            before = looks.index(step)
            state.look(step - (looks[before - 1] if before else 0))
    found[state.rows] = state.top
    return state.rows


def _start(x: Tensor, threat: Threat, draws: Draws, stream: int) -> Tensor:
    """A random point at distance epsilon of the clean input, before clipping to the box."""
    if threat.norm == "l2":
        return random_point(x, threat, draws, stream, law="sign")
    direction = 2 * draws.uniform(tuple(x.shape[1:]), stream) - 1
    length = threat.epsilon / sizes(direction, "linf").clamp_min(1e-12)
    return threat.project(x + direction * per_sample(length, x), x)


def _move(state: State, weight: float) -> None:
    """One step: along the gradient, projected, then mixed with the step before."""
    point, ball = state.point, state.ball
    ahead = ball.project_(ball.threat.steepest(state.gradient).mul_(per_sample(state.step, point)).add_(point))
    if weight < 1:
        # before is not needed again, so that the difference can take its place
        back = state.before.sub_(point)
        ahead = ball.project_(ahead.sub_(point).mul_(weight).sub_(back, alpha=1 - weight).add_(point))
    state.before, state.point = point, ahead
