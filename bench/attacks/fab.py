"""The targeted fast adaptive boundary attack."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.fab_projections import to_plane
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.nearest import Nearest
from bench.attacks.threat import Threat, per_sample, sizes


def fab_t(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    steps: int = 100,
    targets: int = 9,
    alpha_max: float = 0.1,
    overshoot: float = 1.05,
    backward: float = 0.9,
) -> Tensor:
    """Step onto linearised decision boundaries, ever nearer to the clean input, one likely class after another.

    A step takes the boundary between the label and the class aimed at for a plane, goes a little past it, drawn towards
    the plane's point that is nearest to the clean input, and turns back a part of the way if that is across. A sample
    with an example within epsilon leaves, unless epsilon is infinite.

    The points are those of the published attack, which costs two forward passes and a backward pass a step: a look at
    where the step led, and the gradient where it turned back to. Until a sample's first crossing the pass that gives
    the gradient is the look as well, so that a target that is never crossed to costs `steps` backward passes and one
    forward pass more.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels; or targets, which are then the only classes aimed at. The boundary of a target is that towards the
            largest other logit at each point, and nothing is drawn to the clean input before it is first crossed:
            where several such boundaries meet, that would hold a sample outside all of them.
        threat: Norm, box, and the radius within which an example is near enough.
        draws: Not used; nothing here is random.
        steps: Steps a target.
        targets: Likeliest other classes to aim at; fewer where there are fewer.
        alpha_max: Largest weight of the clean input's projection.
        overshoot: Length of a step, in ways to the plane.
        backward: Share of the way from the clean input that is kept on turning back.

    Returns:
        For each sample the nearest point seen that reached the goal, or the clean input, shape of `x`.

    Source: Croce and Hein 2020 (FAB), algorithm 1; towards one class at a time, without restarts, as in AutoAttack
    (Croce and Hein 2020, section 6).

    >>> import math
    >>> from bench.attacks.attack import create
    >>> model = lambda x: torch.stack([x[:, 0] + x[:, 1], 1.5 - x[:, 0] - x[:, 1]], 1)
    >>> attack = create("fab-t", norm="linf", epsilon=math.inf, steps=10)
    >>> attack(model, torch.tensor([[0.5, 0.75]]), torch.tensor([0])).distance  # the plane is 0.25 away
    tensor([0.2513])
    """
    with torch.no_grad():
        logits = model(x)
    found = Nearest(x)
    found.note(x, logits.new_zeros(len(x)), goal.margin(logits) > 0)
    if goal.targets is None:
        others = logits.scatter(1, goal.labels[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)
        aims = others[:, : min(targets, logits.shape[1] - 1)]
    else:
        aims = goal.targets[:, None]
    for aim in aims.T:
        rows = found.searching(threat).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        _Walk(model, goal, aim, x, rows, found, threat).go(steps, alpha_max, overshoot, backward)
    return found.points


class _Walk:
    """Some samples on their way to one class each.

    Samples that have crossed the boundary before are looked at before their gradient is taken (`seeing`, positions
    among the samples); for the others one pass does both (`blind`).
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        goal: Goal,
        aims: Tensor,
        x: Tensor,
        rows: Tensor,
        found: Nearest,
        threat: Threat,
    ) -> None:
        self.model, self.goal, self.found, self.threat = of_rows(model, rows), goal.rows(rows), found, threat
        self.rows, self.aims, self.origin, self.point = rows, aims[rows], x[rows], x[rows]
        self.crossed = torch.zeros_like(rows, dtype=torch.bool)
        self.sort_out()

    def go(self, steps: int, alpha_max: float, overshoot: float, backward: float) -> None:
        """Take all steps, for as long as any sample wants a nearer example."""
        every = pace(self.point.device)
        for step in range(steps):
            self.look(self.seeing, backward)
            if step % every == 0:
                self.leave()
            if len(self.rows) == 0:
                return
            gradient, height = self.slope(backward)
            most = torch.full_like(height, alpha_max)
            if self.goal.targets is not None:
                most = most * self.crossed
            self.point = _step(self.point, self.origin, gradient, height, self.threat, most, overshoot)
        self.look(self.searching(self.rows), backward)

    def searching(self, rows: Tensor) -> Tensor:
        """Positions among `rows` of those that want a nearer example."""
        return self.found.searching(self.threat)[rows].nonzero().squeeze(1)

    def height(self, logits: Tensor, which: Tensor | None = None) -> Tensor:
        """What is below 0 on this side of the boundary, for all samples or some, shape (n,)."""
        goal, aims = (self.goal, self.aims) if which is None else (self.goal.rows(which), self.aims[which])
        if goal.targets is not None:
            return goal.margin(logits)
        pair = logits.gather(1, torch.stack([aims, goal.labels], 1))
        return pair[:, 0] - pair[:, 1]

    def slope(self, backward: float) -> tuple[Tensor, Tensor]:
        """The gradient of the height and the height, after those have turned back that cross for the first time."""
        gradient, logits = input_gradient(self.model, self.point, self.height)
        if len(self.blind) > 0:
            # this waits for the device, a trifle beside the look that the blind are spared
            new = self.blind[self.turn_back(self.blind, logits[self.blind], backward)]
            new = new[self.searching(self.rows[new])]
            if len(new) > 0:
                part = of_rows(self.model, new)
                theirs = input_gradient(part, self.point[new], lambda logits: self.height(logits, new))
                gradient, logits = gradient.index_copy(0, new, theirs[0]), logits.index_copy(0, new, theirs[1])
                self.crossed[new] = True
                self.sort_out()
        return gradient, self.height(logits)

    def look(self, which: Tensor, backward: float) -> None:
        """Ask the model where some of the samples are; those across turn back."""
        if len(which) > 0:
            with torch.no_grad():
                logits = of_rows(self.model, which)(self.point[which])
            self.turn_back(which, logits, backward)

    def turn_back(self, which: Tensor, logits: Tensor, backward: float) -> Tensor:
        """Note which of some samples are across, as a mask of shape (m,), and take those a part of the way back."""
        across = self.goal.rows(which).margin(logits) > 0
        there = which[across.nonzero().squeeze(1)]
        if len(there) > 0:
            point, origin = self.point[there], self.origin[there]
            self.found.note(point, sizes(point - origin, self.threat.norm), rows=self.rows[there])
            self.point[there] = (point - origin).mul_(backward).add_(origin)
        return across

    def leave(self) -> None:
        """Let those go whose example is near enough."""
        going = self.searching(self.rows)
        if len(going) < len(self.rows):
            self.model, self.goal = of_rows(self.model, going), self.goal.rows(going)
            self.rows, self.aims, self.crossed = self.rows[going], self.aims[going], self.crossed[going]
            self.origin, self.point = self.origin[going], self.point[going]
            self.sort_out()

    def sort_out(self) -> None:
        """Bring `seeing` and `blind` up to date."""
        self.seeing, self.blind = self.crossed.nonzero().squeeze(1), (~self.crossed).nonzero().squeeze(1)


def _step(
    point: Tensor,
    origin: Tensor,
    gradient: Tensor,
    height: Tensor,
    threat: Threat,
    most: Tensor,
    overshoot: float,
) -> Tensor:
    """Past the plane on which the linearised height is 0, from the point and from the origin, and between the two.

    The origin's weight is at the most `most`, shape (n,).
    """
    gap = (gradient * (point - origin)).flatten(1).sum(1) - height
    near = to_plane(point, gradient, -height, norm=threat.norm, low=threat.low, high=threat.high)
    far = to_plane(origin, gradient, gap, norm=threat.norm, low=threat.low, high=threat.high)
    here, there = (sizes(way, threat.norm).clamp_min(1e-8) for way in (near, far))
    share = per_sample(torch.minimum(here / (here + there), most), point)
    moved = near.mul_(overshoot).add_(point).mul_(1 - share)
    return far.mul_(overshoot).add_(origin).mul_(share).add_(moved).clamp_(threat.low, threat.high)
